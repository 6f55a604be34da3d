"""The camera model's hot path for noise with a long structure: :mod:`.kernel` with :class:`.Structure`.

Rows of filtered normals are kept in a ring of 17, so that every normal is drawn and filtered along its row
once. Filtered normals are limited to 8 standard deviations, as drawn ones are; every sum fits 32 bits.
"""

import numpy as np

from dimmagen.core.compiled import jit
from dimmagen.core.philox import philox4x32
from dimmagen.dimmers.camera.kernel import expose_row, fill_row, interleaved, mix_row
from dimmagen.dimmers.camera.structure import (
    COLUMN_STREAM,
    FIRST_BLOCK,
    LARGEST_NORMAL,
    RADIUS,
    ROW_STREAM,
    TAP_BITS,
    WEIGHT_BITS,
)

_RING = 2 * RADIUS + 1
_START = RADIUS + 1  # index of column 0 in a row of drawn normals


@jit(inline="always")
def _limited(value, bits):
    """A sum in units of the taps or weights as a normal."""
    shifted = np.int32(value) >> np.int32(bits)
    return min(max(shifted, np.int32(-LARGEST_NORMAL)), np.int32(LARGEST_NORMAL))


@jit()
def _filter_across(normals, width, taps, total, out):
    """Filter a row: normals int32 (3, >= width + 18) from column -9 on, out int32 (3, width)."""
    for part in range(3):
        half = taps[min(part, 1), 0]
        centre = half[0]
        for x in range(width):
            total[x] = np.int32(centre * normals[part, x + _START])
        for distance in range(1, RADIUS + 1):
            side = half[distance]
            if side == 0:
                continue
            for x in range(width):
                at = x + _START
                both = np.int32(normals[part, at - distance] + normals[part, at + distance])
                total[x] += np.int32(side * both)
        for x in range(width):
            out[part, x] = _limited(total[x], TAP_BITS)


@jit()
def _filter_down(ring, y, width, taps, total, out):
    """Filter across rows: ring int32 (17, 3, width) with row y at index y % 17, out int32 (3, width)."""
    for part in range(3):
        half = taps[min(part, 1), 1]
        here, centre = ring[y % _RING, part], half[0]
        for x in range(width):
            total[x] = np.int32(centre * here[x])
        for distance in range(1, RADIUS + 1):
            side = half[distance]
            if side == 0:
                continue
            above, below = ring[(y + _RING - distance) % _RING, part], ring[(y + distance) % _RING, part]
            for x in range(width):
                total[x] += np.int32(side * np.int32(above[x] + below[x]))
        for x in range(width):
            out[part, x] = _limited(total[x], TAP_BITS)


@jit()
def _line_normals(index, stream, luma, chroma, key0, key1):
    """One normal of luma and two of chroma for a whole row or column."""
    a, b, _, _ = philox4x32(np.uint32(index), np.uint32(0), np.uint32(stream), np.uint32(0), key0, key1)
    mask = np.uint32(0xFFFF)
    return np.int32(luma[a & mask]), np.int32(chroma[a >> np.uint32(16)]), np.int32(chroma[b & mask])


@jit()
def _add_lines(normals, width, weights, row, columns):
    """Mix normals of pixels (3, >= width) with that of their row (3,) and those of columns, in place."""
    for part in range(3):
        own, of_row, of_column = weights[min(part, 1)]
        offset = np.int32(of_row * row[part])
        for x in range(width):
            total = np.int32(np.int32(own * normals[part, x]) + np.int32(of_column * columns[part, x]))
            normals[part, x] = _limited(total + offset, WEIGHT_BITS)


@jit()
def dim_image(light, level, sigma, bend, skewed, mix, taps, weights, luma, chroma, by_luma, key0, key1, out):
    """Dim one image.

    Args:
        light, level, sigma, bend, skewed, mix, luma, chroma, by_luma, key0, key1, out: as for
            :func:`.kernel.dim_image`.
        taps, weights: of :class:`.Structure`.
    """
    height, width = light.shape[0], light.shape[1]
    tables = interleaved(level, sigma, bend)
    words = np.empty((3, (width + 3) // 2 + RADIUS), np.uint32)
    drawn = np.empty((3, 2 * words.shape[1]), np.int32)
    ring = np.empty((_RING, 3, width), np.int32)
    total = np.empty(width, np.int32)
    normals = np.empty((3, width), np.int32)
    noise = np.empty((3, width), np.int32)
    columns = np.empty((3, width), np.int32)
    banded = weights[0, 1] + weights[0, 2] + weights[1, 1] + weights[1, 2] != 0
    if banded:
        for x in range(width):
            columns[0, x], columns[1, x], columns[2, x] = _line_normals(
                x, COLUMN_STREAM, luma, chroma, key0, key1
            )
    for row in range(-RADIUS, height + RADIUS):
        fill_row(row, FIRST_BLOCK, words.shape[1], luma, chroma, key0, key1, words, drawn)
        _filter_across(drawn, width, taps, total, ring[row % _RING])
        y = row - RADIUS
        if y < 0:
            continue
        _filter_down(ring, y, width, taps, total, normals)
        if banded:
            lines = _line_normals(y, ROW_STREAM, luma, chroma, key0, key1)
            _add_lines(normals, width, weights, lines, columns)
        mix_row(normals, 0, width, mix, noise)
        expose_row(light[y], tables, noise, skewed, by_luma, out[y])
