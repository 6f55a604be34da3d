"""The two divergences by which papers on noise models compare them: AKLD and KLD.

Both are defined for noise = noisy - clean. A dark image has no clean partner, so the residual x - G_1.5(x) on
the flat areas takes the place of the noise here; everything else is as published.
"""

import numpy as np
from scipy.ndimage import correlate1d

WINDOW = 7  # pixels; AKLD's window, whose sigma is the one that OpenCV gives a Gaussian of this size
WINDOW_SIGMA = 0.3 * ((WINDOW - 1) / 2 - 1) + 0.8
SMALLEST_VARIANCE = 1e-10 * 255**2  # grey levels squared
LARGEST_RATIO = 10.0  # of two variances; beyond it, and below its inverse, AKLD does not look
BINS = 256  # of KLD, over -255 .. 255 grey levels: 1.99 levels each
_EDGES = np.linspace(-255, 255, BINS + 1)


def local_variance(noise: np.ndarray) -> np.ndarray:
    """Variance around each pixel, as AKLD estimates it: a Gaussian mean of the squares, for each channel.

    Args:
        noise: float (H, W, 3), grey levels, of mean 0.

    Returns:
        float (H, W, 3), grey levels squared, at least `SMALLEST_VARIANCE`.
    """
    offsets = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(offsets**2) / (2 * WINDOW_SIGMA**2))
    variance = noise**2
    for axis in (0, 1):
        variance = correlate1d(variance, weights / weights.sum(), axis=axis, mode="mirror")
    return np.maximum(variance, SMALLEST_VARIANCE)


def average_kl_divergence(real: np.ndarray, synthetic: np.ndarray) -> float:
    """AKLD: mean over the pixels of KL(N(0, synthetic) || N(0, real)), in nats.

    Yue et al., "Dual adversarial network: toward real-world noise removal and noise generation", ECCV 2020,
    Sec. 4.1, as in their code: the ratio of the variances is limited to [0.1, 10]. It compares *estimates* of
    the variance from some 25 pixels, so that two draws of one law do not have 0: white noise has 0.05.

    Args:
        real, synthetic: float, of equal shape, from :func:`local_variance`.
    """
    ratio = np.clip(synthetic / real, 1 / LARGEST_RATIO, LARGEST_RATIO)
    return float(np.mean(ratio - 1 - np.log(ratio)) / 2)


def noise_histogram(noise: np.ndarray) -> np.ndarray:
    """Share of the values of all channels in each bin of KLD: float (...) in grey levels -> float (256,)."""
    return np.histogram(noise, _EDGES)[0] / noise.size


def histogram_divergence(real: np.ndarray, synthetic: np.ndarray) -> float:
    """KLD: KL(real || synthetic) of histograms, in nats, over the bins that are empty in neither.

    Abdelhamed et al., "Noise Flow: noise modeling with conditional normalizing flows", ICCV 2019, with the
    bins that Kim et al., "sRGB real noise modeling via noise-aware sampling with normalizing flows", ICLR
    2024 (NAFlow), use for 8-bit images. Values that only one of the two has do not count, so it can be
    slightly negative.

    Args:
        real, synthetic: float (256,), from :func:`noise_histogram`.
    """
    both = (real > 0) & (synthetic > 0)
    return float((real[both] * np.log(real[both] / synthetic[both])).sum())
