"""Real dark/light pairs of one camera: reading them, and finding those that do not fit together.

Accepted are a folder with `low/` and `high/` (equal file names), LOL's root (its `our485` is used), and a CSV
file with two columns, the dark file and the light file, relative to the CSV.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.registration import phase_cross_correlation

from dimmagen.core import hashing
from dimmagen.core.errors import DimmagenError, UnknownNameError, UsageError
from dimmagen.core.system_files import is_system_name
from dimmagen.dimmers.jpeg import jpeg_quality
from dimmagen.images.codec import IMAGE_EXTENSIONS, ImageError, decode_rgb8

SHIFT_TOLERANCE = 0.5  # pixels; LOL's own pairs are shifted by at most 0.9, all but a few by at most 0.3
MAX_SHIFT = 2.0  # pixels; beyond it the noise of a fit is that of edges which do not meet
# Error of the alignment, 0 to 1: of 87 real pairs of three cameras the worst has 0.67; of other scenes,
# mirrored and turned images the best has 0.84.
MAX_STRUCTURE_ERROR = 0.75
MIN_SIDE_TO_ALIGN = 128  # pixels; smaller images have too little structure to distinguish a shift from noise
SATURATED_SHARE = 0.25  # of the light image at full scale, where the colour is lost
BLACK_SHARE = 0.5  # of the dark image that is exactly black
_MAX_LISTED = 12  # names in a message


@dataclass(frozen=True, slots=True, eq=False)
class RealPair:
    """One scene, dark and light.

    Attributes:
        name: file name of the light image without its extension.
        dark, light: uint8 (H, W, 3), RGB; of equal size if :func:`check_pairs` finds nothing fatal.
        dark_sha256, light_sha256: of the files' bytes, hex.
        jpeg_quality: of the dark file, 1 to 100; 0 if it is not a JPEG.
    """

    name: str
    dark: np.ndarray
    light: np.ndarray
    dark_sha256: str
    light_sha256: str
    jpeg_quality: int = 0


@dataclass(frozen=True, slots=True)
class PairProblem:
    """A problem of one pair.

    Attributes:
        name: of the pair.
        problem: `size`, `identical`, `swapped`, `shifted`, `unrelated` or `saturated`.
        detail: the end of the sentence "pair NAME ...".
        fatal: whether the pair cannot be fitted.
        mismatched: whether the two images are probably not a pair: a profile is fitted to it only on
            request. Other problems are reported and recorded.
    """

    name: str
    problem: str
    detail: str
    fatal: bool
    mismatched: bool = False

    def __str__(self) -> str:
        return f"pair {self.name} {self.detail}"


def load_pairs(path: str | Path, names: Sequence[str] | None = None) -> list[RealPair]:
    """Read pairs.

    Args:
        path: folder with `low/` and `high/`, LOL's root, or a CSV of two columns (dark, light).
        names: names of the pairs to read (file names without extension), in this order; default all, in
            natural order.

    Returns:
        The pairs, unchecked: see :func:`check_pairs`.

    Raises:
        UsageError: the path or a name does not exist, an image has no partner, or there are no pairs.
        DimmagenError: an image cannot be decoded.
    """
    path = Path(path)
    files = _files_of_csv(path) if path.is_file() else _files_of_folder(path)
    if names is not None:
        missing = [name for name in names if name not in files]
        if missing:
            raise UnknownNameError(
                f"{path} has no pair named {', '.join(missing)}",
                f"it has {_listed(files)}",
                kind="pair",
                name=missing[0],
            )
        files = {name: files[name] for name in names}
    return [_read_pair(name, dark, light) for name, (dark, light) in files.items()]


def split_held_out(pairs: Sequence[RealPair], names: Sequence[str]) -> tuple[list[RealPair], list[RealPair]]:
    """Split pairs into those to work with and those that are held out.

    Args:
        pairs: from :func:`load_pairs`.
        names: of the pairs to hold out; may be empty.

    Returns:
        (remaining pairs, held-out pairs), each in the order of `pairs`.

    Raises:
        UsageError: there is no pair of a name, or all pairs are held out.
    """
    known = [pair.name for pair in pairs]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UnknownNameError(
            f"there is no pair named {', '.join(unknown)} to hold out",
            f"the pairs are {_listed(known)}",
            kind="pair",
            name=unknown[0],
        )
    kept = [pair for pair in pairs if pair.name not in names]
    if not kept:
        raise UsageError("all pairs are held out", "hold out fewer", code="no-match", names=list(names))
    return kept, [pair for pair in pairs if pair.name in names]


def check_pairs(pairs: Sequence[RealPair]) -> list[PairProblem]:
    """Find pairs that do not fit together, and name them.

    Fatal problems are different sizes, identical images, and swapped images (the dark one is brighter). Other
    problems are a shift of more than SHIFT_TOLERANCE pixels, no common structure (both for images of at least
    MIN_SIDE_TO_ALIGN), and images so saturated or black that little can be learned from them.
    """
    return [finding for pair in pairs for finding in _check(pair)]


def refuse_unsuitable_pairs(findings: Sequence[PairProblem]) -> None:
    """Raise a UsageError that names every pair with a fatal problem, if there is one."""
    fatal = [str(finding) for finding in findings if finding.fatal]
    if fatal:
        raise UsageError(
            "; ".join(fatal), "correct these pairs, or exclude them with `names`", code="unsuitable-pairs"
        )


def refuse_mismatched_pairs(findings: Sequence[PairProblem], keep: Sequence[str] = ()) -> None:
    """Raise a UsageError that names every pair whose images probably do not belong together.

    One such pair among five triples the noise of the fitted camera.

    Args:
        findings: from :func:`check_pairs`.
        keep: names of pairs to accept all the same.
    """
    wrong = [finding for finding in findings if finding.mismatched and finding.name not in keep]
    if wrong:
        names = ",".join(dict.fromkeys(finding.name for finding in wrong))
        raise UsageError(
            "; ".join(map(str, wrong)),
            f'leave them out with `hold_out="{names}"`, or accept them with `keep="{names}"`',
            code="unsuitable-pairs",
            names=names.split(","),
        )


def shift_between(dark: np.ndarray, light: np.ndarray) -> tuple[float, float, float]:
    """Sub-pixel shift of the dark image relative to the light one.

    The square roots of the images are band-passed, normalised by their local contrast and cross-correlated,
    so that neither the exposure nor the noise of the dark image matters; the resolution is 1/20 pixel.

    Args:
        dark, light: uint8 (H, W, 3), RGB, of equal size.

    Returns:
        (rows, columns, error): the content of `dark` is shifted by that many pixels down and to the right;
        the error is 0 for equal structure and close to 1 for no common structure.
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
        shift = max(abs(rows), abs(columns))
        if error > MAX_STRUCTURE_ERROR:
            text = "has no structure in common: two scenes, or nothing in the picture"
            findings.append(PairProblem(pair.name, "unrelated", text, fatal=False, mismatched=True))
        elif shift > SHIFT_TOLERANCE:
            text = f"is shifted by {rows:+.2f} rows and {columns:+.2f} columns (tolerance {SHIFT_TOLERANCE})"
            findings.append(PairProblem(pair.name, "shifted", text, False, mismatched=shift > MAX_SHIFT))
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
        raise UsageError(
            f"{folder} holds no pairs",
            "give a folder with low/ and high/, or a CSV file",
            code="missing-path",
            path=str(folder),
        )
    lights, darks = _images(high), _images(low)
    alone = sorted(lights.keys() ^ darks.keys(), key=_natural)
    if alone:
        raise UsageError(
            f"{root} has images without a partner: {_listed(alone)}",
            "low/ and high/ must hold files of the same names",
            code="unsuitable-pairs",
            path=str(root),
        )
    if not lights:
        raise UsageError(
            f"{root} holds no images",
            f"supported are {', '.join(IMAGE_EXTENSIONS)}",
            code="missing-path",
            path=str(root),
        )
    return {name: (darks[name], lights[name]) for name in sorted(lights, key=_natural)}


