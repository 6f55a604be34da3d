"""JPEG files with foreign bytes among their pixels: a lost piece, joined fragments.

Decoders of JPEG take them for pixels, or fill what follows with gray, without an error. What is looked for
here cannot be among the coded pixels of a whole file (ITU-T T.81, B.1.1, F.1.2 and G.1.2).
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

_START_OF_SCAN, _TABLES, _END, _INTERVAL, _ARITHMETIC_TABLES = 0xDA, 0xC4, 0xD9, 0xDD, 0xCC
_BETWEEN_SCANS = (_START_OF_SCAN, _TABLES, _END, _INTERVAL, _ARITHMETIC_TABLES, 0xDB, 0xDC, 0xFE)
_APPLICATION = range(0xE0, 0xF0)
_ALONE = (0x01, *range(0xD0, 0xD9))  # markers without a length
_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), 0xC2  # kinds of frames in Huffman's code
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_MARKER_NOT_RESTART = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_SECTOR = 512  # bytes of a disk or card
_MAX_SEGMENTS = 8192
_FOREIGN = "is damaged: among its pixels are bytes that no JPEG has there"
_HOLE = "is damaged: among its pixels are zeros in the place of a lost piece"


class _Scan(NamedTuple):
    """The coded pixels of a scan, and the marker that ends them.

    Attributes:
        start, end: where they are in the file.
        may_have_zeros: whether a sector of zeros can be coded pixels.
        marker: which ends them.
    """

    start: int
    end: int
    may_have_zeros: bool
    marker: int


def damage_of(data: bytes) -> str:
    """Why a JPEG file is not the picture that it was; empty if nothing says so, and for other files.

    Args:
        data: bytes of an image file.

    Returns:
        The end of a sentence that begins with the file's name.
    """
    if not data.startswith(b"\xff\xd8"):
        return ""
    for scan in _scans(data):
        if not scan.may_have_zeros and _has_sector_of(0, data, scan):
            return _HOLE
        is_known = scan.marker in _BETWEEN_SCANS or scan.marker in _APPLICATION
        if not is_known or _has_sector_of(0xFF, data, scan):
            return _FOREIGN
    return ""


def _has_sector_of(value: int, data: bytes, scan: _Scan) -> bool:
    """Whether a sector of one value is among the pixels; some encoders write it behind the last one."""
    found = data.find(bytes([value]) * _SECTOR, scan.start, scan.end)
    return found >= 0 and (scan.marker != _END or bool(data[found : scan.end].strip(bytes([value]))))


def _scans(data: bytes) -> Iterator[_Scan]:
    """The scans of the first picture, as far as their markers can be read."""
    first_symbols: dict[int, int] = {}
    frame, place, scan_start, may_have_zeros, has_restarts = 0, 2, -1, True, False
    for _ in range(_MAX_SEGMENTS):
        marker = (_MARKER_NOT_RESTART if has_restarts else _MARKER).search(data, place)
        if marker is None:
            return
        kind = data[marker.end() - 1]
        if scan_start >= 0:
            yield _Scan(scan_start, marker.start(), may_have_zeros, kind)
            scan_start = -1
        if kind == _END:
            return
        place = marker.end()
        if kind in _ALONE:
            continue
        size = max(2, int.from_bytes(data[place : place + 2], "big"))
        body, place = data[place + 2 : place + size], place + size
        if kind == _TABLES:
            first_symbols |= _first_symbols(body)
        elif kind == _INTERVAL:
            has_restarts = any(body[:2])
        elif kind == _START_OF_SCAN:
            scan_start, may_have_zeros = place, _may_have_zeros(frame, body, first_symbols)
        elif 0xC0 <= kind <= 0xCF and kind not in (0xC8, _ARITHMETIC_TABLES):
            frame = kind


def _first_symbols(body: bytes) -> dict[int, int]:
    """Of each Huffman table in a segment, by its class and number, the symbol whose code has zeros only."""
    place, symbols = 0, {}
    while place + 17 < len(body):
        symbols[body[place]] = body[place + 17]
        place += 17 + sum(body[place + 1 : place + 17])
    return symbols


def _may_have_zeros(frame: int, scan: bytes, first_symbols: dict[int, int]) -> bool:
    """Whether a sector of zeros can be coded pixels: flat blocks, or bits that refine nothing.

    Where the code of zeros only stands for a change, they are hundreds of equal changes in each block.

    Args:
        frame: the marker of the frame.
        scan: the header of a scan, without its marker and length.
        first_symbols: of :func:`_first_symbols`.
    """
    count = scan[0] if scan else 0
    selectors = scan[2 : 1 + 2 * count : 2]
    means = [first_symbols.get(one >> 4, 0) for one in selectors]
    details = [first_symbols.get(0x10 | one & 15, 0) for one in selectors]
    if frame in _SEQUENTIAL:
        return not any(means) and not any(details)
    if frame != _PROGRESSIVE or len(scan) < 4 + 2 * count or scan[3 + 2 * count] >> 4:
        return True
    is_of_means = scan[1 + 2 * count] == 0
    return not any(means) if is_of_means else not any(one & 15 for one in details)
