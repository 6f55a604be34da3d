"""COCO's run-length masks: counts of zeros and ones in turn, down the columns, as numbers or as text."""

from collections.abc import Sequence

import numpy as np

from dimmagen.images.codec import MAX_PIXELS

_OFFSET, _BITS = 48, 5  # a character is 48 + 5 bits of a number, and a bit for whether more follow


def decode(counts: Sequence[int], height: int, width: int) -> np.ndarray:
    """A mask from its counts: bool (height, width).

    Raises:
        ValueError: the counts are not those of a mask of this size, or no image has this size.
    """
    pixels = height * width
    if height < 1 or width < 1 or pixels > MAX_PIXELS:
        raise ValueError(f"a run-length mask is of {height}x{width} pixels")
    # Each by itself first: the sum of a stranger's numbers may be right because it overflows.
    is_in_range = all(0 <= count <= pixels for count in counts)
    if not is_in_range or sum(counts) != pixels:
        raise ValueError(f"the counts of a run-length mask are not {pixels} pixels")
    lengths = np.asarray(counts, np.int64)
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape(width, height).T


def encode(mask: np.ndarray) -> list[int]:
    """The counts of a mask, bool (height, width)."""
    flat = mask.T.ravel()
    ends = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], ends, [flat.size]])).tolist()
    return [0, *counts] if flat.size and flat[0] else counts


def to_text(counts: Sequence[int]) -> str:
    """Counts as COCO compresses them: from the third on the difference to the last but one."""
    text = []
    for index, count in enumerate(counts):
        value = count - counts[index - 2] if index > 2 else count
        more = True
        while more:
            bits = value & 0x1F
            value >>= _BITS
            more = value != -1 if bits & 0x10 else value != 0
            text.append(chr(_OFFSET + bits + (0x20 if more else 0)))
    return "".join(text)


def from_text(text: str) -> list[int]:
    """The counts in compressed text.

    Raises:
        ValueError: it is not such a text.
    """
    counts: list[int] = []
    place = 0
    while place < len(text):
        value, shift, more = 0, 0, True
        while more:
            bits = (ord(text[place]) if place < len(text) else -1) - _OFFSET
            if not 0 <= bits < 64 or shift > 60:
                raise ValueError("the text of a run-length mask is damaged")
            value |= (bits & 0x1F) << shift
            more = bool(bits & 0x20)
            place += 1
            shift += _BITS
            if not more and bits & 0x10:
                value |= -1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts
