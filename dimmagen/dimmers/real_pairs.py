"""Real dark/light pairs of one camera, as they are read.

Accepted are the folders of :mod:`dimmagen.dimmers.pair_layouts`, the lists of
:mod:`dimmagen.dimmers.pair_lists` and the patterns of :mod:`dimmagen.dimmers.pair_patterns`; docs/pairs.md
describes them.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dimmagen.core import hashing, storage
from dimmagen.core.errors import DimmagenError, UnknownNameError, UsageError
from dimmagen.core.registry import did_you_mean
from dimmagen.dimmers.jpeg import jpeg_quality
from dimmagen.dimmers.jpeg_traces import former_jpeg_quality
from dimmagen.dimmers.pair_layouts import pairs_of_folder
from dimmagen.dimmers.pair_lists import pairs_of_list
from dimmagen.dimmers.pair_matching import FoundPairs, listed
from dimmagen.dimmers.pair_patterns import is_pattern, pairs_of_pattern
from dimmagen.images.camera_name import camera_name
from dimmagen.images.codec import IMAGE_EXTENSIONS, ImageError, decode_rgb8
from dimmagen.images.facts import ImageFacts, remedy

_LOG = logging.getLogger(__name__)

_MAX_TOLD = 5
_PACKED = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar")


@dataclass(frozen=True, slots=True, eq=False)
class RealPair:
    """One scene, dark and light.

    Attributes:
        name: file name of the light image without its extension, or a longer name where that is not unique
            (:func:`~dimmagen.dimmers.pair_matching.name_pairs`).
        dark, light: uint8 (H, W, 3), RGB; of equal size if
            :func:`~dimmagen.dimmers.pair_problems.check_pairs` finds nothing fatal.
        dark_sha256, light_sha256: of the files' bytes, hex.
        jpeg_quality: of the dark file, 1 to 100, or of the JPEG that it was decoded from, by its traces
            (:mod:`~dimmagen.dimmers.jpeg_traces`); 0 if the dark image was no JPEG.
        camera: maker and model by the EXIF data of the dark file; empty without them.
        was_jpeg: whether the dark file was decoded from a JPEG and stored in another format.
    """

    name: str
    dark: np.ndarray
    light: np.ndarray
    dark_sha256: str
    light_sha256: str
    jpeg_quality: int = 0
    camera: str = ""
    was_jpeg: bool = False


def load_pairs(path: str | Path, names: Sequence[str] | None = None) -> list[RealPair]:
    """Read pairs; what of `path` was taken is logged, if it is not all of it.

    Args:
        path: folder with the folders of the two sides, such as `low/` and `high/`; root of a data set, whose
            training split is used; CSV file; or pattern `DARK -> LIGHT` of file names (docs/pairs.md).
        names: names of the pairs to read (file names without extension), in this order; default all, in
            natural order or that of the CSV file.

    Returns:
        The pairs, unchecked: see :func:`~dimmagen.dimmers.pair_problems.check_pairs`.

    Raises:
        UsageError: the path or a name does not exist, an image has no partner, there are no pairs, or they
            can be read in several ways.
        DimmagenError: images cannot be decoded; all of them are named.
    """
    found = _find(path)
    if found.note:
        _LOG.info("Note: %s", found.note)
    files = found.files
    if names is not None:
        missing = [name for name in names if name not in files]
        if missing:
            raise UnknownNameError(
                f"{path} has no pair named {', '.join(missing)}",
                f"{did_you_mean(missing[0], files)}it has {listed(files)}",
                kind="pair",
                name=missing[0],
            )
        files = {name: files[name] for name in names}
    pairs, reasons = [], {}
    for name, sides in files.items():
        decoded = []
        for path in sides:
            try:
                decoded.append(_read(path))
            except ImageError as error:
                reasons[path] = error.reason
        if len(decoded) == 2:
            pairs.append(_pair(name, *decoded))
    if reasons:
        raise _unreadable(reasons)
    return pairs


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
    refuse_unknown_pairs(pairs, names, "hold out")
    kept = [pair for pair in pairs if pair.name not in names]
    if not kept:
        raise UsageError("all pairs are held out", "hold out fewer", code="no-match", names=list(names))
    return kept, [pair for pair in pairs if pair.name in names]


def refuse_unknown_pairs(pairs: Sequence[RealPair], names: Sequence[str], to_what: str) -> None:
    """Raise an UnknownNameError if there is no pair of one of the names.

    Args:
        pairs: from :func:`load_pairs`.
        names: that a user has given.
        to_what: the end of the sentence "there is no pair named ... to ...".
    """
    known = [pair.name for pair in pairs]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UnknownNameError(
            f"there is no pair named {', '.join(unknown)} to {to_what}",
            f"{did_you_mean(unknown[0], known)}the pairs are {listed(known)}",
            kind="pair",
            name=unknown[0],
        )


def _find(path: str | Path) -> FoundPairs:
    if is_pattern(str(path)):
        return pairs_of_pattern(str(path))
    place = storage.only_local(path).expanduser()
    if place.is_file():
        _refuse_no_list(place)
        return pairs_of_list(place)
    if not place.is_dir() and place.exists():  # <(...) in a shell; pairs are read more than once
        raise UsageError(
            f"{place} is a device or a pipe, not a file",
            "write the list of the pairs to a file, and give that",
            code="wrong-format",
            path=str(place),
        )
    if not place.is_dir():
        raise UsageError(
            f"there is no file or folder {place}", "correct the path", code="missing-path", path=str(place)
        )
    return pairs_of_folder(place)


def _refuse_no_list(path: Path) -> None:
    """Refuse a file that is not a list by its name: an archive, or one image."""
    ending = path.suffix.lower()
    if ending in _PACKED:
        what, todo = "is packed: pairs are read from folders", "unpack it, and give the folder"
    elif ending in IMAGE_EXTENSIONS:
        what, todo = (
            "is one image",
            "give the folder of the pairs, or a CSV file with two columns, dark and light",
        )
    else:
        return
    raise UsageError(f"{path} {what}", todo, code="wrong-format", path=str(path))


_Decoded = tuple[bytes, np.ndarray, ImageFacts]
"""An image: the bytes of its file, uint8 (H, W, 3) sRGB, and what is known of it."""


def _read(path: Path) -> _Decoded:
    if not path.is_file():
        what = "is a device or a pipe, not a file" if path.exists() else "is a broken link"
        raise ImageError("unreadable", what)
    data = storage.read(path)
    return data, *decode_rgb8(data, color_managed=True)


def _pair(name: str, dark: _Decoded, light: _Decoded) -> RealPair:
    data, pixels, facts = dark
    quality = jpeg_quality(data)
    former = 0 if quality else former_jpeg_quality(_before_icc(data, pixels, facts))
    return RealPair(
        name,
        pixels,
        light[1],
        hashing.sha256(data),
        hashing.sha256(light[0]),
        quality or former,
        camera_name(data),
        former > 0,
    )


def _before_icc(data: bytes, pixels: np.ndarray, facts: ImageFacts) -> np.ndarray:
    """The pixels as they are stored: a conversion to sRGB leaves no traces of JPEG."""
    return decode_rgb8(data, is_whole=True)[0] if "icc" in facts.transform.split("+") else pixels


def _unreadable(reasons: Mapping[Path, str]) -> DimmagenError:
    """The error of all images that cannot be decoded: data sets of hundreds of pairs have several."""
    paths: dict[str, list[str]] = {}
    for path, reason in reasons.items():
        paths.setdefault(reason, []).append(str(path))
    told = [f"{listed(of)}: {reason}" for reason, of in paths.items()]
    if more := sum(map(len, list(paths.values())[_MAX_TOLD:])):
        told[_MAX_TOLD:] = [f"and {more} more"]
    return DimmagenError(
        "; ".join(told),
        remedy(paths, "replace it" if len(reasons) == 1 else "replace them"),
        code="unreadable-image",
        path=str(next(iter(reasons))),
        paths=[str(path) for path in reasons],
    )
