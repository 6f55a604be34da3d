"""Exposure: mean, histogram and transfer curve of a dark image compared with the real one."""

import numpy as np
from scipy.stats import wasserstein_distance

LEVELS = np.arange(256)


def histograms(image: np.ndarray) -> np.ndarray:
    """Counts of the 256 levels in each channel: uint8 (H, W, 3) -> int64 (3, 256)."""
    return np.stack([np.bincount(image[..., c].ravel(), minlength=256) for c in range(3)])


def histogram_distance(real: np.ndarray, synthetic: np.ndarray) -> float:
    """Earth mover's distance of histograms, in grey levels, with the synthetic one scaled to the real mean.

    The scaling makes it independent of the exposure, which `mean_error` measures. Mean over the channels.

    Args:
        real, synthetic: int (3, 256), from :func:`histograms`.
    """
    scale = mean_level(real) / max(mean_level(synthetic), 1e-3)
    distances = [
        wasserstein_distance(LEVELS, LEVELS * scale, r, s) for r, s in zip(real, synthetic, strict=True)
    ]
    return float(np.mean(distances))


def mean_level(counts: np.ndarray) -> float:
    """Mean grey level of an image from its histograms, int (3, 256)."""
    return float((counts * LEVELS).sum() / counts.sum())


def transfer_curve(light: np.ndarray, dark: np.ndarray) -> np.ndarray:
    """E[L_dark | L_light]: mean dark illumination at each of the 256 levels of the light's illumination.

    Args:
        light, dark: float or uint8 (H, W), illumination (channel mean) in grey levels.

    Returns:
        float64 (256,); NaN at levels that do not occur in the light image.
    """
    levels = np.rint(light).astype(np.intp).ravel()
    counts = np.bincount(levels, minlength=256)
    sums = np.bincount(levels, weights=dark.ravel(), minlength=256)
    return np.divide(sums, counts, out=np.full(256, np.nan), where=counts > 0)


def transfer_error(real: np.ndarray, synthetic: np.ndarray, counts: np.ndarray) -> float:
    """Mean distance of two transfer curves in grey levels, weighted by the pixels at each light level.

    Args:
        real, synthetic: float (256,), from :func:`transfer_curve`.
        counts: int (256,), number of pixels of the light image at each level.
    """
    present = counts > 0
    return float(np.average(np.abs(real - synthetic)[present], weights=counts[present]))
