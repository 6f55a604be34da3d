"""Pictures from strangers to 8-bit RGB arrays, and arrays to PNG files whose bytes are equal everywhere.

The rules for what is converted and what is refused are written down in docs/sources-and-rules.md.
"""

import hashlib
import io
import re
import struct
import sys
import warnings
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from threading import Lock
from typing import cast

import numpy as np
from PIL import Image, UnidentifiedImageError

from dimmagen.core.errors import DimmagenError

MAX_PIXELS = 120_000_000
# Pillow decodes WebP with 16 bytes a pixel at once, the others with 4: both stay below 1 GiB with the array.
_MAX_WEBP_PIXELS = 50_000_000
MAX_BYTES = 512 * 2**20
_OF_PILLOW = ("ignore", None, Warning, re.compile(r"PIL\."), 0)  # as Python keeps its warning filters
_CONTEXT_AWARE = getattr(sys.flags, "context_aware_warnings", False)  # from Python 3.14 on

# Pillow is asked for these and nothing else: its rarer readers are not for strangers' files. A phone's
# MPO comes in as JPEG.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM", "GIF")
IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".gif")
_KEPT_EXTENSION = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "WEBP": "webp"}
_EXIF_ORIENTATION = 0x0112
_ADDRESS = re.compile(r"<[^>]* at 0x[0-9a-f]+>")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COPIED_PIXELS = 2**23  # at a time: the array of a large picture must not be in memory twice
# What stands a picture upright: whether rows and columns change places, then the direction of both.
_UPRIGHT = {
    2: (False, 1, -1),
    3: (False, -1, -1),
    4: (False, -1, 1),
    5: (True, 1, 1),
    6: (True, 1, -1),
    7: (True, -1, -1),
    8: (True, -1, 1),
}


class ImageError(DimmagenError):
    """A picture that cannot become 8-bit RGB.

    Attributes:
        rule: short name of the rule that refuses it: `unreadable`, `too-large`, `animated`, `palette`,
            `transparent` or `mode`.
        reason: one sentence for the catalog.
    """

    code = "unreadable-image"

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What a picture file was before it became 8-bit RGB.

    Attributes:
        width, height: upright, pixels.
        format: Pillow's name, such as `JPEG`.
        mode: Pillow's mode as stored, with `;16` behind it for 16-bit samples.
        transform: `verbatim`, or the names of the conversions made, joined by `+`.
        extension: of the light picture as stored: `jpg`, `png` or `webp`.
    """

    width: int
    height: int
    format: str
    mode: str
    transform: str
    extension: str


def decode_rgb8(data: bytes) -> tuple[np.ndarray, ImageFacts]:
    """Decode one picture file.

    The EXIF orientation is applied, gray becomes three equal channels, CMYK becomes RGB by Pillow's formula
    (1 - ink)(1 - key), 16-bit samples keep their high byte, an alpha channel that is opaque everywhere is
    dropped. Colour profiles are not applied, as trainers do not apply them either.

    Returns:
        uint8 (H, W, 3) RGB pixels, and the facts.

    Raises:
        ImageError: broken, too large, animated, palette, transparent, or of another mode.
    """
    with _opened(data) as image:
        facts = _facts(image, data)  # refuses bombs before they are unpacked
        image.load()
        turn = _turn(image)
        rgb, colour_step = _to_rgb(image)
        pixels = _array(rgb)
    del image, rgb  # their memory is free before the turned copy is made
    if turn:
        by_columns, down, across = turn
        upright = pixels.swapaxes(0, 1) if by_columns else pixels
        pixels = np.ascontiguousarray(upright[::down, ::across])
    steps = {
        "exif": turn is not None,
        "16bit": "16" in facts.mode,
        colour_step: bool(colour_step),
        "lossless": facts.format not in _KEPT_EXTENSION,
    }
    transform = "+".join(name for name, done in steps.items() if done) or "verbatim"
    extension = _KEPT_EXTENSION[facts.format] if transform == "verbatim" else "png"
    height, width, _ = pixels.shape
    return pixels, replace(facts, width=width, height=height, transform=transform, extension=extension)


def read_facts(data: bytes) -> ImageFacts:
    """The facts that stand in a picture file's header, without decoding it; `transform` is empty.

    Raises:
        ImageError: no picture, too large, or animated.
    """
    with _opened(data) as image:
        facts = _facts(image, data)
        turn = _turn(image)
        if turn and turn[0]:
            facts = replace(facts, width=facts.height, height=facts.width)
        return facts


def ignored_warnings() -> AbstractContextManager:
    """Pillow's warnings are ignored while a thread is inside the block.

    It warns of broken metadata, and of large pictures below our limit. Neither concerns the user, and where a
    process turns warnings into errors, no picture must be refused for one.
    """
    return _caught_warnings() if _CONTEXT_AWARE else _SHARED


@contextmanager
def _caught_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


class _SharedFilter:
    """One filter for all threads, which the first puts into Python's list and the last takes out of it.

    Where `warnings.catch_warnings` is not for threads, two that overlap may leave a filter behind. Each use
    makes Python show again whatever it has warned of before.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._threads = 0
        self._filters: list = []

    def __enter__(self) -> None:
        with self._lock:
            if self._threads == 0:
                self._filters = cast(list, warnings.filters)
                self._filters.insert(0, _OF_PILLOW)
            self._threads += 1

    def __exit__(self, *_) -> None:
        with self._lock:
            self._threads -= 1
            if self._threads == 0:
                with suppress(ValueError):  # warnings.resetwarnings() came meanwhile
                    self._filters.remove(_OF_PILLOW)


