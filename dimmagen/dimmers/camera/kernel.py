"""The camera model's hot path: one image, integers only.

Per pixel: three 16-bit uniforms -> three standard normals by table -> (filtered with the neighbours, if the
noise is correlated in space) -> mixed into channel noise -> (skewed) -> multiplied by the noise level of the
channel's grey level, or of the pixel's luma -> added to the dark mean of the channel's level -> rounded and
clipped. Every step is 32-bit integer arithmetic, so the image has the same bits on every processor.
"""

import numpy as np

from dimmagen.core.compiled import jit
from dimmagen.core.philox import philox4x32

NORMAL_BITS = 12  # the table of normals, and the mixed noise, are in units of 2**-12
MIX_BITS = 14
SIGMA_BITS = 8
LEVEL_BITS = NORMAL_BITS + SIGMA_BITS
BEND_BITS = 9
MEAN_SHIFT = LEVEL_BITS - BEND_BITS  # from the units of a bend to those of a level
BEND_SHIFT = NORMAL_BITS + BEND_BITS - SIGMA_BITS  # from a bend times a normal to the units of sigma
LARGEST_SIGMA = 96.0  # grey levels: keeps sigma * noise + level within 32 bits
LARGEST_NOISE = 14.0  # standard deviations, of white noise: three quantiles of at most 8, mixed by a unit row
LARGEST_SLOPE = 126.0  # grey levels: the same for sigma + bend * noise
SMALLEST_LEVEL = -64.0  # grey levels below black, likewise
LUMA, LUMA_BITS = (77, 150, 29), 8  # weights of red, green and blue (ITU-R BT.601), in 2**-8


@jit()
def fill_row(row, first, pairs, luma, chroma, key0, key1, words, out):
    """Luma and chroma normals of one row from column 2 `first` - 1 on: out int32 (3, >= 2 pairs), in 2**-12.

    Random words and the lookup of their quantiles are two loops over `words`, uint32 (3, pairs): the compiler
    can vectorise the first loop, but not the second one.
    """
    for pair in range(pairs):
        words[0, pair], words[1, pair], words[2, pair], _ = philox4x32(
            np.uint32(pair + first), np.uint32(row), np.uint32(0), np.uint32(0), key0, key1
        )
    mask = np.uint32(0xFFFF)
    half = np.uint32(16)
    for pair in range(pairs):
        a, b, c = words[0, pair], words[1, pair], words[2, pair]
        column = 2 * pair
        out[0, column] = luma[a & mask]
        out[1, column] = chroma[a >> half]
        out[2, column] = chroma[b & mask]
        out[0, column + 1] = luma[b >> half]
        out[1, column + 1] = chroma[c & mask]
        out[2, column + 1] = chroma[c >> half]


@jit()
def _blur_across(row, width, taps):
    """Three-tap filter along a row, in place: row int32 (3, >= width + 2); column j is stored at index j."""
    for channel in range(3):
        side, centre = (taps[0, 0], taps[0, 1]) if channel == 0 else (taps[1, 0], taps[1, 1])
        for column in range(width):
            total = (
                side * (row[channel, column] + row[channel, column + 2]) + centre * row[channel, column + 1]
            )
            row[channel, column] = total >> MIX_BITS


@jit()
def _blur_down(above, here, below, width, taps, out):
    """The same filter across three rows; rows and out int32 (3, >= width)."""
    for channel in range(3):
        side, centre = (taps[0, 0], taps[0, 1]) if channel == 0 else (taps[1, 0], taps[1, 1])
        for x in range(width):
            total = side * (above[channel, x] + below[channel, x]) + centre * here[channel, x]
            out[channel, x] = total >> MIX_BITS


@jit()
def mix_row(normals, start, width, mix, out):
    """Channel noise of a row, int32 (3, >= width), from normals that begin at index `start`; in 2**-12."""
    for channel in range(3):
        m0, m1, m2 = mix[channel, 0], mix[channel, 1], mix[channel, 2]
        for x in range(width):
            at = x + start
            # Without these casts numba multiplies in 64 bits, which takes twice as long; 32 bits suffice.
            first, second = np.int32(m0 * normals[0, at]), np.int32(m1 * normals[1, at])
            total = np.int32(np.int32(first + second) + np.int32(m2 * normals[2, at]))
            out[channel, x] = total >> np.int32(MIX_BITS)


@jit()
def _expose_row(light, tables, noise, out):
    """One dark row from a light one, uint8 (W, 3); `tables` int32 (3, 256, 4): level, sigma, bend, unused."""
    rounding = np.int32(1 << (LEVEL_BITS - 1))
    for x in range(light.shape[0]):
        for channel in range(3):
            value = np.intp(light[x, channel])
            deviation = np.int32(tables[channel, value, 1] * noise[channel, x])
            total = np.int32(np.int32(tables[channel, value, 0] + deviation) + rounding)
            dark = total >> np.int32(LEVEL_BITS)
            out[x, channel] = min(max(dark, np.int32(0)), np.int32(255))


