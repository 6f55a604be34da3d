"""HEIC and HEIF pictures, by the optional package pi-heif (or pillow-heif, which has the same reader)."""

import io
from functools import cache
from importlib import import_module
from importlib.metadata import version

from PIL import Image

_PACKAGES = ("pi_heif", "pillow_heif")
_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)
_AVIF_BRANDS = frozenset({b"avif", b"avis"})


def is_heif(data: bytes) -> bool:
    """Whether a file is HEIF by its brands (ISO/IEC 23008-12); AVIF, in the same container, is not."""
    if data[4:8] != b"ftyp" or data[8:12] not in _BRANDS:
        return False
    size = int.from_bytes(data[:4], "big")
    compatible = {data[place : place + 4] for place in range(16, min(size, 256), 4)}
    return not (compatible & _AVIF_BRANDS)


def open_heif(data: bytes) -> Image.Image:
    """Open a HEIF picture as Pillow opens others: only its header is read.

    Raises:
        ModuleNotFoundError: no package for it is installed.
    """
    return import_module(f"{_package()}.as_plugin").HeifImageFile(io.BytesIO(data))


@cache
def _package() -> str:
    for name in _PACKAGES:
        try:
            import_module(name)
        except ModuleNotFoundError:
            continue
        return name
    raise ModuleNotFoundError("neither pi-heif nor pillow-heif is installed")


def library_version() -> str:
    """Name and version of the package that reads HEIF; `absent` if there is none."""
    try:
        name = _package().replace("_", "-")
    except ModuleNotFoundError:
        return "absent"
    return f"{name} {version(name)}"
