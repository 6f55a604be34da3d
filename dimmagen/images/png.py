"""Arrays to PNG files whose bytes are the same on every machine."""

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from dimmagen.images.facts import Metadata

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FIRST_CHUNK = 33  # bytes of the signature and the header before it


RESULT = ("Software", "dimmagen")
"""The keyword and text of the chunk that distinguishes results for people, such as sheets, from photos."""


def encode_png(pixels: np.ndarray, metadata: Metadata | None = None, is_result: bool = False) -> bytes:
    """Encode a PNG file whose bytes depend only on the pixels and the metadata.

    Row filter "up", one IDAT chunk, Huffman codes only (:mod:`dimmagen.images.png_deflate`): about 2 ms for
    512x512, and smaller than the default of Pillow on noisy dark images.

    Args:
        pixels: uint8 (H, W, 3) RGB.
        metadata: written with the pixels; None for none.
        is_result: whether it is one for people, see :func:`is_result_png`.

    Raises:
        ValueError: the pixels have another type or shape, or there are none.
    """
    from dimmagen.images.png_deflate import compress  # numba: slow to import, not needed for decoding

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
    del filtered  # a large image must not be in memory more often than needed
    extra = [_result_chunk()] if is_result else []
    return _png_file(header, [*extra, *_metadata_chunks(metadata or Metadata())], compressed)


def is_result_png(data: bytes) -> bool:
    """Whether a file is a sheet or an enhanced photo that dimmagen wrote, and no one has changed since."""
    return data.startswith(PNG_SIGNATURE) and data.startswith(_result_chunk(), _FIRST_CHUNK)


def _result_chunk() -> bytes:
    return chunk(b"tEXt", b"\0".join(part.encode() for part in RESULT))


def encode_mask_png(mask: np.ndarray, palette: bytes = b"") -> bytes:
    """Encode a mask as a PNG file whose bytes depend only on the arguments.

    Args:
        mask: uint8 or uint16 (H, W), not empty.
        palette: RGB bytes of the colours of its values, for uint8; empty for a gray image.

    Raises:
        ValueError: the mask has another type or shape, or is empty.
    """
    from dimmagen.images.png_deflate import compress

    if mask.dtype not in (np.uint8, np.uint16) or mask.ndim != 2 or mask.size == 0:
        raise ValueError(f"encode_mask_png takes uint8 or uint16 (H, W), got {mask.dtype} {mask.shape}")
    height, width = mask.shape
    rows = mask.astype(mask.dtype.newbyteorder(">")).view(np.uint8).reshape(height, -1)
    filtered = np.zeros((height, 1 + rows.shape[1]), np.uint8)  # the filter type "none"
    filtered[:, 1:] = rows
    kind = 3 if palette else 0
    header = struct.pack(">IIBBBBB", width, height, 8 * mask.itemsize, kind, 0, 0, 0)
    return _png_file(header, [chunk(b"PLTE", palette)] if palette else (), compress(filtered))


def _png_file(header: bytes, extra: Iterable[bytes], compressed: Sequence[bytes | memoryview]) -> bytes:
    """A PNG file from the content of its header, chunks before its data, and its data."""
    from dimmagen.images.png_deflate import checksums

    check = zlib.crc32(b"IDAT")
    for part in compressed:
        check = checksums.crc32(part, check)
    size = struct.pack(">I", sum(map(len, compressed)))
    data = (size, b"IDAT", *compressed, struct.pack(">I", check))  # as chunk, without a copy
    return b"".join((PNG_SIGNATURE, chunk(b"IHDR", header), *extra, *data, chunk(b"IEND", b"")))


def _metadata_chunks(metadata: Metadata) -> Iterator[bytes]:
    if metadata.icc_profile:  # a name, the method of compression 0, the profile (PNG, 11.3.2.3)
        yield chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc_profile))
    if metadata.exif:
        yield chunk(b"eXIf", metadata.exif)


def chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG file: its length, its kind of four letters, its content and their CRC-32."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
