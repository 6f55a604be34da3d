"""Real dark/light pairs of one camera: reading them, and finding those that do not fit together.

Accepted: a folder with `low/` and `high/` (equal file names), LOL's root (its `our485` is taken), or a CSV
of two columns, the dark file and the light file, relative to the CSV.
"""

import csv
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.registration import phase_cross_correlation

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dimmers.jpeg import jpeg_quality
from dimmagen.images.codec import IMAGE_EXTENSIONS, ImageError, decode_rgb8

SHIFT_TOLERANCE = 0.5  # pixels; LOL's own pairs lie within 0.9, all but a few within 0.3
MIN_SIDE_TO_ALIGN = 128  # pixels; below that a crop holds too little structure to tell a shift from noise
SATURATED_SHARE = 0.25  # of the light picture at full scale: no colour left to learn from
BLACK_SHARE = 0.5  # of the dark picture at exact black


@dataclass(frozen=True, slots=True, eq=False)
class RealPair:
    """One scene, dark and light.

    Attributes:
        name: file name of the light picture without its extension.
        dark, light: uint8 (H, W, 3) RGB, equal sizes once :func:`check_pairs` let them pass.
        dark_sha256, light_sha256: of the files' bytes, hex.
        jpeg_quality: of the dark file, 0 if it is no JPEG.
    """

    name: str
    dark: np.ndarray
    light: np.ndarray
    dark_sha256: str
    light_sha256: str
    jpeg_quality: int = 0


@dataclass(frozen=True, slots=True)
class PairProblem:
    """Something wrong with one pair. A fatal one cannot be fitted; the others are told and recorded."""

    name: str
    problem: str  # "size", "identical", "swapped", "shifted", "unrelated", "saturated"
    detail: str
    fatal: bool

    def __str__(self) -> str:
        return f"pair {self.name} {self.detail}"


def load_pairs(path: str | Path, names: Sequence[str] | None = None) -> list[RealPair]:
    """Read pairs.

    Args:
        path: folder with `low/` and `high/`, LOL's root, or a CSV of two columns (dark, light).
        names: file names without extension; only these, in this order. Default all, in natural order.

    Returns:
        The pairs, unchecked: see :func:`check_pairs`.

    Raises:
        UsageError: path or a name does not exist, a partner is missing, or there is no pair at all.
        DimmagenError: a picture cannot be read.
    """
    path = Path(path)
    files = _files_of_csv(path) if path.is_file() else _files_of_folder(path)
    if names is not None:
        missing = [name for name in names if name not in files]
        if missing:
            raise UsageError(f"{path} has no pair named {', '.join(missing)}", f"it has {_some(files)}")
        files = {name: files[name] for name in names}
    return [_read_pair(name, dark, light) for name, (dark, light) in files.items()]


def split_held_out(pairs: Sequence[RealPair], names: Sequence[str]) -> tuple[list[RealPair], list[RealPair]]:
    """Pairs to work with, and those that are held out.

    Args:
        pairs: as :func:`load_pairs` gives them.
        names: of the pairs to hold out; none holds out none.

    Raises:
        UsageError: a name is no pair's, or no pair is left to work with.
    """
    known = [pair.name for pair in pairs]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"no pair is named {', '.join(unknown)} to hold out", f"they are {_some(known)}")
    kept = [pair for pair in pairs if pair.name not in names]
    if not kept:
        raise UsageError("all pairs are held out", "hold out fewer")
    return kept, [pair for pair in pairs if pair.name in names]


def check_pairs(pairs: Sequence[RealPair]) -> list[PairProblem]:
    """Find pairs that do not fit together, and name them.

    Fatal are differing sizes, identical pictures and swapped ones (the dark picture is the brighter one).
    Told only: shifted by more than SHIFT_TOLERANCE pixels, no common structure found (both for pictures of
    at least MIN_SIDE_TO_ALIGN), and pictures so saturated or black that they hold little to learn from.
    """
    return [finding for pair in pairs for finding in _check(pair)]


def refuse_unsuitable_pairs(findings: Sequence[PairProblem]) -> None:
    """Raise a UsageError that names every pair with a fatal finding, if there is one."""
    fatal = [str(finding) for finding in findings if finding.fatal]
    if fatal:
        raise UsageError("; ".join(fatal), "correct these pairs, or leave them out with `names`")


def shift_between(dark: np.ndarray, light: np.ndarray) -> tuple[float, float, float]:
    """Sub-pixel shift of the dark picture against the light one.

    Band-passed square roots with their local contrast evened out are cross-correlated, so that neither
    the exposure nor the dark picture's noise matters; read off at 1/20 pixel.

    Args:
        dark, light: uint8 (H, W, 3) of equal size.

    Returns:
        (rows, columns, error): the content of `dark` lies that many pixels further down and right;
        the error is 0 for equal structure and near 1 for none in common.
    """
    shift, error, _ = phase_cross_correlation(
        _structure(dark), _structure(light), upsample_factor=20, normalization=None
    )
    return float(shift[0]), float(shift[1]), float(error)


