"""Files of which a part was never written: an interrupted download or a full disk leaves zeros in its place.

Decoders of JPEG, WebP, AVIF and HEIC take zeros for image data, and give an image whose lower part is made
up, without an error. Other formats have checksums, or hold as many bytes as they have pixels.
"""

import struct
from collections.abc import Iterator

from dimmagen.images.jpeg_damage import lacks_end, state_of

_ZEROS = bytes(512)  # a sector of a disk
# WebP's encoder writes zeros for an area of one colour. Of lossy files it was one for 1500 pixels when it was
# tried, and of lossless ones, in which each pixel may have a code of zeros, one for 3 pixels: by method 0, by
# which dimmagen encodes.
_PIXELS_PER_ZERO, _LOSSLESS_PIXELS_PER_ZERO = 256, 2
_LOSSY_START = b"\x9d\x01\x2a"
_MAX_BOXES = 1024  # a photo has three or four
_EXIF_ZEROS = bytes(2**16)  # AVIF and HEIC may have EXIF data among their pixels, with fewer
_CUT = "ends in zeros: only its beginning was written"


def unfinished(data: bytes) -> str:
    """Why a file is not the whole image; empty if nothing says so.

    Args:
        data: bytes of an image file.

    Returns:
        The end of a sentence that begins with the file's name.
    """
    if data.startswith(b"\xff\xd8"):
        is_cut = data.endswith(_ZEROS) and lacks_end(data) and not state_of(data).lacks_end
        return _CUT if is_cut else ""  # holes before the end: jpeg_damage.py
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        coded = _webp_pixels(data)
        per_zero = _PIXELS_PER_ZERO if _is_lossy(coded) else _LOSSLESS_PIXELS_PER_ZERO
        return _zeros_in(coded, bytes(max(len(_ZEROS), _webp_area(coded) // per_zero)))
    if data[4:8] == b"ftyp" and _EXIF_ZEROS in data:
        return next(filter(None, (_zeros_in(one, _EXIF_ZEROS) for one in _media(data))), "")
    return ""


def _zeros_in(coded: bytes, zeros: bytes) -> str:
    """Whether the coded pixels have so many zeros, at their end or before it."""
    if coded.endswith(zeros):
        return _CUT
    return "has zeros in the place of a lost piece" if zeros in coded else ""


def _webp_pixels(data: bytes) -> bytes:
    """The chunk of a WebP file that holds the pixels; EXIF data behind it may end in zeros."""
    place = 12
    while place + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, place)
        if kind in (b"VP8 ", b"VP8L"):
            return data[place + 8 : place + 8 + size]
        place += 8 + size + size % 2
    return b""


def _is_lossy(coded: bytes) -> bool:
    return coded[3:6] == _LOSSY_START


def _webp_area(coded: bytes) -> int:
    """Number of pixels by the frame header (RFC 9649, 2.5 and 2.6; RFC 6386, 9.1), 2**28 at most."""
    if _is_lossy(coded):
        width, height = (int.from_bytes(coded[place : place + 2], "little") & 0x3FFF for place in (6, 8))
        return width * height
    sides = int.from_bytes(coded[1:5], "little")
    return ((sides & 0x3FFF) + 1) * ((sides >> 14 & 0x3FFF) + 1)


def _media(data: bytes) -> Iterator[bytes]:
    """The boxes of an AVIF or HEIC file that hold its pixels (ISO/IEC 14496-12, 4.2 and 8.1.1)."""
    place = 0
    for _ in range(_MAX_BOXES):
        if place + 8 > len(data):
            return
        size, kind = struct.unpack_from(">I4s", data, place)
        if size == 1:
            size = int.from_bytes(data[place + 8 : place + 16], "big")
        end = place + size if size >= 8 else len(data)  # 0: it reaches to the end
        if kind == b"mdat":
            yield data[place + 8 : end]
        place = end
