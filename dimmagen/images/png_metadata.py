"""Metadata of PNG files as Pillow can read it: before the pixels, whole, without text that decides nothing.

ImageMagick and ExifTool write EXIF data behind the pixels, and with them the orientation of a phone's photo:
Pillow finds them after it has decoded the pixels. Editors and generators of images write megabytes of text,
for which Pillow refuses the image.
"""

import zlib
from collections.abc import Iterator

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_KEYWORDS = (b"XML:com.adobe.xmp\0", b"Raw profile type ")
_HEADER_END = 8 + 25  # the signature and IHDR
_MAX_MOVED = 16
# Pillow's limits of a text or a colour profile that is compressed, and of all texts together.
_PILLOWS_CHUNK, _PILLOWS_TEXT = 2**20, 2**26

_LEAST_BYTES = {b"tRNS": 2, b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9}
_LONGEST_NAME = 79 + 2  # of a profile, and the two bytes behind it

_Chunk = tuple[bytes, int, int]
"""The kind of a chunk, and where it begins and ends."""


def metadata_first(data: bytes) -> bytes:
    """A PNG file with its EXIF and XMP data before its pixels, no other text and one colour profile; another
    file as it is.

    Args:
        data: bytes of an image file, whose number of chunks is limited (:mod:`dimmagen.images.excess`).
    """
    start, is_behind, profiles = _HEADER_END, False, 0
    moved: list[bytes] = []
    others: list[bytes] = []
    for kind, place, end in _chunks(data):
        is_behind = is_behind or kind == b"IDAT"
        profiles += kind == b"iCCP"  # each of thousands would be unpacked
        is_damaged = _is_damaged(kind, memoryview(data)[place + 8 : end])
        is_metadata = kind == b"eXIf" or (kind in _TEXTS and data.startswith(_KEYWORDS, place + 8))
        if is_metadata and is_behind and not is_damaged and len(moved) < _MAX_MOVED:
            moved.append(data[place:end])
        elif not is_damaged and (is_metadata or (kind not in _TEXTS and (kind != b"iCCP" or profiles == 1))):
            continue
        others.append(data[start:place])
        start = end
    return b"".join([data[:_HEADER_END], *moved, *others, data[start:]]) if others else data


def is_refused_by_pillow(data: bytes) -> bool:
    """Whether Pillow's defaults refuse a PNG file for its text or its colour profile, as other readers would.

    Args:
        data: as for :func:`metadata_first`.
    """
    text = 0
    for kind, place, end in _chunks(data):
        if _is_damaged(kind, memoryview(data)[place + 8 : end]):
            return True
        if kind in _TEXTS or kind == b"iCCP":
            packed, size = _content(kind, data[place + 8 : end - 4])
            if packed and size > _PILLOWS_CHUNK:
                return True
            text += size if kind in _TEXTS else 0
    return text > _PILLOWS_TEXT


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """The chunks of a PNG file that are whole; none of another file."""
    place = len(_SIGNATURE) if data.startswith(_SIGNATURE) else len(data)
    while place + 12 <= len(data):
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        if end > len(data):
            return
        kind = data[place + 4 : place + 8]
        yield kind, place, end
        if kind == b"IEND":
            return
        place = end


def _is_damaged(kind: bytes, rest: memoryview) -> bool:
    """Whether a chunk beside the pixels has another checksum, or is too short: readers ignore it (PNG, 13.1).

    Args:
        kind: of the chunk; lower case begins what is not needed for the pixels.
        rest: its content and its checksum.
    """
    if not kind[:1].islower():
        return False
    content = rest[:-4]
    _, _, method = bytes(content[:_LONGEST_NAME]).partition(b"\0")
    is_short = len(content) < _LEAST_BYTES.get(kind, 0) or (kind == b"iCCP" and method[:1] != b"\0")
    return is_short or zlib.crc32(content, zlib.crc32(kind)) != int.from_bytes(rest[-4:], "big")


def _content(kind: bytes, chunk: bytes) -> tuple[bool, int]:
    """Whether what a chunk says is compressed, and its bytes, as far as they matter."""
    _, _, rest = chunk.partition(b"\0")
    if kind == b"iTXt":
        is_packed = rest[:1] != b"\0"
        rest = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    else:
        is_packed, rest = kind != b"tEXt", rest[1:] if kind != b"tEXt" else rest
    if not is_packed:
        return False, len(rest)
    try:
        return True, len(zlib.decompressobj().decompress(rest, _PILLOWS_CHUNK + 1))
    except zlib.error:
        return True, 0  # Pillow ignores it
