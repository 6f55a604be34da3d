"""Statistics of the darkening L_dark / L_light for each of 256 light levels (paper, Eq. 9-10).

Unlike in the paper, the standard deviation is that within a scene: the differences in exposure between the
scenes are a separate spread, which is drawn once per image. The share of the deviation that is pixel noise
(the rest is texture and colour) is the temperature tau, measured on the flat parts of the images.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from dimmagen.dimmers.real_pairs import RealPair

LEVELS = 256
FLAT_SHARE = 0.4  # of a light image's pixels: those with the least local texture
HIGH_PASS_SIGMA = 1.5


@dataclass(frozen=True, eq=False)
class IlluminationStatistics:
    """The result of a fit.

    Attributes:
        mean, std: float32 (256,), of L_dark / L_light at each light level.
        tau: standard deviation of the pixel noise as a share of `std`.
        exposure_spread: standard deviation of ln(exposure) between scenes; 0 for one pair.
    """

    mean: np.ndarray
    std: np.ndarray
    tau: float
    exposure_spread: float


def fit_illumination(pairs: Sequence[RealPair]) -> IlluminationStatistics:
    """Statistics of pairs, with the exposure of each pair divided out.

    Args:
        pairs: at least one; the two images of each have the same size.
    """
    counts, sums, squares = (np.stack(table) for table in zip(*map(_tables, pairs), strict=True))
    exposure = _exposures(counts, sums)
    # With q = L_dark / L_light and the scene's exposure e: sums of q/e and (q/e)^2 over all scenes, by level.
    total = counts.sum(0)
    known = total >= 2
    divisor = np.maximum(total, 1)
    mean = (sums / exposure).sum(0) / divisor
    variance = (squares / exposure**2).sum(0) / divisor - mean**2
    mean = smooth(fill(mean, known))
    std = smooth(fill(np.sqrt(np.maximum(variance, 0)), known))
    spread = float(np.log(exposure).std(ddof=1)) if len(pairs) > 1 else 0.0
    return IlluminationStatistics(
        mean.astype(np.float32), std.astype(np.float32), _temperature(pairs, std), spread
    )


def fill(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Interpolate the unknown levels linearly; beyond the last known level, repeat its value.

    Args:
        values: float (256,).
        known: bool (256,), at least one True.

    Returns:
        float64 (256,).
    """
    levels = np.arange(LEVELS)
    return np.interp(levels, levels[known], values[known])


def smooth(values: np.ndarray) -> np.ndarray:
    """Mean over a window of 3 levels, (256,) -> (256,); the values at the ends are repeated."""
    padded = np.pad(values, 1, mode="edge")
    return (padded[:-2] + padded[1:-1] + padded[2:]) / 3


def repair_published(values: np.ndarray) -> np.ndarray:
    """Repair both ends of a published array of statistics.

    The authors' arrays have zeros at dark levels without pixels, and were smoothed as if there were zeros
    beyond both ends. The smoothing of 256 values can be inverted exactly; the levels without pixels, whose
    values are then 0, are filled, and the smoothing is repeated with repeated end values.

    Args:
        values: float (256,).

    Returns:
        float32 (256,).
    """
    window = np.eye(LEVELS) + np.eye(LEVELS, k=1) + np.eye(LEVELS, k=-1)
    raw = np.linalg.solve(window, 3 * values.astype(np.float64))
    known = raw > 1e-4
    if not known.any():
        return values.astype(np.float32)
    return smooth(fill(raw, known)).astype(np.float32)


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
    """Each scene's factor on a common curve over the levels, with geometric mean 1: float64 (scenes, 1).

    Alternates between estimating the curve from the factors and the factors from the curve, so that scenes
    without common levels are compared through scenes that have levels of both.

    Args:
        counts, sums: float64 (scenes, 256), from :func:`_tables`.
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

    The noise is the output of a high-pass filter, corrected for the share of white noise that the filter
    removes; the variance of rounding three channels to 8 bits, which the dimmer adds again, is subtracted.
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