def _structure(image: np.ndarray) -> np.ndarray:
    gray = np.sqrt(image.astype(np.float32).mean(axis=2))
    band = gaussian_filter(gray, 1.5) - gaussian_filter(gray, 8)
    local_contrast = np.sqrt(gaussian_filter(band * band, 16)) + 0.02 * band.std() + 1e-6
    window = np.outer(np.hanning(band.shape[0]), np.hanning(band.shape[1]))
    return band / local_contrast * window


def _check(pair: RealPair) -> list[PairProblem]:
    dark, light = pair.dark, pair.light
    if dark.shape != light.shape:
        sizes = f"{dark.shape[1]}x{dark.shape[0]}, light {light.shape[1]}x{light.shape[0]}"
        return [PairProblem(pair.name, "size", f"differs in size: dark {sizes}", fatal=True)]
    if np.array_equal(dark, light):
        return [PairProblem(pair.name, "identical", "is twice the same picture", fatal=True)]
    if dark.mean() >= light.mean():
        means = f"mean {dark.mean():.0f}, light {light.mean():.0f}"
        return [PairProblem(pair.name, "swapped", f"seems swapped: dark has {means}", fatal=True)]

    findings = []
    if min(dark.shape[:2]) >= MIN_SIDE_TO_ALIGN:
        rows, columns, error = shift_between(dark, light)
        if error > 0.9:
            text = "has no structure in common: two scenes, or nothing in the picture"
            findings.append(PairProblem(pair.name, "unrelated", text, fatal=False))
        elif max(abs(rows), abs(columns)) > SHIFT_TOLERANCE:
            text = f"is shifted by {rows:+.2f} rows and {columns:+.2f} columns (tolerance {SHIFT_TOLERANCE})"
            findings.append(PairProblem(pair.name, "shifted", text, fatal=False))
    white, black = float((light.min(axis=2) >= 250).mean()), float((dark.max(axis=2) == 0).mean())
    if white > SATURATED_SHARE or black > BLACK_SHARE:
        text = f"is saturated: {white:.0%} of the light picture white, {black:.0%} of the dark one black"
        findings.append(PairProblem(pair.name, "saturated", text, fatal=False))
    return findings


def _files_of_folder(folder: Path) -> dict[str, tuple[Path, Path]]:
    for root in (folder, folder / "our485"):
        low, high = root / "low", root / "high"
        if low.is_dir() and high.is_dir():
            break
    else:
        raise UsageError(f"{folder} holds no pairs", "give a folder with low/ and high/, or a CSV")
    lights, darks = _images(high), _images(low)
    alone = sorted(lights.keys() ^ darks.keys(), key=_natural)
    if alone:
        raise UsageError(
            f"{root} has pictures without a partner: {_some(alone)}", "low/ and high/ must match"
        )
    if not lights:
        raise UsageError(f"{root} holds no pictures", f"known are {', '.join(IMAGE_EXTENSIONS)}")
    return {name: (darks[name], lights[name]) for name in sorted(lights, key=_natural)}


def _files_of_csv(path: Path) -> dict[str, tuple[Path, Path]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            rows = [(number, row) for number, row in enumerate(csv.reader(file), 1) if row]
        except (UnicodeDecodeError, csv.Error) as error:
            raise UsageError(f"{path} is no CSV ({error})", "give two columns, dark and light") from None
    if rows and [cell.strip().lower() for cell in rows[0][1]] in (["dark", "light"], ["low", "high"]):
        rows = rows[1:]
    files: dict[str, tuple[Path, Path]] = {}
    for number, row in rows:
        if len(row) != 2:
            raise UsageError(f"{path} line {number} has {len(row)} columns", "give two, dark and light")
        dark, light = (path.parent / cell.strip() for cell in row)
        for image in (dark, light):
            if not image.is_file():
                raise UsageError(f"{path} line {number}: there is no file {image}", "mend the path")
        if light.stem in files:
            raise UsageError(f"{path} line {number}: a second pair named {light.stem}", "give each a name")
        files[light.stem] = (dark, light)
    if not files:
        raise UsageError(f"{path} holds no pairs", "give two columns, dark and light")
    return files


def _images(folder: Path) -> dict[str, Path]:
    return {file.stem: file for file in sorted(folder.iterdir()) if file.suffix.lower() in IMAGE_EXTENSIONS}


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key that puts 9 before 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name) if part]


def _some(names: Sequence[str] | dict, most: int = 12) -> str:
    listed = list(names)
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")


def _read_pair(name: str, dark: Path, light: Path) -> RealPair:
    dark_data, light_data = dark.read_bytes(), light.read_bytes()
    return RealPair(
        name,
        _decode(dark_data, dark),
        _decode(light_data, light),
        hashlib.sha256(dark_data).hexdigest(),
        hashlib.sha256(light_data).hexdigest(),
        jpeg_quality(dark_data),
    )


def _decode(data: bytes, path: Path) -> np.ndarray:
    try:
        return decode_rgb8(data)[0]
    except ImageError as error:
        raise DimmagenError(f"{path} cannot be read as a photo: {error.reason}", "replace it") from None
