"""Statistics of the noise by blocks of 16x16 pixels, of which medians over all blocks are compared.

A few blocks of texture that the light image does not show (leaves in the wind, a reflection) would decide a
mean of powers.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dimmagen.dimmers.camera.response import SIGMA_KNOTS

BLOCK = 16  # pixels
FEWEST_IN_CELL = 24  # pixels of one block near one knot
FEWEST_IN_BLOCK = 64  # pixels: fewer do not show a correlation


@dataclass(frozen=True, eq=False)
class MeasuredNoise:
    """Statistics of the residuals over all tiles.

    Attributes:
        power, skewness, count: (3, SIGMA_KNOTS), mean square and skewness of the residual around each knot,
            and number of pixels.
        correlation: (3, 3), between the channels.
        lags: (2,), luma and chroma autocorrelation at lag 1.
        kurtosis: (2,), of luma and chroma.
        pixels: number of those in which these three are measured.
    """

    power: np.ndarray
    skewness: np.ndarray
    count: np.ndarray
    correlation: np.ndarray
    lags: np.ndarray
    kurtosis: np.ndarray
    pixels: float


def over_all_blocks(tables: Iterable[tuple[np.ndarray, np.ndarray]]) -> MeasuredNoise:
    """Medians over the blocks of all tiles.

    Args:
        tables: the results of :func:`cells_of_blocks` and :func:`structure_of_blocks` of each tile.
    """
    cells, blocks = (np.concatenate(table) for table in zip(*tables, strict=True))
    power, skewness, count = _by_knot(cells)
    medians = np.array([_weighted_median(column, blocks[:, -1]) for column in blocks[:, :-1].T])
    correlation, pixels = medians[:9].reshape(3, 3), float(blocks[:, -1].sum())
    return MeasuredNoise(power, skewness, count, correlation, medians[9:11], medians[11:], pixels)


def cells_of_blocks(residual: np.ndarray, area: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Power and skewness of the pixels of each block near each knot.

    Args:
        residual: float32 (H, W, 3), grey levels.
        area: bool (H, W), the pixels that count.
        knots: int (3, N), the knot nearest to the dark level of each of them.

    Returns:
        float64 (cells, 5): channel, knot, mean square, skewness and pixels of those with enough of them.
    """
    block = _block_numbers(*area.shape)[area]
    tables = []
    for channel, values in enumerate(residual[area].T.astype(np.float64)):
        cell = block * SIGMA_KNOTS + knots[channel]
        count = np.bincount(cell)
        enough = np.flatnonzero(count >= FEWEST_IN_CELL)
        second, third = (np.bincount(cell, values**moment)[enough] / count[enough] for moment in (2, 3))
        skewness = third / (second + 1e-3) ** 1.5
        columns = (np.full(len(enough), channel), enough % SIGMA_KNOTS, second, skewness, count[enough])
        tables.append(np.stack(columns, axis=1).astype(np.float64))
    return np.concatenate(tables)


def structure_of_blocks(residual: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Structure and tails of each block.

    Args:
        residual: float32 (H, W, 3), grey levels.
        area: bool (H, W), the pixels that count.

    Returns:
        float64 (blocks, 14): the channels' nine correlations, luma and chroma autocorrelation at lag 1, luma
        and chroma kurtosis, and pixels, of the blocks with enough of them.
    """
    numbers = _block_numbers(*area.shape)
    blocks = int(numbers[-1, -1]) + 1
    block, values = numbers[area], residual[area]
    count = np.bincount(block, minlength=blocks)

    def means(terms: np.ndarray, of: np.ndarray = block) -> np.ndarray:
        pixels = np.maximum(np.bincount(of, minlength=blocks), 1)
        return np.bincount(of, terms, minlength=blocks) / pixels

    luma = values.mean(1, keepdims=True)
    neighbours = _neighbours(area)
    lags, kurtoses = [], []
    for part in (luma, values - luma):
        power = np.maximum(means((part**2).sum(1)), 1e-9)
        kurtoses.append(part.shape[1] * means((part**4).sum(1)) / power**2)
        lag = sum(means((part[one] * part[other]).sum(1), block[one]) / 2 for one, other in neighbours)
        lags.append(lag / power)
    table = np.stack([*_correlations(values, block, blocks), *lags, *kurtoses, count], axis=1)
    return np.asarray(table[count >= FEWEST_IN_BLOCK])


def _correlations(values: np.ndarray, block: np.ndarray, blocks: int) -> np.ndarray:
    """Correlations of the channels of (N, 3) in each block: float64 (9, blocks)."""
    channels = np.ascontiguousarray(values.T)
    products = np.zeros((3, 3, blocks))
    for one in range(3):
        for other in range(one, 3):
            sums = np.bincount(block, channels[one] * channels[other], minlength=blocks)
            products[one, other] = products[other, one] = sums
    deviation = np.sqrt(np.maximum(products[range(3), range(3)], 1e-9))
    return (products / deviation[:, None] / deviation).reshape(9, blocks)


def _neighbours(area: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Adjacent pixels of an area, across and down, by their numbers in it: two int arrays for each."""
    number = np.empty(area.shape, np.intp)
    number[area] = np.arange(np.count_nonzero(area))
    found = []
    for one, other in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1])):
        both = area[one] & area[other]
        found.append((number[one][both], number[other][both]))
    return found


def _block_numbers(height: int, width: int) -> np.ndarray:
    """Number of the 16x16 block of each pixel: int (H, W)."""
    rows, columns = np.arange(height) // BLOCK, np.arange(width) // BLOCK
    return rows[:, None] * (columns[-1] + 1) + columns


def _by_knot(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Median power and skewness, and pixels, of each knot: (3, SIGMA_KNOTS) each; 0 without cells."""
    power, skewness, count = (np.zeros((3, SIGMA_KNOTS)) for _ in range(3))
    for channel, knot in np.unique(cells[:, :2].astype(int), axis=0):
        own = cells[(cells[:, 0] == channel) & (cells[:, 1] == knot)]
        power[channel, knot] = _weighted_median(own[:, 2], own[:, 4])
        skewness[channel, knot] = _weighted_median(own[:, 3], own[:, 4])
        count[channel, knot] = own[:, 4].sum()
    return power, skewness, count


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """The value below and above which lies half of the weight; 0 without values."""
    if not len(values):
        return 0.0
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])
