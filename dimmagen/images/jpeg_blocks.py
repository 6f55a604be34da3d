"""Whether the coded pixels of a JPEG are those of all of its blocks: codes are read, and no pixels made.

libjpeg fills what is missing with gray, and takes for pixels whatever stands in their place, with a warning
that Pillow does not pass on. In Huffman's code (ITU-T T.81, annexes F and G) every block has an end, so the
blocks can be counted.
"""

from dataclasses import dataclass, field
from enum import Enum, auto
from functools import lru_cache

import numpy as np

from dimmagen.core.compiled import jit

_SIDE, _COEFFICIENTS = 8, 64  # of a block
_TABLES = 32  # by class, 0 or 1, and number
_LONGEST, _SHORT = 16, 9  # bits of a code, and of those that are looked up in a table that fits into a cache
_SEVERAL = 13  # bits in which codes of several coefficients are looked up at once
_PADDING = 512  # bytes for the reader, which looks ahead, and counts bits when a block has ended
_NOTHING = 255
_MOST_PIXELS = 2**27  # more are refused by their number
_MISSING, _FOREIGN = -1, -2  # found by kernels, or else the last bit
_SECTOR = 512  # bytes: fewer that are not pixels are behind those of some encoders


class Blocks(Enum):
    """What is known of the blocks of a scan."""

    WHOLE = auto()
    MISSING = auto()  # the coded pixels end before the last block
    FOREIGN = auto()  # there is what no encoder writes
    UNKNOWN = auto()  # it is in another code than Huffman's, or its headers are not understood


@dataclass(frozen=True, slots=True)
class Component:
    """A channel: how many samples it has relative to the others, and its blocks along rows and columns."""

    across: int
    down: int
    columns: int
    rows: int


@dataclass(slots=True)
class Frame:
    """What an image consists of, and which bits of its coefficients are known from the scans so far.

    Attributes:
        is_progressive: whether several scans make a block.
        components: by their identifiers.
        mcus: number of units in a scan of several components.
        nonzero: of a component, uint64 (blocks,): which coefficients are known not to be 0.
        lowest_bit: of a component, int (64,): that which is known of each coefficient; 255 for none.
        has_unknown: whether there was a scan of which nothing is known.
    """

    is_progressive: bool
    components: dict[int, Component]
    mcus: int
    nonzero: dict[int, np.ndarray] = field(default_factory=dict)
    lowest_bit: dict[int, np.ndarray] = field(default_factory=dict)
    has_unknown: bool = False

    def follows(self, name: int, start: int, end: int, high: int) -> bool:
        """Whether a scan of these coefficients belongs behind those before it (G.1.1.1): means come first,
        then the upper bits of details, and then one bit after the other.
        """
        known = self.lowest_bit.get(name)
        if known is None:
            return not start and not high
        return (not start or known[0] != _NOTHING) and bool(
            (known[start : end + 1] == (high or _NOTHING)).all()
        )

    @property
    def is_complete(self) -> bool:
        """Whether all bits of all coefficients are known."""
        return all(one in self.lowest_bit and not self.lowest_bit[one].any() for one in self.components)