@jit()
def _expose_skewed_row(light, tables, noise, out):
    """:func:`_expose_row` with skewed noise: level + (sigma + bend z) z for the noise z."""
    rounding = np.int32(1 << (LEVEL_BITS - 1))
    for x in range(light.shape[0]):
        for channel in range(3):
            value = np.intp(light[x, channel])
            normal = noise[channel, x]
            bend = np.int32(tables[channel, value, 2] * normal) >> np.int32(BEND_SHIFT)
            deviation = np.int32(np.int32(tables[channel, value, 1] + bend) * normal)
            total = np.int32(np.int32(tables[channel, value, 0] + deviation) + rounding)
            dark = total >> np.int32(LEVEL_BITS)
            out[x, channel] = min(max(dark, np.int32(0)), np.int32(255))


@jit()
def _expose_row_by_luma(light, tables, noise, out):
    """:func:`_expose_skewed_row` with the noise of the light level of the pixel's luma.

    The mean of its bend z² takes the place of that of the channel's own level, which the level lacks.
    """
    rounding = np.int32(1 << (LEVEL_BITS - 1))
    for x in range(light.shape[0]):
        weighted = np.int32(LUMA[0] * light[x, 0] + LUMA[1] * light[x, 1] + LUMA[2] * light[x, 2])
        luma = np.intp((weighted + np.int32(1 << (LUMA_BITS - 1))) >> np.int32(LUMA_BITS))
        for channel in range(3):
            value = np.intp(light[x, channel])
            normal = noise[channel, x]
            bend = np.int32(tables[channel, luma, 2] * normal) >> np.int32(BEND_SHIFT)
            deviation = np.int32(np.int32(tables[channel, luma, 1] + bend) * normal)
            shift = np.int32(tables[channel, value, 2] - tables[channel, luma, 2]) << np.int32(MEAN_SHIFT)
            level = np.int32(tables[channel, value, 0] + shift)
            total = np.int32(np.int32(level + deviation) + rounding)
            dark = total >> np.int32(LEVEL_BITS)
            out[x, channel] = min(max(dark, np.int32(0)), np.int32(255))


@jit()
def expose_row(light, tables, noise, skewed, by_luma, out):
    """One dark row from a light one and the channels' noise, uint8 (W, 3)."""
    if by_luma:
        _expose_row_by_luma(light, tables, noise, out)
    elif skewed:
        _expose_skewed_row(light, tables, noise, out)
    else:
        _expose_row(light, tables, noise, out)


@jit()
def interleaved(level, sigma, bend):
    """Tables (3, 256) as one int32 (3, 256, 4), so that one cache line has all of a light level."""
    tables = np.zeros((3, 256, 4), np.int32)
    for channel in range(3):
        for value in range(256):
            tables[channel, value, 0] = level[channel, value]
            tables[channel, value, 1] = sigma[channel, value]
            tables[channel, value, 2] = bend[channel, value]
    return tables


@jit()
def dim_image(light, level, sigma, bend, skewed, mix, taps, spatial, luma, chroma, by_luma, key0, key1, out):
    """Dim one image.

    Args:
        light: uint8 (H, W, 3).
        level: int32 (3, 256), dark level of each light level by channel where the noise z is 0, in 2**-20
            grey levels.
        sigma: int32 (3, 256), factor of z, in 2**-8 grey levels.
        bend: int32 (3, 256), factor of z², in 2**-9 grey levels.
        skewed: bool, whether any bend is not 0.
        mix: int32 (3, 3), matrix from three independent normals to the channels' noise, in 2**-14.
        taps: int32 (2, 2), [first normal | other two][side | centre] of the spatial filter, in 2**-14.
        spatial: bool, whether the filter is used.
        luma, chroma: int16 (65536,), quantiles of the noise's distribution, in 2**-12 standard deviations.
        by_luma: bool, whether sigma and bend are those of the pixel's luma, not of each channel.
        key0, key1: uint32, Philox key.
        out: uint8 (H, W, 3), receives the dark image.
    """
    height, width = light.shape[0], light.shape[1]
    tables = interleaved(level, sigma, bend)
    pairs = (width + 3) // 2  # columns -1 .. width
    words = np.empty((3, pairs), np.uint32)
    rows = np.empty((3, 3, width + 4), np.int32)
    blurred = np.empty((3, width + 4), np.int32)
    noise = np.empty((3, width), np.int32)
    if spatial:
        for row in (-1, 0):
            fill_row(row, 0, pairs, luma, chroma, key0, key1, words, rows[row % 3])
            _blur_across(rows[row % 3], width, taps)
    for y in range(height):
        here = rows[y % 3]
        if spatial:
            above, below = rows[(y + 2) % 3], rows[(y + 1) % 3]
            fill_row(y + 1, 0, pairs, luma, chroma, key0, key1, words, below)
            _blur_across(below, width, taps)
            _blur_down(above, here, below, width, taps, blurred)
            mix_row(blurred, 0, width, mix, noise)
        else:
            fill_row(y, 0, pairs, luma, chroma, key0, key1, words, here)
            mix_row(here, 1, width, mix, noise)  # index 0 is the column to the left of the image
        expose_row(light[y], tables, noise, skewed, by_luma, out[y])