_SHARED = _SharedFilter()


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """Pillow's picture; whatever goes wrong with it inside the block becomes a ImageError."""
    if len(data) > MAX_BYTES:
        raise ImageError("too-large", f"{len(data)} bytes are more than {MAX_BYTES}")
    try:
        with ignored_warnings(), Image.open(io.BytesIO(data), formats=FORMATS) as image:
            yield image
    except DimmagenError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError("unreadable", f"is no picture of a known kind ({', '.join(FORMATS)})") from error
    except Image.DecompressionBombError as error:
        raise ImageError("too-large", f"more than {MAX_PIXELS} pixels") from error
    # Pillow lets almost any exception out of a broken file: struct.error, SyntaxError, KeyError ...
    except Exception as error:
        raise ImageError("unreadable", f"cannot be decoded: {_one_line(error)}") from error


def _turn(image: Image.Image) -> tuple[bool, int, int] | None:
    """What stands the picture upright (see :data:`_UPRIGHT`), None when it stands upright."""
    # PNG's own getexif would decode the whole picture in search of a chunk behind it.
    return _UPRIGHT.get(Image.Image.getexif(image).get(_EXIF_ORIENTATION, 1))


def _facts(image: Image.Image, data: bytes) -> ImageFacts:
    width, height = image.size
    file_format = image.format or ""
    largest = _MAX_WEBP_PIXELS if file_format == "WEBP" else MAX_PIXELS
    if width * height > largest:
        raise ImageError("too-large", f"{width}x{height} is more than {largest} pixels")
    # A phone's MPO holds a preview or a second view behind the photo: the first picture is the photo.
    count = getattr(image, "n_frames", 1)
    if count > 1 and file_format != "MPO":
        raise ImageError("animated", f"holds {count} pictures, not one")
    mode = image.mode
    if "16" not in mode and _is_sixteen_bit_png(data):
        mode += ";16"
    return ImageFacts(width, height, file_format, mode, "", "")


def _array(rgb: Image.Image) -> np.ndarray:
    """uint8 (H, W, 3), copied in bands."""
    width, height = rgb.size
    band = max(1, _COPIED_PIXELS // width)
    if band >= height:
        return np.array(rgb)
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, band):
        bottom = min(top + band, height)
        pixels[top:bottom] = np.asarray(rgb.crop((0, top, width, bottom)))
    return pixels


