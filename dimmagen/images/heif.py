"""HEIC and HEIF images, by the optional package pi-heif (or pillow-heif, which has the same reader)."""

import io
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from itertools import islice
from types import ModuleType

from PIL import Image

from dimmagen.core.environment import package_version
from dimmagen.images.facts import INSTALL

_PACKAGES = ("pi_heif", "pillow_heif")
_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_ITEM = re.compile(b"infe")
_MAX_ITEM_BYTES = 1024
_MAX_ITEMS = 2**16


class NoReaderError(Exception):
    """No package reads HEIF here; the message says it of a photo, and what to do."""


def is_heif(data: bytes) -> bool:
    """Whether a file is HEIF by its brands (ISO/IEC 23008-12); AVIF, in the same container, is not."""
    if data[4:8] != b"ftyp" or data[8:12] not in _BRANDS:
        return False
    size = int.from_bytes(data[:4], "big")
    compatible = {data[place : place + 4] for place in range(16, min(size, 256), 4)}
    return not (compatible & _AVIF_BRANDS)


def open_heif(data: bytes) -> Image.Image:
    """Open a HEIF image as Pillow opens others: only its header is read.

    Raises:
        NoReaderError: no package for it is installed, or it is broken.
        ValueError: its package would crash on it.
    """
    if has_unreadable_items(data):
        raise ValueError("the type of an item is not UTF-8")
    package, reader, fault = _package()
    if reader is None:
        if not package:
            raise NoReaderError(f"is a HEIC picture: to read it, {INSTALL} 'dimmagen[heif]'")
        fails = f"is a HEIC picture, and {package} is installed but fails ({fault})"
        raise NoReaderError(f"{fails}: {INSTALL} --force-reinstall {package}")
    return reader.HeifImageFile(io.BytesIO(data))


def has_unreadable_items(data: bytes) -> bool:
    """Whether the kind of an item of a HEIF file (ISO/IEC 14496-12, `infe`) is not UTF-8.

    pi-heif up to 1.4 crashes on these (github.com/bigcat88/pillow_heif/pull/478). Every `infe` outside the
    pixels is looked at, wherever it is, so that libheif finds none that was not.
    """
    found = (
        _item_kind(part, match.end())
        for part in _parts_without_pixels(data)
        for match in _ITEM.finditer(part)
    )
    kinds = list(islice(found, _MAX_ITEMS + 1))
    try:
        b"\0".join(kinds).decode()
    except UnicodeDecodeError:
        return True
    return len(kinds) > _MAX_ITEMS


def _parts_without_pixels(data: bytes) -> Iterator[bytes]:
    """The boxes of a file but `mdat`, and what is behind them."""
    place = 0
    for _ in range(_MAX_ITEMS):
        if len(data) - place < 8:
            break
        size, header = int.from_bytes(data[place : place + 4], "big"), 8
        if size == 1:  # it is behind the name
            size, header = int.from_bytes(data[place + 8 : place + 16], "big"), 16
        end = len(data) if size < header else min(place + size, len(data))
        if data[place + 4 : place + 8] != b"mdat" or 0 < size < header:
            yield data[place:end]
        place = end
    yield data[place:]


def _item_kind(part: bytes, place: int) -> bytes:
    """The item type and the content type of the `infe` box whose version is at a place of a part.

    The last byte is not UTF-8 where it has more text than any real one.
    """
    edition = part[place] if place < len(part) else 0
    name = place + {0: 8, 1: 8, 2: 12}.get(edition, 14)  # behind flags, number, protection and type
    kind = part[name - 4 : name] if edition >= 2 else b"mime"
    if kind != b"mime":
        return kind
    text = part[name : name + _MAX_ITEM_BYTES]
    content_type = text.partition(b"\0")[2].partition(b"\0")[0]
    is_cut = len(text) == _MAX_ITEM_BYTES and text.count(0) < 2
    return content_type + (b"\xff" if is_cut else b"")


@cache
def _package() -> tuple[str, ModuleType | None, str]:
    """The package that reads HEIF, its reader, and what is wrong with it; without a reader if there is none.

    The name is empty if none is installed.
    """
    broken = "", ""
    for name in _PACKAGES:
        try:
            import_module(name)
            return name.replace("_", "-"), import_module(f"{name}.as_plugin"), ""
        except Exception as error:  # a broken package may raise any
            if not (isinstance(error, ModuleNotFoundError) and error.name == name):
                broken = name.replace("_", "-"), " ".join(str(error).split()) or type(error).__name__
    return broken[0], None, broken[1]


def library_version() -> str:
    """Name and version of the package that reads HEIF, and whether it fails; `absent` if there is none."""
    name, reader, _ = _package()
    return f"{name} {package_version(name)}{'' if reader else ', which fails'}" if name else "absent"
