"""Statistics of the noise of a dark image, by blocks of 16x16 pixels."""

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


def _block_numbers(height: int, width: int) -> np.ndarray:
    """Number of the 16x16 block of each pixel: int (H, W)."""
    rows, columns = np.arange(height) // BLOCK, np.arange(width) // BLOCK
    return rows[:, None] * (columns[-1] + 1) + columns


def cells_of(residual: np.ndarray, area: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """The pixels of one block near one knot: float64 (cells, 5) of channel, knot, power, skewness, pixels."""
    block = _block_numbers(*area.shape)
    tables = []
    for channel in range(3):
        cell = block[area] * SIGMA_KNOTS + knots[channel]
        values = residual[area, channel].astype(np.float64)
        count = np.bincount(cell)
        enough = np.flatnonzero(count >= FEWEST_IN_CELL)
        second, third = (np.bincount(cell, values**moment)[enough] / count[enough] for moment in (2, 3))
        skewness = third / (second + 1e-3) ** 1.5
        columns = (np.full(len(enough), channel), enough % SIGMA_KNOTS, second, skewness, count[enough])
        tables.append(np.stack(columns, axis=1).astype(np.float64))
    return np.concatenate(tables)


def blocks_of(residual: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Structure and tails of each block.

    Returns:
        float64 (blocks, 14): the channels' nine correlations, luma and chroma autocorrelation at lag 1, luma
        and chroma kurtosis, pixels.
    """
    block = _block_numbers(*area.shape)
    blocks = int(block[-1, -1]) + 1

    def sums(values: np.ndarray, where: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        return np.bincount(numbers[where], values[where], minlength=blocks)

    count = np.bincount(block[area], minlength=blocks)
    enough = count >= FEWEST_IN_BLOCK
    channels = np.moveaxis(residual, 2, 0)
    products = np.stack([sums(one * other, area, block) for one in channels for other in channels])
    deviation = np.sqrt(np.maximum(products[[0, 4, 8]], 1e-9))
    correlation = products / np.repeat(deviation, 3, axis=0) / np.tile(deviation, (3, 1))
    luma = residual.mean(2, keepdims=True)
    lags, kurtoses = [], []
    for part in (luma, residual - luma):
        power = np.maximum(sums((part**2).sum(2), area, block) / np.maximum(count, 1), 1e-9)
        fourth = sums((part**4).sum(2), area, block) / np.maximum(count, 1)
        kurtoses.append(part.shape[2] * fourth / power**2)
        lag = np.zeros(blocks)
        for one, other in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1])):
            both = area[one] & area[other]
            number = np.bincount(block[one][both], minlength=blocks)
            lag += sums((part[one] * part[other]).sum(2), both, block[one]) / np.maximum(number, 1) / 2
        lags.append(lag / power)
    return np.stack([*correlation, *lags, *kurtoses, count], axis=1)[enough]


def by_knot(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Median power and skewness, and pixels, of each knot: (3, SIGMA_KNOTS) each; 0 without cells."""
    power, skewness, count = (np.zeros((3, SIGMA_KNOTS)) for _ in range(3))
    for channel, knot in np.unique(cells[:, :2].astype(int), axis=0):
        own = cells[(cells[:, 0] == channel) & (cells[:, 1] == knot)]
        power[channel, knot] = weighted_median(own[:, 2], own[:, 4])
        skewness[channel, knot] = weighted_median(own[:, 3], own[:, 4])
        count[channel, knot] = own[:, 4].sum()
    return power, skewness, count


def weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """The value below and above which lies half of the weight; 0 without values."""
    if not len(values):
        return 0.0
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])