def _files_of_csv(path: Path) -> dict[str, tuple[Path, Path]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            rows = [(number, row) for number, row in enumerate(csv.reader(file), 1) if row]
        except (UnicodeDecodeError, csv.Error) as error:
            raise UsageError(
                f"{path} is not a CSV file ({error})",
                "give two columns, dark and light",
                code="wrong-format",
                path=str(path),
            ) from None
    if rows and [cell.strip().lower() for cell in rows[0][1]] in (["dark", "light"], ["low", "high"]):
        rows = rows[1:]
    files: dict[str, tuple[Path, Path]] = {}
    for number, row in rows:
        if len(row) != 2:
            raise UsageError(
                f"{path} line {number} has {len(row)} columns",
                "give two, dark and light",
                code="wrong-format",
                path=str(path),
                line=number,
            )
        dark, light = (path.parent / cell.strip() for cell in row)
        for image in (dark, light):
            if not image.is_file():
                raise UsageError(
                    f"{path} line {number}: there is no file {image}",
                    "correct the path",
                    code="missing-path",
                    path=str(image),
                    line=number,
                )
        if light.stem in files:
            raise UsageError(
                f"{path} line {number}: there is already a pair named {light.stem}",
                "give every light file a name of its own",
                code="name-taken",
                name=light.stem,
                line=number,
            )
        files[light.stem] = (dark, light)
    if not files:
        raise UsageError(
            f"{path} holds no pairs",
            "give two columns, dark and light",
            code="missing-path",
            path=str(path),
        )
    return files


def _images(folder: Path) -> dict[str, Path]:
    images = (file for file in sorted(folder.iterdir()) if file.suffix.lower() in IMAGE_EXTENSIONS)
    return {file.stem: file for file in images if not is_system_name(file.name)}


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key of the natural order, in which 9 comes before 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name) if part]


def _listed(names: Iterable[str]) -> str:
    """The first names, and the number of the others."""
    known = list(names)
    more = f" and {len(known) - _MAX_LISTED} more" if len(known) > _MAX_LISTED else ""
    return ", ".join(known[:_MAX_LISTED]) + more


def _read_pair(name: str, dark: Path, light: Path) -> RealPair:
    dark_data, light_data = dark.read_bytes(), light.read_bytes()
    return RealPair(
        name,
        _decode(dark_data, dark),
        _decode(light_data, light),
        hashing.sha256(dark_data),
        hashing.sha256(light_data),
        jpeg_quality(dark_data),
    )


def _decode(data: bytes, path: Path) -> np.ndarray:
    try:
        return decode_rgb8(data, color_managed=True)[0]
    except ImageError as error:
        raise DimmagenError(
            f"{path} cannot be decoded: {error.reason}",
            "replace it",
            code="unreadable-image",
            path=str(path),
        ) from None
