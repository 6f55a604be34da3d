"""The camera model's hot path: one picture, integers only.

Per pixel: three 16-bit uniforms -> three standard normals by table -> (neighbours mixed, where the noise is
correlated in space) -> mixed into channel noise -> times the noise level of the channel's grey level ->
added to the dark mean of that level -> rounded and clipped. Every step is 32-bit integer arithmetic, so the
picture has the same bits on every processor.
"""

import numba
import numpy as np

from dimmagen.philox import philox4x32

NORMAL_BITS = 12  # the table of normals, and the mixed noise, are in units of 2**-12
MIX_BITS = 14
SIGMA_BITS = 8
LEVEL_BITS = NORMAL_BITS + SIGMA_BITS
LARGEST_SIGMA = 96.0  # grey levels: keeps sigma * noise + level within 32 bits for 5-sigma noise


@numba.njit(inline="always", cache=True)
def _fill_row(row, width, table, key0, key1, out):
    """Standard normals of columns -1 .. width of one row: out int32 (3, width + 2), in 2**-12."""
    mask = np.uint32(0xFFFF)
    half = np.uint32(16)
    for pair in range((width + 3) // 2):
        a, b, c, _ = philox4x32(np.uint32(pair), np.uint32(row), np.uint32(0), np.uint32(0), key0, key1)
        column = 2 * pair
        out[0, column] = table[a & mask]
        out[1, column] = table[a >> half]
        out[2, column] = table[b & mask]
        out[0, column + 1] = table[b >> half]
        out[1, column + 1] = table[c & mask]
        out[2, column + 1] = table[c >> half]


@numba.njit(inline="always", cache=True)
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
def dim_picture(light, level, sigma, mix, taps, spatial, table, key0, key1, out):
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
    rows = np.empty((3, 3, width + 4), np.int32)
    start = 0 if spatial else 1  # where column 0 of a filled row stands
    if spatial:
        for row in (-1, 0):
            _fill_row(row, width, table, key0, key1, rows[row % 3])
            _blur_across(rows[row % 3], width, taps)
    rounding = np.int32(1 << (LEVEL_BITS - 1))
    for y in range(height):
        here = rows[y % 3]
        if spatial:
            below = rows[(y + 1) % 3]
            above = rows[(y + 2) % 3]
            _fill_row(y + 1, width, table, key0, key1, below)
            _blur_across(below, width, taps)
        else:
            above = here
            below = here
            _fill_row(y, width, table, key0, key1, here)
        for x in range(width):
            first = here[0, x + start]
            second = here[1, x + start]
            third = here[2, x + start]
            if spatial:
                first = (taps[0, 0] * (above[0, x] + below[0, x]) + taps[0, 1] * first) >> MIX_BITS
                second = (taps[1, 0] * (above[1, x] + below[1, x]) + taps[1, 1] * second) >> MIX_BITS
                third = (taps[1, 0] * (above[2, x] + below[2, x]) + taps[1, 1] * third) >> MIX_BITS
            for channel in range(3):
                noise = mix[channel, 0] * first + mix[channel, 1] * second + mix[channel, 2] * third
                value = light[y, x, channel]
                dark = level[channel, value] + sigma[channel, value] * (noise >> MIX_BITS) + rounding
                out[y, x, channel] = min(max(dark >> LEVEL_BITS, 0), 255)
