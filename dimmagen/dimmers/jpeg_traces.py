"""Traces of JPEG compression in decoded pixels: images that were JPEGs before they were stored as PNG.

Two traces are looked for. Decoders compute red, green and blue as luma plus whole numbers that follow from
the two integers of chroma, so that only one in four pairs of differences R-G and B-G is possible. And
in the blocks of 8x8 pixels, the DCT coefficients of luma lie near multiples of the quantisation steps
(Fan and de Queiroz, Identification of bitmap compression history: JPEG detection and quantizer estimation,
IEEE Transactions on Image Processing 2003).
"""

from functools import lru_cache

import numpy as np
from scipy.fft import dctn

from dimmagen.dimmers.jpeg import LUMA_TABLE, quality_of_steps

BLOCK = 8
MOST_BLOCKS = 1 << 13  # that are looked at, evenly spread over the image
MOST_BLOCKS_OF_A_GRID = 1 << 9  # of each of the 64 places at which the grid may begin
MIN_PIXELS = 512
MIN_DIFFERENCES = 8  # distinct pairs of R-G and B-G: in other images one in four is possible by chance
# Of the pixels, and of the distinct differences. Decoded JPEGs have at least 0.997 of both; 1018 images of
# LOL and of two other cameras have at most 0.79 and 0.45.
MIN_POSSIBLE = 0.95

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_MOST_STEP = 128
_BINS_PER_LEVEL = 4
_BINS = 128 * _BINS_PER_LEVEL  # larger coefficients are left out
_ROUNDING = 0.4  # standard deviation of a coefficient of luma whose pixels were rounded to 8 bits
MIN_COEFFICIENTS = 32  # of a frequency
MIN_GAIN = 20.0  # nats by which a step has to explain the coefficients of a frequency better than none
_SPAN = 511  # of a difference of two channels
_GREY = 255 * _SPAN + 255  # by `_differences`


def former_jpeg_quality(pixels: np.ndarray) -> int:
    """The quality of the JPEG that an image was decoded from.

    Args:
        pixels: uint8 (H, W, 3), RGB, as decoded: not resized, converted or edited since. Cropped, mirrored
            and turned images keep the traces.

    Returns:
        IJG quality, 1 to 100: that whose standard table has the same sum as the luma steps that are found,
        weighted by how clearly each shows, and 100 if none above 1 does; 0 without traces: the image was no
        JPEG, or has too few colours to tell.
    """
    if not _has_possible_colours(_blocks(pixels, 0, 0, MOST_BLOCKS)):
        return 0
    steps, gains = _steps(_blocks(pixels, *_grid(pixels), MOST_BLOCKS))
    return quality_of_steps(gains @ steps, gains @ LUMA_TABLE.ravel()) if gains.any() else 100


