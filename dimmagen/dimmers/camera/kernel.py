"""The camera model's hot path: one picture, integers only.

Per pixel: three 16-bit uniforms -> three standard normals by table -> (neighbours mixed, where the noise is
correlated in space) -> mixed into channel noise -> times the noise level of the channel's grey level ->
added to the dark mean of that level -> rounded and clipped. Every step is 32-bit integer arithmetic, so the
picture has the same bits on every processor.
"""

import numba
import numpy as np

from dimmagen.core.philox import philox4x32

NORMAL_BITS = 12  # the table of normals, and the mixed noise, are in units of 2**-12
MIX_BITS = 14
SIGMA_BITS = 8
LEVEL_BITS = NORMAL_BITS + SIGMA_BITS
LARGEST_SIGMA = 96.0  # grey levels: keeps sigma * noise + level within 32 bits for 5-sigma noise


@numba.njit(cache=True)
def _fill_row(row, width, table, key0, key1, words, out):
    """Standard normals of columns -1 .. width of one row: out int32 (3, >= width + 4), in 2**-12.

    Random words and what they mean are two loops over `words`, uint32 (3, (width + 3) // 2): the first one
    is computed for several pixels at once, the second one, which looks things up, cannot be.
    """
    pairs = (width + 3) // 2
    for pair in range(pairs):
        words[0, pair], words[1, pair], words[2, pair], _ = philox4x32(
            np.uint32(pair), np.uint32(row), np.uint32(0), np.uint32(0), key0, key1
        )
    mask = np.uint32(0xFFFF)
    half = np.uint32(16)
    for pair in range(pairs):
        a, b, c = words[0, pair], words[1, pair], words[2, pair]
        column = 2 * pair
        out[0, column] = table[a & mask]
        out[1, column] = table[a >> half]
        out[2, column] = table[b & mask]
        out[0, column + 1] = table[b >> half]
        out[1, column + 1] = table[c & mask]
        out[2, column + 1] = table[c >> half]


@numba.njit(cache=True)
def _blur_across(row, width, taps):
    """Three-tap filter along a row, in place: row int32 (3, >= width + 2); column j is stored at j."""
    for channel in range(3):
        side, centre = (taps[0, 0], taps[0, 1]) if channel == 0 else (taps[1, 0], taps[1, 1])
        for column in range(width):
            total = (
                side * (row[channel, column] + row[channel, column + 2]) + centre * row[channel, column + 1]
            )
            row[channel, column] = total >> MIX_BITS


@numba.njit(cache=True)
def _blur_down(above, here, below, width, taps, out):
    """The same filter across three rows; row and out int32 (3, >= width)."""
    for channel in range(3):
        side, centre = (taps[0, 0], taps[0, 1]) if channel == 0 else (taps[1, 0], taps[1, 1])
        for x in range(width):
            total = side * (above[channel, x] + below[channel, x]) + centre * here[channel, x]
            out[channel, x] = total >> MIX_BITS


@numba.njit(cache=True)
def _mix(normals, start, width, mix, out):
    """Channel noise of a row, int32 (3, >= width), of normals that begin at column `start`; in 2**-12."""
    for channel in range(3):
        m0, m1, m2 = mix[channel, 0], mix[channel, 1], mix[channel, 2]
        for x in range(width):
            at = x + start
            # numba multiplies in 64 bits unless told that 32 hold it, which takes twice as long.
            first, second = np.int32(m0 * normals[0, at]), np.int32(m1 * normals[1, at])
            total = np.int32(np.int32(first + second) + np.int32(m2 * normals[2, at]))
            out[channel, x] = total >> np.int32(MIX_BITS)


@numba.njit(cache=True)
def _expose_row(light, both, noise, out):
    """One dark row, uint8 (W, 3), of a light one; `both` int32 (3, 256, 2): level and sigma, side by side."""
    rounding = np.int32(1 << (LEVEL_BITS - 1))
    for x in range(light.shape[0]):
        for channel in range(3):
            value = np.intp(light[x, channel])
            deviation = np.int32(both[channel, value, 1] * noise[channel, x])
            dark = np.int32(np.int32(both[channel, value, 0] + deviation) + rounding) >> np.int32(LEVEL_BITS)
            out[x, channel] = min(max(dark, np.int32(0)), np.int32(255))


@numba.njit(cache=True)
def dim_image(light, level, sigma, mix, taps, spatial, table, key0, key1, out):
    """Dim one picture.

    Args:
        light: uint8 (H, W, 3).
        level: int32 (3, 256), mean dark level of each light level and channel, in 2**-20 grey levels.
        sigma: int32 (3, 256), standard deviation of the noise there, in 2**-8 grey levels.
        mix: int32 (3, 3), from three independent normals to the channels' noise, in 2**-14.
        taps: int32 (2, 2), [first normal | other two][side | centre] of the spatial filter, in 2**-14.
        spatial: bool, whether the filter is used at all.
        table: int16 (65536,), quantiles of the noise's distribution, in 2**-12 standard deviations.
        key0, key1: uint32, Philox key.
        out: uint8 (H, W, 3), written.
    """
    height, width = light.shape[0], light.shape[1]
    both = np.empty((3, 256, 2), np.int32)
    for channel in range(3):
        for value in range(256):
            both[channel, value, 0], both[channel, value, 1] = level[channel, value], sigma[channel, value]
    words = np.empty((3, (width + 3) // 2), np.uint32)
    rows = np.empty((3, 3, width + 4), np.int32)
    blurred = np.empty((3, width + 4), np.int32)
    noise = np.empty((3, width), np.int32)
    if spatial:
        for row in (-1, 0):
            _fill_row(row, width, table, key0, key1, words, rows[row % 3])
            _blur_across(rows[row % 3], width, taps)
    for y in range(height):
        here = rows[y % 3]
        if spatial:
            above, below = rows[(y + 2) % 3], rows[(y + 1) % 3]
            _fill_row(y + 1, width, table, key0, key1, words, below)
            _blur_across(below, width, taps)
            _blur_down(above, here, below, width, taps, blurred)
            _mix(blurred, 0, width, mix, noise)
        else:
            _fill_row(y, width, table, key0, key1, words, here)
            _mix(here, 1, width, mix, noise)  # column 0 stands behind that on its left
        _expose_row(light[y], both, noise, out[y])