class HuffmanTables:
    """The tables of a file as they are at some place in it.

    Attributes:
        specified: by 16 times the class and the number, how a segment has them: the numbers of codes of each
            length from 1 to 16, and their symbols.
        codes: uint16 (32, 65536), of each table for the next 16 bits of a file: the length of the code that
            they begin with, shifted left by 8, and its symbol; 0 where there is none.
        short: uint16 (32, 512), the same for the next 9 bits; 0 where the code is longer.
        several: int32 (32, 8192), for the next 13 bits: how many of them are whole coefficients, after 8 more
            bits how many coefficients these are, and whether they end the block; 0 for none.
    """

    def __init__(self) -> None:
        self.specified: dict[int, bytes] = {}
        self.codes = np.zeros((_TABLES, 1 << _LONGEST), np.uint16)
        self.short = np.zeros((_TABLES, 1 << _SHORT), np.uint16)
        self.several = np.zeros((_TABLES, 1 << _SEVERAL), np.int32)
        self._written: dict[int, bytes] = {}

    def define(self, body: bytes) -> None:
        """Take the tables of a segment (B.2.4.2), given without its marker and length."""
        place = 0
        while place + 17 < len(body):
            end = place + 17 + sum(body[place + 1 : place + 17])
            self.specified[body[place] % _TABLES] = body[place + 1 : end]
            place = end

    def first_symbol(self, table: int) -> int:
        """The symbol whose code has zeros only; 0 without a table."""
        return self.specified.get(table, bytes(17))[16]

    def write(self, tables: set[int]) -> bool:
        """Bring `codes` and `short` of these tables up to date; False if there is one that is not known."""
        for table in tables:
            if (specified := self.specified.get(table)) is None:
                return False
            if self._written.get(table) != specified:
                self._written[table] = specified
                self.codes[table], self.short[table], self.several[table] = _look_ups(specified)
        return True


