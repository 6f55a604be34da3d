"""The photos that are enhanced, and the names of the results."""

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from dimmagen.core.errors import UsageError
from dimmagen.core.machine import is_machine_trouble, machine_error
from dimmagen.core.outputs import refuse_alike
from dimmagen.core.system_files import is_system_name
from dimmagen.core.text import pluralize
from dimmagen.images import codec
from dimmagen.images.facts import remedy

_LOG = logging.getLogger(__name__)


def read_photo(path: Path) -> tuple[np.ndarray, codec.Metadata]:
    """The pixels of an image, uint8 (H, W, 3) RGB, and its metadata.

    Raises:
        UsageError: it cannot be read, or is not an image that can be converted to 8-bit RGB.
    """
    with _usage_errors(path):
        data = path.read_bytes()
        return codec.decode_rgb8(data, color_managed=True)[0], codec.read_metadata(data)


def photos_of(paths: Sequence[Path]) -> list[Path]:
    """The given photos and those in the given folders, each once, without hidden and system files.

    What else a folder holds is logged.

    Raises:
        UsageError: a path is missing, or a folder has no photo.
    """
    photos = []
    for path in paths:
        if not path.is_dir():
            if not path.exists():
                raise UsageError(
                    f"{path} does not exist", "check the path", code="missing-path", path=str(path)
                )
            photos.append(path)
            continue
        inside = [file for file in sorted(path.iterdir()) if not is_system_name(file.name)]
        found = [file for file in inside if _is_photo(file)]
        if not found:
            raise UsageError(
                f"{path} has no photo directly in it ({' '.join(codec.IMAGE_EXTENSIONS)})",
                "give the folder of the photos",
                code="no-match",
                path=str(path),
            )
        photos += found
        if others := [file for file in inside if not _is_photo(file)]:
            _LOG.info("Note: left out of %s: %s", path, _counted(others))
    return list(dict.fromkeys(photos))


def _is_photo(path: Path) -> bool:
    return path.suffix.lower() in codec.IMAGE_EXTENSIONS and not path.is_dir() and not _is_endless(path)


def _is_endless(path: Path) -> bool:
    """Whether what a folder holds is a pipe, a socket or a device, which may give nothing or no end."""
    try:
        return path.exists() and not path.is_dir() and not path.is_file()
    except OSError:  # links in a circle, on some systems
        return False


def _counted(others: Sequence[Path]) -> str:
    """What a folder has besides photos: `3 .nef, 1 .txt, 2 folders`."""
    endless = sum(map(_is_endless, others))
    files = Counter(
        path.suffix.lower() or path.name for path in others if not path.is_dir() and not _is_endless(path)
    )
    common = files.most_common(5)
    rest = sum(files.values()) - sum(count for _, count in common)
    folders = len(others) - sum(files.values()) - endless
    counts = [f"{count} {kind}" for kind, count in common]
    counts += [pluralize(rest, "other file")] if rest else []
    counts += [pluralize(endless, "pipe or device", "pipes or devices")] if endless else []
    return ", ".join(counts + ([pluralize(folders, "folder")] if folders else []))


@contextmanager
def _usage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except codec.ImageError as error:
        damaged = error.rule == "unreadable"
        todo = "leave it out, or get the file again" if damaged else "convert it to an 8-bit RGB image"
        raise UsageError(
            f"{path}: {error.reason}",
            remedy([error.reason], todo),
            code="unreadable-image",
            path=str(path),
        ) from None
    except OSError as error:
        if is_machine_trouble(error) and not isinstance(error, PermissionError):
            raise machine_error(error, path) from error
        raise UsageError(
            f"{path} cannot be read ({error.strerror})", "check the path", code="missing-path", path=str(path)
        ) from None


def result_names(photos: Sequence[Path], out: Path) -> dict[Path, str]:
    """The file name, without extension, of each photo's result: the photo's.

    Photos that differ in their type alone (`a.jpg` and `a.heic`) keep it in the names: `a.jpg.png`.

    Raises:
        UsageError: a result would replace another one or a photo.
    """
    stems = Counter(photo.stem for photo in photos)
    names: dict[Path, str] = {}
    for photo in photos:
        name = photo.stem if stems[photo.stem] == 1 else photo.name
        if name in names.values():
            raise UsageError(
                f"two photos are named {name}",
                "enhance them into two folders, with `out`",
                code="name-taken",
                name=name,
            )
        if out.exists() and os.path.samefile(photo.resolve().parent, out):
            raise UsageError(
                f"{photo} is in the folder of the results, {out}",
                "give another `out`",
                code="no-room",
                path=str(photo),
            )
        names[photo] = name
    refuse_alike(out, (f"{name}.png" for name in names.values()))
    return names
