"""How dark: mean, histogram and transfer curve of a dark picture against the real one."""

import numpy as np
from scipy.stats import wasserstein_distance

LEVELS = np.arange(256)


def histograms(image: np.ndarray) -> np.ndarray:
    """Counts of the 256 levels in each channel: uint8 (H, W, 3) -> int64 (3, 256)."""
    return np.stack([np.bincount(image[..., c].ravel(), minlength=256) for c in range(3)])


def histogram_distance(real: np.ndarray, synthetic: np.ndarray) -> float:
    """Earth mover's distance of the histograms, the synthetic one scaled to the real mean, in grey levels.

    Scaling keeps exposure out of it: `mean_error` measures that. Mean over the channels.

    Args:
        real, synthetic: int (3, 256), from :func:`histograms`.
    """
    scale = mean_level(real) / max(mean_level(synthetic), 1e-3)
    distances = [
        wasserstein_distance(LEVELS, LEVELS * scale, r, s) for r, s in zip(real, synthetic, strict=True)
    ]
    return float(np.mean(distances))


def mean_level(counts: np.ndarray) -> float:
    """Mean grey level of a picture from its histograms (3, 256)."""
    return float((counts * LEVELS).sum() / counts.sum())


def transfer_curve(light: np.ndarray, dark: np.ndarray) -> np.ndarray:
    """E[L_dark | L_light]: mean dark illumination at each of the 256 levels of the light's illumination.

    Args:
        light, dark: float or uint8 (H, W): illumination (channel mean) in grey levels.

    Returns:
        float64 (256,); NaN at levels that the light picture does not have.
    """
    levels = np.rint(light).astype(np.intp).ravel()
    counts = np.bincount(levels, minlength=256)
    sums = np.bincount(levels, weights=dark.ravel(), minlength=256)
    return np.divide(sums, counts, out=np.full(256, np.nan), where=counts > 0)


def transfer_error(real: np.ndarray, synthetic: np.ndarray, counts: np.ndarray) -> float:
    """Mean distance of two transfer curves in grey levels, light levels weighted by their pixels.

    Args:
        real, synthetic: float (256,), from :func:`transfer_curve`.
        counts: (256,), pixels of the light picture at each level.
    """
    seen = counts > 0
    return float(np.average(np.abs(real - synthetic)[seen], weights=counts[seen]))
