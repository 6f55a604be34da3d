"""JPEG files of which a part is missing, or that have something else among their pixels.

Decoders of JPEG take it for pixels, or fill what follows with gray, without an error. What is looked for here
cannot be in a whole file (ITU-T T.81, B.1.1, F.1.2 and G.1.2).
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from dimmagen.images.excess import excess_of
from dimmagen.images.jpeg_blocks import Blocks, HuffmanTables, frame_of, read_scan

_START_OF_SCAN, _TABLES, _END, _INTERVAL, _ARITHMETIC_TABLES = 0xDA, 0xC4, 0xD9, 0xDD, 0xCC
_BETWEEN_SCANS = (_START_OF_SCAN, _TABLES, _END, _INTERVAL, _ARITHMETIC_TABLES, 0xDB, 0xDC, 0xFE)
_APPLICATION = range(0xE0, 0xF0)
_ALONE = (0x01, *range(0xD0, 0xD9))  # markers without a length
_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), 0xC2  # kinds of frames in Huffman's code
_NO_MARKER = 0
END_MARKER = bytes([0xFF, _END])
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_MARKER_NOT_RESTART = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_SECTOR = 512  # bytes of a disk or card
_MAX_SEGMENTS = 8192
_FOREIGN = "is damaged: among its pixels are bytes that no JPEG has there"
_HOLE = "is damaged: among its pixels are zeros in the place of a lost piece"
_SHORT = "is damaged: its coded pixels end before the picture does"


class JpegState(NamedTuple):
    """What is wrong with a JPEG file.

    Attributes:
        damage: why it is not the picture that it was, as the end of a sentence that begins with its name;
            empty if nothing says so.
        lacks_end: whether the marker that ends the file is missing, and nothing else.
    """

    damage: str
    lacks_end: bool


class _Scan(NamedTuple):
    """The coded pixels of a scan, and the marker that ends them.

    Attributes:
        start, end: where they are in the file.
        may_have_zeros: whether a sector of zeros can be coded pixels.
        marker: which ends them; 0 at the end of the file.
        blocks: whether they are all there.
        lacks_scans: whether the picture ends with them and more should follow.
    """

    start: int
    end: int
    may_have_zeros: bool
    marker: int
    blocks: Blocks
    lacks_scans: bool


def state_of(data: bytes) -> JpegState:
    """Whether a JPEG file is whole.

    Args:
        data: bytes of an image file; those of other kinds, and such as :func:`.excess_of` refuses, are whole.
    """
    scan = None
    is_read = data.startswith(b"\xff\xd8") and not excess_of(data)
    for scan in _scans(data) if is_read else ():
        if damage := _damage_of(data, scan):
            return JpegState(damage, False)
    return JpegState("", scan is not None and scan.marker == _NO_MARKER and scan.blocks == Blocks.WHOLE)


def lacks_end(data: bytes) -> bool:
    """Whether a file is a JPEG without the marker that ends it, whatever else is missing."""
    return data.startswith(b"\xff\xd8") and data.find(END_MARKER, _first_scan(data)) < 0


def _damage_of(data: bytes, scan: _Scan) -> str:
    if not scan.may_have_zeros and _has_sector_of(0, data, scan):
        return _HOLE
    is_known = scan.marker in _BETWEEN_SCANS or scan.marker in _APPLICATION or scan.marker == _NO_MARKER
    if not is_known or _has_sector_of(0xFF, data, scan) or scan.blocks == Blocks.FOREIGN:
        return _FOREIGN
    if scan.blocks == Blocks.MISSING or scan.lacks_scans:
        return _SHORT
    return ""


def _has_sector_of(value: int, data: bytes, scan: _Scan) -> bool:
    """Whether a sector of one value is among the pixels; some encoders write it behind the last one."""
    found = data.find(bytes([value]) * _SECTOR, scan.start, scan.end)
    is_behind = scan.marker in (_END, _NO_MARKER) and not data[found : scan.end].strip(bytes([value]))
    return found >= 0 and not is_behind


def _scans(data: bytes) -> Iterator[_Scan]:
    """The scans of the first picture, as far as their markers can be read."""
    tables = HuffmanTables()
    kind, place, interval, header, frame = 0, 2, 0, b"", None
    frame_kind, scan_start = 0, -1
    for _ in range(_MAX_SEGMENTS):
        marker = (_MARKER_NOT_RESTART if interval else _MARKER).search(data, place)
        kind, end = (data[marker.end() - 1], marker.start()) if marker else (_NO_MARKER, len(data))
        if scan_start >= 0:
            coded = data[scan_start:end]
            blocks = read_scan(frame, header, coded, tables, interval) if frame else Blocks.UNKNOWN
            if frame and blocks == Blocks.UNKNOWN:
                frame.has_unknown = True
            # Whoever ends a progressive picture before its last bits may have meant to.
            is_end = kind == _NO_MARKER or (kind == _END and frame_kind in _SEQUENTIAL)
            lacks_scans = is_end and blocks == Blocks.WHOLE and frame is not None and not frame.is_complete
            zeros = _may_have_zeros(frame_kind, header, tables)
            yield _Scan(scan_start, end, zeros, kind, blocks, lacks_scans)
            scan_start = -1
        if marker is None or kind == _END:
            return
        place = marker.end()
        if kind in _ALONE:
            continue
        size = max(2, int.from_bytes(data[place : place + 2], "big"))
        body, place = data[place + 2 : place + size], place + size
        if kind == _TABLES:
            tables.define(body)
        elif kind == _INTERVAL:
            interval = int.from_bytes(body[:2], "big")
        elif kind == _START_OF_SCAN:
            scan_start, header = place, body
        elif 0xC0 <= kind <= 0xCF and kind not in (0xC8, _ARITHMETIC_TABLES):
            frame_kind, is_progressive = kind, kind == _PROGRESSIVE
            is_known = kind in _SEQUENTIAL or is_progressive
            frame = frame_of(body, is_progressive=is_progressive) if is_known else None


def _first_scan(data: bytes) -> int:
    """Where the pixels of a JPEG begin: an EXIF preview before it has an end of its own."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != 0xDA:
        kind = data[place + 1]
        if kind == 0xFF:
            place += 1
        elif kind == 0x01 or 0xD0 <= kind <= 0xD8:
            place += 2
        else:
            place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return place


def _may_have_zeros(frame: int, scan: bytes, tables: HuffmanTables) -> bool:
    """Whether a sector of zeros can be coded pixels: flat blocks, or bits that refine nothing.

    Where the code of zeros only stands for a change, they are hundreds of equal changes in each block.

    Args:
        frame: the marker of the frame.
        scan: the header of a scan, without its marker and length.
        tables: as they are for it.
    """
    count = scan[0] if scan else 0
    selectors = scan[2 : 1 + 2 * count : 2]
    means = [tables.first_symbol(one >> 4) for one in selectors]
    details = [tables.first_symbol(0x10 | one & 15) for one in selectors]
    if frame in _SEQUENTIAL:
        return not any(means) and not any(details)
    if frame != _PROGRESSIVE or len(scan) < 4 + 2 * count or scan[3 + 2 * count] >> 4:
        return True
    is_of_means = scan[1 + 2 * count] == 0
    return not any(means) if is_of_means else not any(one & 15 for one in details)
