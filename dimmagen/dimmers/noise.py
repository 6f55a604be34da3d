"""Pixel noise that depends only on a key and the pixel's index: see :mod:`dimmagen.core.philox`.

The 128 random bits of a pixel in one block are read as eight 16-bit words. A standard normal is looked up as
the quantile of a word: no transcendental function, whose last bit differs between machines, is involved.
"""

import numpy as np
from scipy.special import ndtri

from dimmagen.core.compiled import jit
from dimmagen.core.philox import philox4x32, split_key

WORDS = 65536
# Midpoints of 65,536 equally likely cells, divided by the deviation of that set, so that its variance is 1.
_CELLS = ndtri((np.arange(WORDS) + 0.5) / WORDS)
NORMAL_QUANTILES: np.ndarray = (_CELLS / _CELLS.std()).astype(np.float32)


def normals(first: int, pixels: int, key: int, block: int) -> np.ndarray:
    """Standard normal noise.

    Args:
        first: index of the first pixel, counted row by row.
        pixels: number of pixels.
        key: `Draw.noise_seed`.
        block: number of the purpose: two purposes never share a draw.

    Returns:
        float32 (pixels, 8), independent, mean 0, variance 1, within about +-4.2.
    """
    out = np.empty((pixels, 8), np.float32)
    _fill_normals(out, NORMAL_QUANTILES, np.uint32(first), np.uint32(block), *split_key(key))
    return out


def random_words(first: int, pixels: int, key: int, block: int) -> np.ndarray:
    """The random words of which :func:`normals` are the quantiles, with its arguments: uint16 (pixels, 8)."""
    out = np.empty((pixels, 4), np.uint32)
    _fill_words(out, np.uint32(first), np.uint32(block), *split_key(key))
    return np.stack([out & 0xFFFF, out >> 16], axis=2).astype(np.uint16).reshape(pixels, 8)


@jit()
def _fill_words(out, first, block, key_low, key_high):
    zero = np.uint32(0)
    for pixel in range(out.shape[0]):
        a, b, c, d = philox4x32(np.uint32(first + pixel), block, zero, zero, key_low, key_high)
        out[pixel, 0], out[pixel, 1], out[pixel, 2], out[pixel, 3] = a, b, c, d


@jit()
def _fill_normals(out, quantiles, first, block, key_low, key_high):
    zero = np.uint32(0)
    for pixel in range(out.shape[0]):
        drawn = philox4x32(np.uint32(first + pixel), block, zero, zero, key_low, key_high)
        for index in range(4):
            out[pixel, 2 * index] = quantiles[drawn[index] & np.uint32(0xFFFF)]
            out[pixel, 2 * index + 1] = quantiles[drawn[index] >> np.uint32(16)]