@lru_cache(64)  # most files have those that the standard proposes, or an encoder's own
def _look_ups(specified: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rows of :class:`HuffmanTables` for one table, by how a segment has it."""
    counts, symbols = (np.frombuffer(one, np.uint8) for one in (specified[:16], specified[16:]))
    lengths = np.repeat(np.arange(1, _LONGEST + 1), counts)[: len(symbols)]
    filled = np.repeat(lengths << 8 | symbols[: len(lengths)], 1 << (_LONGEST - lengths))
    codes, several = np.zeros(1 << _LONGEST, np.uint16), np.zeros(1 << _SEVERAL, np.int32)
    codes[: len(filled)] = filled[: len(codes)]
    first = codes[:: 1 << (_LONGEST - _SHORT)]
    _look_ahead(codes, several)
    return codes, np.where(first >> 8 <= _SHORT, first, 0), several


def frame_of(body: bytes, *, is_progressive: bool) -> Frame | None:
    """A frame by its header (B.2.2), given without marker and length; None if it is not understood."""
    count = body[5] if len(body) > 5 else 0
    height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    specified = {body[at]: divmod(body[at + 1], 16) for at in range(6, min(6 + 3 * count, len(body) - 2), 3)}
    factors = [factor for both in specified.values() for factor in both]
    if not 0 < width * height <= _MOST_PIXELS or not count or len(specified) != count:
        return None
    if not 0 < min(factors) <= max(factors) <= 4:  # B.2.2
        return None
    widest, highest = (max(both[axis] for both in specified.values()) for axis in (0, 1))
    columns, rows = widest * _SIDE, highest * _SIDE  # of an MCU
    components = {
        name: Component(across, down, -(-width * across // columns), -(-height * down // rows))
        for name, (across, down) in specified.items()
    }
    return Frame(is_progressive, components, -(-width // columns) * -(-height // rows))


def read_scan(frame: Frame, header: bytes, coded: bytes, tables: HuffmanTables, interval: int) -> Blocks:
    """Read a scan, and note in the frame what it tells.

    Args:
        frame: to which it belongs, with what is known from the scans before it.
        header: of the scan (B.2.3), without marker and length.
        coded: what follows it up to the next marker that is not a restart.
        tables: as they are for this scan.
        interval: MCUs between restart markers; 0 for none.
    """
    count = header[0] if header else 0
    names, selectors = header[1 : 1 + 2 * count : 2], header[2 : 2 + 2 * count : 2]
    if not count or len(header) < 4 + 2 * count or not set(names) <= set(frame.components):
        return Blocks.UNKNOWN
    start, end, high, low = header[1 + 2 * count], header[2 + 2 * count], *divmod(header[3 + 2 * count], 16)
    if not frame.is_progressive:
        start, end, high, low = 0, _COEFFICIENTS - 1, 0, 0
    elif not start <= end < _COEFFICIENTS or (count > 1 and start) or (end and not start):  # G.1.1.1.1
        return Blocks.UNKNOWN
    is_ordered = frame.is_progressive and not frame.has_unknown
    if is_ordered and not all(frame.follows(name, start, end, high) for name in names):
        return Blocks.FOREIGN
    parts = [frame.components[name] for name in names]
    units = parts[0].columns * parts[0].rows if count == 1 else frame.mcus
    blocks = [1] if count == 1 else [part.across * part.down for part in parts]
    means = [one >> 4 for one in selectors] if not start and not high else []
    details = [16 | one & 15 for one in selectors] if end else []
    if not tables.write({*means, *details}):  # frames of a clip may go without
        return Blocks.UNKNOWN
    per_interval = interval or units
    intervals = _intervals(coded, interval, -(-units // per_interval))
    if intervals is None:
        return Blocks.FOREIGN
    stored, ends = intervals
    if len(ends) < -(-units // per_interval):
        return Blocks.MISSING
    args = stored, ends, units, per_interval, tables.codes, tables.short
    if start:
        nonzero = frame.nonzero.setdefault(names[0], np.zeros(units, np.uint64))
        found = _read_details(*args, details[0], start, end, high > 0, nonzero)
    else:
        of_blocks = [np.repeat(np.array(one, np.int64), blocks if one else 0) for one in (means, details)]
        found = _read_blocks(*args, tables.several, *of_blocks, sum(blocks))
    for name in names:
        known = frame.lowest_bit.setdefault(name, np.full(_COEFFICIENTS, _NOTHING))
        known[start : end + 1] = low
    if found < 0:
        return Blocks.MISSING if found == _MISSING else Blocks.FOREIGN
    behind = stored[-(-found // 8) : ends[-1]]
    is_filled = len(behind) < _SECTOR or bool((behind == behind[0]).all())
    return Blocks.WHOLE if is_filled else Blocks.FOREIGN


def _intervals(coded: bytes, interval: int, needed: int) -> tuple[np.ndarray, np.ndarray] | None:
    """The bits of a scan without stuffed bytes and restart markers, and where each interval ends in them.

    Returns:
        uint8 (bytes,) and int64 (intervals,); None if the markers are in disorder, or too many.
    """
    stored = np.zeros(len(coded) + _PADDING, np.uint8)
    ends = np.zeros(needed + 1, np.int64)
    count = _read_intervals(np.frombuffer(coded, np.uint8), interval > 0, stored, ends)
    return (stored, ends[:count]) if count else None


@jit(nogil=True)
def _read_intervals(coded, has_restarts, stored, ends):
    """Write the bits without what is stuffed between them, and their ends; the number of these, or 0."""
    count, size, place = 0, 0, 0
    while place < coded.size:
        value = coded[place]
        place += 1
        if value == 0xFF and place < coded.size:
            if coded[place] == 0:
                place += 1
            elif has_restarts:
                marker = place
                while marker < coded.size - 1 and coded[marker] == 0xFF:
                    marker += 1
                if coded[marker] >> 3 == 0xD0 >> 3:
                    if count + 1 == ends.size or coded[marker] & 7 != count & 7:
                        return 0
                    ends[count] = size
                    count += 1
                    place = marker + 1
                    continue
        stored[size] = value
        size += 1
    ends[count] = size
    return count + 1


@jit(inline="always")
def _peek(stored, place):
    """The 16 bits from a bit on."""
    byte = place >> 3
    bits = (int(stored[byte]) << 16) | (int(stored[byte + 1]) << 8) | int(stored[byte + 2])
    return (bits >> (8 - (place & 7))) & 0xFFFF


@jit(inline="always")
def _code(bits, codes, short, row):
    """The entry of a table for 16 bits."""
    entry = short[row, bits >> 7]
    return int(entry) if entry else int(codes[row, bits])


@jit(nogil=True)
def _look_ahead(codes, several):
    """Fill a table of codes that follow each other, see :class:`HuffmanTables`."""
    for bits in range(several.size):
        used, coefficients, is_end = 0, 0, 0
        while not is_end:
            entry = int(codes[(bits << (_LONGEST - _SEVERAL + used)) & 0xFFFF])
            size, run = entry & 15, (entry >> 4) & 15
            end = used + (entry >> 8) + size
            if entry == 0 or end > _SEVERAL:
                break
            used = end
            if size == 0 and run < 15:
                is_end = 1
            else:
                coefficients += run + 1
        several[bits] = used | coefficients << 8 | is_end << 16


@jit(nogil=True)
def _read_blocks(stored, ends, units, per_interval, codes, short, several, means, details, blocks):
    """Whole blocks, or their means alone (no `details`), or a bit that refines each of these (no `means`)."""
    interval, place, limit = 0, 0, ends[0] * 8
    for unit in range(units):
        if unit and unit % per_interval == 0:
            place = ends[interval] * 8
            interval += 1
            limit = ends[interval] * 8
        for block in range(blocks):
            if means.size == 0:
                place += 1
            else:
                entry = _code(_peek(stored, place), codes, short, means[block])
                place += (entry >> 8) + (entry & 255)
                if entry == 0 or (entry & 255) > 16:
                    return _MISSING if place + 16 > limit else _FOREIGN
            if place > limit:
                return _MISSING
            if details.size == 0:
                continue
            row = details[block]
            index = 1
            while index < 64:
                bits = _peek(stored, place)
                ahead = several[row, bits >> (_LONGEST - _SEVERAL)]
                after = index + ((ahead >> 8) & 255)
                if ahead and after < 64:
                    place += ahead & 255
                    index = after
                    if ahead >> 16:
                        break
                    continue
                entry = _code(bits, codes, short, row)
                size = entry & 15
                place += (entry >> 8) + size
                if entry == 0:
                    return _MISSING if place + 16 > limit else _FOREIGN
                run = (entry >> 4) & 15
                if size == 0 and run < 15:
                    break
                index += run + 1
            if place > limit:
                return _MISSING
            if index > 64:
                return _FOREIGN
    return place


@jit(nogil=True)
def _read_details(
    stored, ends, units, per_interval, codes, short, row, start, end, is_refined, nonzero
):  # fmt: skip
    """A band of the coefficients of blocks (G.1.2.2, G.1.2.3); notes which of them are not 0."""
    interval, place, limit, end_run = 0, 0, ends[0] * 8, 0
    one_bit = np.uint64(1)
    for unit in range(units):
        if unit and unit % per_interval == 0:
            place = ends[interval] * 8
            interval += 1
            limit = ends[interval] * 8
            end_run = 0
        known = nonzero[unit]
        index = start
        while index <= end and not end_run:
            entry = _code(_peek(stored, place), codes, short, row)
            size, run = entry & 15, (entry >> 4) & 15
            place += entry >> 8
            if entry == 0 or (is_refined and size > 1):
                return _MISSING if place + 16 > limit else _FOREIGN
            if size == 0 and run < 15:
                end_run = (1 << run) + (_peek(stored, place) >> (16 - run))
                place += run
            else:
                place += size
                if is_refined:
                    while index <= end:
                        if known >> np.uint64(index) & one_bit:
                            place += 1
                        elif run == 0:
                            break
                        else:
                            run -= 1
                        index += 1
                else:
                    index += run
                if size:
                    if index > end:
                        return _FOREIGN
                    nonzero[unit] |= one_bit << np.uint64(index)
                index += 1
            if place > limit:
                return _MISSING
        if end_run:
            if is_refined:
                while index <= end:
                    if known >> np.uint64(index) & one_bit:
                        place += 1
                    index += 1
            end_run -= 1
        if place > limit:
            return _MISSING
    return place