def _blocks(pixels: np.ndarray, row: int, column: int, most: int) -> np.ndarray:
    """Blocks of the grid that begins at a pixel, evenly spread, at most so many: (N, 8, 8, 3)."""
    height, width = (pixels.shape[0] - row) // BLOCK, (pixels.shape[1] - column) // BLOCK
    inside = pixels[row : row + BLOCK * height, column : column + BLOCK * width]
    grid = inside.reshape(height, BLOCK, width, BLOCK, 3)
    count = height * width
    chosen = np.linspace(0, max(count - 1, 0), min(count, most)).astype(int)
    return grid[chosen // max(width, 1), :, chosen % max(width, 1)]


def _has_possible_colours(blocks: np.ndarray) -> bool:
    """Whether nearly all colours are some that decoders of JPEG make, and enough to tell.

    Grey pixels are possible in any image, and clipped ones have lost what is compared.
    """
    colours = blocks.reshape(-1, 3)
    colours = colours[(colours.min(axis=1) > 0) & (colours.max(axis=1) < 255)].astype(np.intp)
    counts = np.bincount(_differences(*colours.T), minlength=_SPAN * _SPAN)
    counts[_GREY] = 0
    different, possible = counts > 0, _possible_differences()
    if counts.sum() < MIN_PIXELS or different.sum() < MIN_DIFFERENCES:
        return False
    return bool(
        counts[possible].sum() >= MIN_POSSIBLE * counts.sum()
        and different[possible].sum() >= MIN_POSSIBLE * different.sum()
    )


def _differences(red: np.ndarray, green: np.ndarray, blue: np.ndarray) -> np.ndarray:
    """R-G and B-G as one number."""
    return (red - green + 255) * _SPAN + blue - green + 255


@lru_cache(maxsize=1)
def _possible_differences() -> np.ndarray:
    """Which R-G and B-G decoders make of the 256x256 values of chroma: bool, by :func:`_differences`."""
    blue, red = np.mgrid[-128:128, -128:128]
    offsets = 1.402 * red, -0.344136 * blue - 0.714136 * red, 1.772 * blue
    red, green, blue = (np.floor(offset + 0.5).astype(np.intp) for offset in offsets)
    inside = (abs(red - green) <= 255) & (abs(blue - green) <= 255)
    possible = np.zeros(_SPAN * _SPAN, bool)
    possible[_differences(red[inside], green[inside], blue[inside])] = True
    return possible


def _grid(pixels: np.ndarray) -> tuple[int, int]:
    """Row and column at which the grid begins: others than 0 in cropped, mirrored and turned images."""
    grids = [(row, column) for row in range(BLOCK) for column in range(BLOCK)]
    histograms = [_histogram(_blocks(pixels, row, column, MOST_BLOCKS_OF_A_GRID)) for row, column in grids]
    gains = (np.stack(histograms) @ _scores()[0]).max(axis=2).sum(axis=1)
    return grids[int(gains.argmax())] if gains.max() > 2 * gains[0] else (0, 0)


def _steps(blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quantisation step of each frequency, at least 2, and its gain: (64,) each; 0 where none is found."""
    histogram = _histogram(blocks)
    scores, counted = _scores()
    gains = np.where(histogram @ counted >= MIN_COEFFICIENTS, histogram @ scores, 0.0)
    steps, best = gains.argmax(axis=1), gains.max(axis=1)
    return np.where(best >= MIN_GAIN, steps, 0), np.where(best >= MIN_GAIN, best, 0.0)


def _histogram(blocks: np.ndarray) -> np.ndarray:
    """How often the coefficients of luma have each absolute value, by frequency: float32 (64, bins)."""
    flat = blocks.reshape(len(blocks), -1)
    luma = blocks[(flat.min(axis=1) > 0) & (flat.max(axis=1) < 255)] @ _LUMA - 128
    # Where all rows or columns are equal, the roundings of one add up, to what looks like steps of 2.
    varied = (np.ptp(luma, axis=1).max(axis=1) > 0) & (np.ptp(luma, axis=2).max(axis=1) > 0)
    coefficients = np.abs(dctn(luma[varied], axes=(1, 2), norm="ortho")).reshape(-1, BLOCK**2)
    bins = np.rint(coefficients * _BINS_PER_LEVEL).astype(np.intp)
    places = (bins + np.arange(BLOCK**2) * _BINS)[bins < _BINS]
    counts = np.bincount(places, minlength=BLOCK**2 * _BINS)
    return counts.reshape(BLOCK**2, _BINS).astype(np.float32)


@lru_cache(maxsize=1)
def _scores() -> tuple[np.ndarray, np.ndarray]:
    """Log-likelihood of a coefficient by its bin and the step, relative to no step; and whether it counts.

    Those that were quantised to 0 say nothing about the step, and no step of 1 can be seen.
    """
    values = np.arange(_BINS)[:, None] / _BINS_PER_LEVEL
    steps = np.arange(2.0, _MOST_STEP + 1)
    off = values - steps * np.rint(values / steps)
    wrapped = sum(np.exp(-(((off + turn * steps) / _ROUNDING) ** 2) / 2) for turn in (-1, 0, 1))
    density = wrapped / (_ROUNDING * np.sqrt(2 * np.pi))
    counted = values > steps / 2
    scores = np.where(counted, np.log(np.maximum(steps * density, 1e-3)), 0.0)
    by_step = ((0, 0), (2, 0))
    return np.pad(scores, by_step).astype(np.float32), np.pad(counted, by_step).astype(np.float32)
