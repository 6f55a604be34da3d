"""Files whose structure would take minutes or gigabytes to read: refused before a decoder sees them.

The number of pixels bounds what an image costs only if the rest of its file is as large as that of a photo:
Pillow reads the segments of a JPEG, the chunks of a PNG and the blocks of a GIF one by one, in Python, and
libtiff keeps a whole tile in memory.
"""

import re
import struct
from typing import Literal

_MAX_SEGMENTS = 4096  # before the pixels; an ICC profile or a depth map of a phone takes some hundred
_MAX_FILL = 2**16  # bytes between the segments of a JPEG, in all
_MAX_SCANS = 256  # of a JPEG; encoders write about ten
_MAX_BLOCKS = 2**18  # chunks of a PNG, blocks of a GIF: 64 MiB at the size that encoders write
_MAX_TILES = 2**20
_MAX_TILE_PIXELS = 2**22  # where a tile is larger than the image
_MAX_TEXT_BYTES = 8 * 2**20  # of pixels that are read in Python: PPM as text, BMP with run lengths
_HEADER_BYTES = 2**16
_INTEGERS = {1: 1, 3: 2, 4: 4, 16: 8}  # bytes of a value, by the type of a tag
_WIDTH, _HEIGHT, _STRIP_OFFSETS, _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS = 256, 257, 273, 322, 323, 324
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_NEXT_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
_TIFF = {b"II*\0": "<", b"MM\0*": ">"}
_BIG_TIFF = {b"II+\0": "<", b"MM\0+": ">"}


def excess_of(data: bytes) -> str:
    """Why a file is not worth reading; empty for what photos look like, and for files of other kinds.

    Args:
        data: bytes of an image file from anywhere.

    Returns:
        The end of a sentence that begins with the file's name.
    """
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png(data)
    if data.startswith(b"GIF8"):
        return _gif(data)
    if data[:4] in _TIFF or data[:4] in _BIG_TIFF:
        return _tiff(data)
    if data[:1] == b"P" and data[1:2] in b"1234567fF":
        return _ppm(data)
    if data.startswith(b"BM") and data[30:34] in (b"\1\0\0\0", b"\2\0\0\0") and len(data) > _MAX_TEXT_BYTES:
        return f"has more than {_MAX_TEXT_BYTES} bytes of run lengths"
    return ""


