"""Deflate with Huffman codes only (RFC 1951): the expensive part of a PNG encoder.

The differences between rows of a noisy dark image contain no repetitions, so searching for them, on which
other encoders spend most of their time, finds nothing. What remains are codes for single bytes, chosen
separately for each block of 128 KiB. The bytes depend only on the data.
"""

import importlib
import struct
import zlib
from types import ModuleType

import numpy as np

from dimmagen.core.compiled import jit

checksums: ModuleType
try:
    checksums = importlib.import_module("zlib_ng.zlib_ng")
except ImportError:  # pragma: no cover - the same checksums, ten times slower
    checksums = zlib

_BLOCK = 1 << 17
_SYMBOLS = 257  # the byte values, and the end of a block
_END = 256
_MAX_LENGTH = 15  # of a code, in bits
_LENGTH_BITS = np.uint64(5)  # a table entry is a code shifted left by 5 bits, and its length
_LENGTH_MASK = np.uint64(31)
_WORD = np.uint64(64)
_HEADER = b"\x78\x01"  # of zlib: deflate, window of 32 KiB, fastest level


def compress(data: np.ndarray) -> tuple[bytes, memoryview, bytes]:
    """Compress bytes to a zlib stream (RFC 1950).

    Args:
        data: uint8, contiguous, any shape with at least one element.

    Returns:
        The three parts of the stream, to avoid a copy: in total at most 1.02 times the size of the data plus
            200 bytes.
    """
    flat = data.reshape(-1)
    lengths = np.zeros((-(-flat.size // _BLOCK), _SYMBOLS), np.uint8)
    bits = _choose_codes(flat, lengths)
    words = np.zeros(-(-bits // 64) + 1, np.uint64)
    _write(flat, lengths, words)
    body = words.astype("<u8", copy=False).view(np.uint8)[: -(-bits // 8)]
    return _HEADER, body.data, struct.pack(">I", checksums.adler32(flat.data))


@jit(nogil=True)
def _choose_codes(data, lengths):
    """Fill in the code length of each symbol for each block; returns the size of the stream in bits."""
    # Four tables, since increments for equal neighbours would wait for each other.
    counts = np.empty((4, 256), np.uint32)
    frequencies = np.empty(_SYMBOLS, np.int64)
    bits = 0
    for block in range(lengths.shape[0]):
        stop = min((block + 1) * _BLOCK, data.size)
        counts[:] = 0
        at = block * _BLOCK
        while at + 4 <= stop:
            for lane in range(4):
                counts[lane, data[at + lane]] += np.uint32(1)
            at += 4
        while at < stop:
            counts[0, data[at]] += np.uint32(1)
            at += 1
        for byte in range(256):
            frequencies[byte] = counts[0, byte] + counts[1, byte] + counts[2, byte] + counts[3, byte]
        frequencies[_END] = 1
        _code_lengths(frequencies, lengths[block])
        bits += 17 + 19 * 3 + (_SYMBOLS + 2) * 4  # as _write_codes
        for symbol in range(_SYMBOLS):
            bits += frequencies[symbol] * lengths[block, symbol]
    return bits


@jit(nogil=True)
def _sort(values, count):
    """Shell sort of the first `count` values, in place; the sort of numpy takes seconds to compile."""
    for gap in (57, 23, 10, 4, 1):
        for last in range(gap, count):
            value, at = values[last], last
            while at >= gap and values[at - gap] > value:
                values[at] = values[at - gap]
                at -= gap
            values[at] = value


@jit(nogil=True)
def _code_lengths(frequencies, lengths):
    """Huffman code lengths of at most `_MAX_LENGTH`: int64 (257,) to uint8 (257,).

    Symbols that never occur get length 0. At least two symbols must occur. Symbols of equal frequency are
    ordered by their value.
    """
    ordered = np.empty(_SYMBOLS, np.int64)
    leaves = 0
    for symbol in range(_SYMBOLS):
        lengths[symbol] = 0
        if frequencies[symbol]:
            ordered[leaves] = frequencies[symbol] * 512 + symbol
            leaves += 1
    _sort(ordered, leaves)
    # The two lightest leaves or inner nodes are joined; new nodes are created in the order of their weight.
    weight, parent = np.empty(2 * leaves, np.int64), np.empty(2 * leaves, np.int64)
    for leaf in range(leaves):
        weight[leaf] = ordered[leaf] // 512
    leaf, inner = 0, leaves
    for node in range(leaves, 2 * leaves - 1):
        weight[node] = 0
        for _ in range(2):
            if leaf < leaves and (inner == node or weight[leaf] <= weight[inner]):
                child = leaf
                leaf += 1
            else:
                child = inner
                inner += 1
            weight[node] += weight[child]
            parent[child] = node
    depth = np.zeros(2 * leaves, np.int64)
    used = np.zeros(_MAX_LENGTH + 1, np.int64)  # leaves of each depth
    for node in range(2 * leaves - 3, -1, -1):
        depth[node] = depth[parent[node]] + 1
        if node < leaves:
            used[min(depth[node], _MAX_LENGTH)] += 1
    # Leaves that were too deep overfill the code space: a higher leaf becomes a node of itself and one of
    # these.
    space = 0
    for length in range(1, _MAX_LENGTH + 1):
        space += used[length] << (_MAX_LENGTH - length)
    while space > 1 << _MAX_LENGTH:
        length = _MAX_LENGTH - 1
        while not used[length]:
            length -= 1
        used[length] -= 1
        used[length + 1] += 2
        used[_MAX_LENGTH] -= 1
        space -= 1
    at = 0
    for length in range(_MAX_LENGTH, 0, -1):
        for _ in range(used[length]):
            lengths[ordered[at] % 512] = length
            at += 1


@jit(nogil=True)
def _code_table(lengths, table):
    """The canonical codes of the lengths, with bits reversed as deflate stores them: table uint64 (257,)."""
    used = np.zeros(_MAX_LENGTH + 2, np.int64)
    for symbol in range(_SYMBOLS):
        used[lengths[symbol]] += 1
    used[0] = 0
    following = np.zeros(_MAX_LENGTH + 2, np.int64)
    for length in range(1, _MAX_LENGTH + 1):
        following[length] = (following[length - 1] + used[length - 1]) << 1
    for symbol in range(_SYMBOLS):
        length = lengths[symbol]
        code, reversed_code = following[length], 0
        following[length] += 1
        for _ in range(length):
            reversed_code = reversed_code << 1 | code & 1
            code >>= 1
        table[symbol] = np.uint64(reversed_code) << _LENGTH_BITS | np.uint64(length)


@jit(nogil=True)
def _put(value, count, words, state):
    """Append up to 60 bits; `state` uint64 (3,) is the unfinished word, its number of bits, and its index."""
    value, count = np.uint64(value), np.uint64(count)
    state[0] |= value << state[1]
    state[1] += count
    if state[1] >= _WORD:
        words[state[2]] = state[0]
        state[2] += np.uint64(1)
        state[1] -= _WORD
        state[0] = value >> (count - state[1])


@jit(nogil=True)
def _write_codes(lengths, is_last, words, state):
    """Write the header of a block: the code lengths, with four bits each.

    Deflate encodes the lengths themselves: the lengths 0 to 15 get codes of four bits each, and the three
    repeat codes are unused. Two distance codes get one bit each: no distance occurs, but some decoders
    require codes.
    """
    _put((1 if is_last else 0) | 2 << 1 | 1 << 8 | 15 << 13, 17, words, state)
    for order in range(19):
        _put(0 if order < 3 else 4, 3, words, state)
    for symbol in range(_SYMBOLS + 2):
        length = np.int64(lengths[symbol]) if symbol < _SYMBOLS else 1
        _put((length & 1) << 3 | (length & 2) << 1 | (length & 4) >> 1 | length >> 3, 4, words, state)


@jit(nogil=True)
def _write(data, lengths, words):
    """Write the deflate stream as uint64 words, lowest bit first; `words` has one spare element."""
    table = np.empty(_SYMBOLS, np.uint64)
    state = np.zeros(3, np.uint64)
    for block in range(lengths.shape[0]):
        at, stop = block * _BLOCK, min((block + 1) * _BLOCK, data.size)
        _write_codes(lengths[block], stop == data.size, words, state)
        _code_table(lengths[block], table)
        word, bits, place = state[0], state[1], state[2]
        while at + 4 <= stop:
            a, b, c, d = table[data[at]], table[data[at + 1]], table[data[at + 2]], table[data[at + 3]]
            count, more = a & _LENGTH_MASK, c & _LENGTH_MASK
            low = a >> _LENGTH_BITS | b >> _LENGTH_BITS << count
            high = c >> _LENGTH_BITS | d >> _LENGTH_BITS << more
            count += b & _LENGTH_MASK
            value = low | high << count
            count += more + (d & _LENGTH_MASK)
            word |= value << bits
            bits += count
            at += 4
            if bits >= _WORD:
                words[place] = word
                place += np.uint64(1)
                bits -= _WORD
                word = value >> (count - bits)
        state[0], state[1], state[2] = word, bits, place
        while at < stop:
            code = table[data[at]]
            _put(code >> _LENGTH_BITS, code & _LENGTH_MASK, words, state)
            at += 1
        _put(table[_END] >> _LENGTH_BITS, table[_END] & _LENGTH_MASK, words, state)
    words[state[2]] = state[0]