def _to_rgb(image: Image.Image) -> tuple[Image.Image, str]:
    """An 8-bit RGB picture, and the name of the colour conversion that was needed."""
    if image.mode == "P":
        raise ImageError("palette", "a palette of at most 256 colours is not a photo")
    if image.mode in ("RGBA", "LA") or "transparency" in image.info:
        image = image.convert("RGBA")
        if np.asarray(image.getchannel("A")).min() < 255:
            raise ImageError("transparent", "some pixels are transparent: what is behind them is unknown")
        return image.convert("RGB"), "opaque"
    if image.mode.startswith("I;16"):
        high_byte = (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
        return Image.fromarray(high_byte).convert("RGB"), "gray"
    if image.mode == "RGB":
        return image, ""
    if image.mode in ("L", "CMYK"):
        return image.convert("RGB"), "gray" if image.mode == "L" else "cmyk"
    raise ImageError("mode", f"pictures of Pillow's mode {image.mode} are not photos in 8 or 16 bits")


def _is_sixteen_bit_png(data: bytes) -> bool:
    """Pillow reads 16-bit colour as 8-bit RGB (the high byte) and does not say so; the header does."""
    return data.startswith(_PNG_SIGNATURE) and data[24:25] == b"\x10"


def _one_line(error: Exception) -> str:
    """An error as a reason for the catalog: the same for the same file, so without memory addresses."""
    text = " ".join(_ADDRESS.sub("", str(error)).split())
    return text[:200] or type(error).__name__


def encode_png(pixels: np.ndarray) -> bytes:
    """A PNG file whose bytes depend on the pixels alone.

    Row filter "up", one IDAT chunk, Huffman codes alone (:mod:`dimmagen.images.png_deflate`): about 2 ms for
    512x512, and smaller than Pillow's default on noisy dark pictures.

    Args:
        pixels: uint8 (H, W, 3) RGB.
    """
    from dimmagen.images.png_deflate import (  # numba: commands that encode nothing start without it
        checksums,
        compress,
    )

    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise ValueError(f"encode_png takes uint8 (H, W, 3), got {pixels.dtype} {pixels.shape}")
    height, width, _ = pixels.shape
    rows = pixels.reshape(height, width * 3)
    filtered = np.empty((height, 1 + width * 3), np.uint8)
    filtered[:, 0] = 2  # the filter type "up"
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    compressed = compress(filtered)
    del filtered  # a large picture must not be in memory more often than needed
    check = zlib.crc32(b"IDAT")
    for part in compressed:
        check = checksums.crc32(part, check)
    size = struct.pack(">I", sum(map(len, compressed)))
    data = (size, b"IDAT", *compressed, struct.pack(">I", check))  # as _chunk, without a copy
    return b"".join((_PNG_SIGNATURE, _chunk(b"IHDR", header), *data, _chunk(b"IEND", b"")))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def resize(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """uint8 (H, W, 3) resampled with Pillow's Lanczos filter, which widens to antialias when it reduces."""
    picture = Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS, reducing_gap=None)
    return np.array(picture)


def library_versions() -> dict[str, str]:
    """Versions of the libraries that decide the pixels of decoded and converted pictures."""
    return {name: version(name) for name in ("av", "numba", "numpy", "pillow")}


def pixel_sha256(pixels: np.ndarray) -> str:
    """SHA-256 of the decoded pixels, row by row, RGB, hex: equal for equal pictures in any file format."""
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()


def lightness(pixels: np.ndarray) -> float:
    """Mean of all pixels and channels of a uint8 picture, in [0, 1], 6 decimals (exact integer sum)."""
    rows = pixels.sum(axis=(1, 2), dtype=np.uint32)  # four times faster than int64, and a row fits
    return round(int(rows.sum(dtype=np.int64)) / (255 * pixels.size), 6)


def encode_webp(pixels: np.ndarray) -> bytes:
    """A lossless WebP file, uint8 (H, W, 3) RGB; its bytes depend on the pixels and on libwebp's version."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, quality=0, method=0, exact=True)
    return buffer.getvalue()