def _tiff(data: bytes) -> str:
    """By the tags of the first directory, as far as they are in the file."""
    big = data[:4] in _BIG_TIFF
    order = _BIG_TIFF[data[:4]] if big else _TIFF[data[:4]]
    endian: Literal["little", "big"] = "little" if order == "<" else "big"
    place = int.from_bytes(data[8:16] if big else data[4:8], endian)
    count = int.from_bytes(data[place : place + (8 if big else 2)], endian)
    place += 8 if big else 2
    entry = struct.Struct(f"{order}HHQ8s" if big else f"{order}HHL4s")
    tags: dict[int, int] = {}
    for _ in range(min(count, (len(data) - place) // entry.size)):
        tag, kind, values, value = entry.unpack_from(data, place)
        place += entry.size
        if tag in (_STRIP_OFFSETS, _TILE_OFFSETS):
            tags[tag] = values
        elif tag in (_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT):
            tags[tag] = int.from_bytes(value[: _INTEGERS.get(kind, 4)], endian)
    return _tiling_excess(tags)


def _tiling_excess(tags: dict[int, int]) -> str:
    if max(tags.get(_STRIP_OFFSETS, 0), tags.get(_TILE_OFFSETS, 0)) > _MAX_TILES:
        return f"has more than {_MAX_TILES} strips or tiles"
    picture = tags.get(_WIDTH, 0) * tags.get(_HEIGHT, 0)
    tile = tags.get(_TILE_WIDTH, 0) * tags.get(_TILE_HEIGHT, 0)
    if tile > max(picture, _MAX_TILE_PIXELS):
        return f"has tiles of {tile} pixels, which are larger than the picture"
    return ""


def _jpeg(data: bytes) -> str:
    place, segments, fill, components = 2, 0, 0, 1
    is_progressive = False
    while segments <= _MAX_SEGMENTS:
        marker = _MARKER.search(data, place, place + _MAX_FILL - fill + 2)
        if marker is None:
            is_long = len(data) - place > _MAX_FILL - fill
            return f"has more than {_MAX_FILL} bytes between its segments" if is_long else ""
        kind, fill, place = marker[0][1:], fill + marker.end() - place - 2, marker.end()
        if kind == b"\xd9":
            return ""
        segments += 1
        if kind == b"\x01" or b"\xd0" <= kind <= b"\xd8":
            continue
        if kind == b"\xda":
            in_scan = data[place + 2 : place + 3]
            return _jpeg_scans(data, place) if is_progressive or in_scan < bytes([components]) else ""
        if b"\xc0" <= kind <= b"\xcf" and kind not in (b"\xc4", b"\xc8", b"\xcc"):
            is_progressive = kind in (b"\xc2", b"\xc6", b"\xca", b"\xce")
            components = min(255, int.from_bytes(data[place + 7 : place + 8], "big"))
        place += max(2, int.from_bytes(data[place : place + 2], "big"))
    return f"has more than {_MAX_SEGMENTS} segments before its picture"


def _jpeg_scans(data: bytes, place: int) -> str:
    """Each scan of a JPEG with several is a pass over all of its blocks."""
    scans = 1
    for _ in range(_MAX_SEGMENTS):
        marker = _NEXT_MARKER.search(data, place)
        if marker is None or marker[0][-1:] == b"\xd9":
            return ""
        scans += marker[0][-1:] == b"\xda"
        if scans > _MAX_SCANS:
            return f"has more than {_MAX_SCANS} scans"
        place = marker.end() + max(2, int.from_bytes(data[marker.end() : marker.end() + 2], "big"))
    return f"has more than {_MAX_SEGMENTS} segments in its picture"


def _png(data: bytes) -> str:
    place, before = 8, True
    for number in range(_MAX_BLOCKS + 1):
        kind = data[place + 4 : place + 8]
        if len(kind) < 4 or kind == b"IEND":
            return ""
        before = before and kind != b"IDAT"
        if before and number > _MAX_SEGMENTS:
            return f"has more than {_MAX_SEGMENTS} chunks before its picture"
        place += 12 + int.from_bytes(data[place : place + 4], "big")
    return f"has more than {_MAX_BLOCKS} chunks"


def _gif(data: bytes) -> str:
    """Blocks up to the second image, of which only the existence counts."""
    place, pictures, in_blocks = 13 + _table_bytes(data[10:11]), 0, False
    for _ in range(_MAX_BLOCKS):
        head = data[place : place + 1]
        if in_blocks:
            length = head[0] if head else 0
            place, in_blocks = place + 1 + length, length > 0
        elif head == b"!":
            place, in_blocks = place + 2, True
        elif head == b"," and pictures == 0:
            place, pictures, in_blocks = place + 11 + _table_bytes(data[place + 9 : place + 10]), 1, True
        elif head in (b"", b";", b","):
            return ""
        else:
            place += 1  # Pillow looks for the next block
    return f"has more than {_MAX_BLOCKS} blocks"


def _table_bytes(flags: bytes) -> int:
    """Size of a colour table by the flags before it."""
    return 3 * 2 ** ((flags[0] & 7) + 1) if flags and flags[0] & 0x80 else 0


def _ppm(data: bytes) -> str:
    if data[1:2] in b"123" and len(data) > _MAX_TEXT_BYTES:
        return f"has more than {_MAX_TEXT_BYTES} bytes of pixels as text"
    header = data[:_HEADER_BYTES]
    numbers = len(re.sub(rb"#[^\r\n]*(?:[\r\n]|$)", b" ", header).split(maxsplit=4))
    if len(data) > _HEADER_BYTES and numbers < 4:
        return f"has a header of more than {_HEADER_BYTES} bytes"
    return ""
