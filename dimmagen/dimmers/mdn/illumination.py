"""How much darker: statistics of L_dark / L_light for each of 256 light levels (paper, Eq. 9-10).

Unlike the paper's, the deviation is that within a scene: how differently the scenes of the pairs were exposed
is kept apart, as a spread that is drawn once a picture. How much of the deviation is pixel noise (the rest is
texture and colour) is the temperature tau, measured on the flat parts of the pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from dimmagen.dimmers.real_pairs import RealPair

LEVELS = 256
FLAT_SHARE = 0.4  # of a light picture's pixels, those with the least texture around them
HIGH_PASS_SIGMA = 1.5


@dataclass(frozen=True, eq=False)
class IlluminationStatistics:
    """What a fit finds.

    Attributes:
        mean, std: float32 (256,), of L_dark / L_light at each light level.
        tau: the pixel noise's deviation as a share of `std`.
        exposure_spread: standard deviation of ln(exposure) between scenes; 0 for one pair.
    """

    mean: np.ndarray
    std: np.ndarray
    tau: float
    exposure_spread: float


def fit_illumination(pairs: Sequence[RealPair]) -> IlluminationStatistics:
    """Statistics of pairs, with the exposure of each pair divided out."""
    counts, sums, squares = (np.stack(table) for table in zip(*map(_tables, pairs), strict=True))
    exposure = _exposures(counts, sums)
    # With the scene's exposure e: sum (q/e)^2 and sum q/e over all scenes, per level.
    total = counts.sum(0)
    seen = total >= 2
    known_total = np.maximum(total, 1)
    mean = (sums / exposure).sum(0) / known_total
    variance = (squares / exposure**2).sum(0) / known_total - mean**2
    mean = smooth(fill(mean, seen))
    std = smooth(fill(np.sqrt(np.maximum(variance, 0)), seen))
    spread = float(np.log(exposure).std(ddof=1)) if len(pairs) > 1 else 0.0
    return IlluminationStatistics(
        mean.astype(np.float32), std.astype(np.float32), _temperature(pairs, std), spread
    )


def fill(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Interpolate levels not `seen` from the nearest known ones; the last known value beyond the ends."""
    levels = np.arange(LEVELS)
    return np.interp(levels, levels[seen], values[seen])


def smooth(values: np.ndarray) -> np.ndarray:
    """Mean over a window of 3 levels; the ends are continued with their own values."""
    padded = np.pad(values, 1, mode="edge")
    return (padded[:-2] + padded[1:-1] + padded[2:]) / 3


def repair_published(values: np.ndarray) -> np.ndarray:
    """Mend both ends of a published array of statistics.

    The authors' arrays count levels never seen at the dark end as 0 and are smoothed as if zeros stood beyond
    both ends. The smoothing of 256 values can be undone exactly; then the levels never seen, which come
    out as 0, are filled and the smoothing is repeated with true ends.

    Args:
        values: float (256,).

    Returns:
        float32 (256,).
    """
    window = np.eye(LEVELS) + np.eye(LEVELS, k=1) + np.eye(LEVELS, k=-1)
    raw = np.linalg.solve(window, 3 * values.astype(np.float64))
    seen = raw > 1e-4
    if not seen.any():
        return values.astype(np.float32)
    return smooth(fill(raw, seen)).astype(np.float32)


def light_levels(light: np.ndarray) -> np.ndarray:
    """Mean of the channels, rounded: uint8 (..., 3) -> int (...), the index into the statistics."""
    return (light.sum(-1, dtype=np.int32) + 1) // 3


def _tables(pair: RealPair) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count, sum and sum of squares of L_dark / L_light at each light level, float64 (256,) each."""
    light = pair.light.sum(-1, dtype=np.int64).ravel()
    lit = light > 0
    ratio = pair.dark.sum(-1, dtype=np.int64).ravel()[lit] / light[lit]
    levels = light_levels(pair.light).ravel()[lit]
    weights = (None, ratio, ratio**2)
    count, total, square = (np.bincount(levels, weights=w, minlength=LEVELS).astype(float) for w in weights)
    return count, total, square


def _exposures(counts: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Each scene's factor on a common curve over the levels, geometric mean 1: float64 (scenes, 1).

    Alternates between the curve, given the factors, and the factors, given the curve, from the levels'
    means: scenes that show other levels are compared by way of those that show both.
    """
    exposure = np.ones((len(counts), 1))
    for _ in range(50):
        curve = (sums / exposure).sum(0) / np.maximum(counts.sum(0), 1)
        expected = (counts * curve).sum(1, keepdims=True)
        exposure = np.maximum(sums.sum(1, keepdims=True) / np.maximum(expected, 1e-9), 1e-6)
        exposure /= np.exp(np.log(exposure).mean())
    return exposure


def _temperature(pairs: Sequence[RealPair], std: np.ndarray) -> float:
    """Pixel noise of L_dark on flat areas as a share of the statistics' deviation, at the median pixel.

    The noise is what a high-pass filter leaves; the filter's own loss of white noise is made up for, and the
    rounding of three channels to 8 bits, which the dimmer adds again, is taken off.
    """
    impulse = np.zeros((15, 15))
    impulse[7, 7] = 1
    passed = float(((impulse - gaussian_filter(impulse, HIGH_PASS_SIGMA)) ** 2).sum())
    rounding = 1 / 36  # variance, grey levels squared: of the mean of three roundings of 1/12 each
    shares = []
    for pair in pairs:
        light = pair.light.mean(2, dtype=np.float32)
        dark = pair.dark.mean(2, dtype=np.float32)
        texture = gaussian_filter((light - gaussian_filter(light, 2)) ** 2, 2)
        flat = (texture <= np.quantile(texture, FLAT_SHARE)) & (light > 0) & (dark > 1)
        residual = (dark - gaussian_filter(dark, HIGH_PASS_SIGMA))[flat]
        levels = light_levels(pair.light)[flat]
        for low in range(0, LEVELS, 16):
            chosen = (levels >= low) & (levels < low + 16)
            if chosen.sum() >= 500:
                predicted = float(np.mean((std[levels[chosen]] * light[flat][chosen]) ** 2))
                measured = max(float(residual[chosen].var()) / passed - rounding, 1e-4)
                shares.append((np.sqrt(measured / predicted), int(chosen.sum())))
    if not shares:
        return 0.1
    values, weights = np.array(shares).T
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    return round(float(values[order][np.searchsorted(cumulative, cumulative[-1] / 2)]), 4)
