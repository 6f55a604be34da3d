"""How strong, of which shape and how structured the noise is, on the flat areas of the light picture.

The noise is taken as the residual x - G_1.5(x) of an 8-bit picture in grey levels; its luma part is the
mean of the three channels, its chroma part the rest.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

RESIDUAL_SIGMA = 1.5
FLAT_SIGMA = 2.0
FLAT_FRACTION = 0.4
INTENSITY_BINS = 8
FEWEST_IN_BIN = 400  # the standard deviation of fewer pixels is not known to 5 %
LARGEST_RESIDUAL = 20
_SMALLEST_DEVIATION = 1e-3  # grey levels; keeps the ratio of noise-free pictures finite


def residual(image: np.ndarray) -> np.ndarray:
    """High-pass residual x - G_1.5(x): float32 (H, W, 3) in grey levels -> the same."""
    return image - gaussian_filter(image, (RESIDUAL_SIGMA, RESIDUAL_SIGMA, 0))


def flat_area(light: np.ndarray) -> np.ndarray:
    """The 40 % of the pixels with the least local variance: float (H, W) light luma -> bool (H, W)."""
    deviation = light - gaussian_filter(light, FLAT_SIGMA)
    variance = gaussian_filter(deviation**2, FLAT_SIGMA)
    return variance <= np.quantile(variance, FLAT_FRACTION)


def intensity_bin(light: np.ndarray) -> np.ndarray:
    """Which eighth of the range 0..255 the light's illumination is in: float (H, W) -> int (H, W), 0..7."""
    return np.minimum(light * (INTENSITY_BINS / 256), INTENSITY_BINS - 1).astype(np.intp)


@dataclass(frozen=True, slots=True)
class NoiseStatistics:
    """What the measures need of one picture's noise, measured on the flat areas.

    Attributes:
        luma, chroma: standard deviation, grey levels.
        luma_curve, chroma_curve: float (8,), the same for each intensity bin; NaN below 400 pixels.
        intensity: float (8,), mean illumination of the picture in each bin, grey levels.
        luma_histogram, chroma_histogram: float (41,), share of the residuals at -20..20 (+0.5 counts).
        shape_histogram: float (41,), luma residuals over the deviation of their bin, in fifths, -4..4.
        channel_correlation: float (3,), red-green, red-blue, green-blue.
        lags: luma and chroma autocorrelation at lag 1 and 2, mean of across and down:
            float (2, 2), [luma|chroma][lag - 1].
        lag1_picture: luma autocorrelation at lag 1 across, over the whole picture and not its flat areas.
    """

    luma: float
    chroma: float
    luma_curve: np.ndarray
    chroma_curve: np.ndarray
    intensity: np.ndarray
    luma_histogram: np.ndarray
    chroma_histogram: np.ndarray
    shape_histogram: np.ndarray
    channel_correlation: np.ndarray
    lags: np.ndarray
    lag1_picture: float


def noise_statistics(image: np.ndarray, flat: np.ndarray, bins: np.ndarray) -> NoiseStatistics:
    """Measure the noise of a picture.

    Args:
        picture: float32 (H, W, 3), grey levels 0..255.
        flat: bool (H, W), from :func:`flat_area` of the light picture.
        bins: int (H, W), from :func:`intensity_bin` of the light picture.
    """
    everywhere = residual(image)
    luma_everywhere = everywhere.mean(2)
    chroma_everywhere = everywhere - luma_everywhere[..., None]
    luma, chroma, bins_flat = luma_everywhere[flat], chroma_everywhere[flat], bins[flat]
    luma_curve, counts = _deviation_by_bin(luma[:, None], bins_flat)
    chroma_curve, _ = _deviation_by_bin(chroma, bins_flat)
    sums = np.bincount(bins_flat, weights=image[flat].mean(1), minlength=INTENSITY_BINS)
    standardised = luma / np.nan_to_num(luma_curve, nan=luma.std()).clip(_SMALLEST_DEVIATION)[bins_flat]
    return NoiseStatistics(
        luma=float(luma.std()),
        chroma=float(chroma.std()),
        luma_curve=luma_curve,
        chroma_curve=chroma_curve,
        intensity=np.where(counts >= FEWEST_IN_BIN, sums / np.maximum(counts, 1), np.nan),
        luma_histogram=_residual_histogram(luma),
        chroma_histogram=_residual_histogram(chroma),
        shape_histogram=_residual_histogram(standardised * 5),
        channel_correlation=_channel_correlation(everywhere[flat]),
        lags=_autocorrelations(luma_everywhere, chroma_everywhere, flat),
        lag1_picture=_lag(luma_everywhere, 1),
    )


def level_ratio(real: float | np.ndarray, synthetic: float | np.ndarray) -> np.ndarray:
    """log2 of synthetic over real standard deviation; 0 is ideal, +1 is twice the noise."""
    return np.log2(np.maximum(synthetic, _SMALLEST_DEVIATION) / np.maximum(real, _SMALLEST_DEVIATION))


def curve_error(real: np.ndarray, synthetic: np.ndarray) -> float:
    """Mean |log2 ratio| of two noise curves (8,) over the bins that hold enough pixels; NaN if none does."""
    ratio = np.abs(level_ratio(real, synthetic))
    return float(np.nanmean(ratio)) if np.isfinite(ratio).any() else float("nan")


def kl_divergence(real: np.ndarray, synthetic: np.ndarray) -> float:
    """KL(real || synthetic) of two histograms without empty bins, in nats."""
    return float((real * np.log(real / synthetic)).sum())


def _deviation_by_bin(values: np.ndarray, bins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviation of the values (N, C) in each bin, about the bin's mean of all its values."""
    counts = np.bincount(bins, minlength=INTENSITY_BINS)
    sums = np.bincount(bins, weights=values.sum(1), minlength=INTENSITY_BINS)
    squares = np.bincount(bins, weights=(values**2).sum(1), minlength=INTENSITY_BINS)
    each = np.maximum(counts * values.shape[1], 1)
    variance = np.maximum(squares / each - (sums / each) ** 2, 0)
    return np.where(counts >= FEWEST_IN_BIN, np.sqrt(variance), np.nan), counts


def _residual_histogram(values: np.ndarray) -> np.ndarray:
    rounded = np.clip(np.rint(values), -LARGEST_RESIDUAL, LARGEST_RESIDUAL).astype(np.intp) + LARGEST_RESIDUAL
    counts = np.bincount(rounded.ravel(), minlength=2 * LARGEST_RESIDUAL + 1) + 0.5
    return counts / counts.sum()


def _channel_correlation(values: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.corrcoef(values.T)[np.triu_indices(3, 1)]
    return np.nan_to_num(correlation)  # a channel that is black all over correlates with nothing


def _lag(values: np.ndarray, lag: int) -> float:
    power = float((values**2).mean())
    return float((values[:, lag:] * values[:, :-lag]).mean()) / power if power > 0 else 0.0


def _autocorrelations(luma: np.ndarray, chroma: np.ndarray, flat: np.ndarray) -> np.ndarray:
    return np.array([[_flat_lag(part, flat, lag) for lag in (1, 2)] for part in (luma[..., None], chroma)])


def _flat_lag(values: np.ndarray, flat: np.ndarray, lag: int) -> float:
    """Autocorrelation of (H, W, C) over pairs of flat pixels, mean of across and down."""
    power = float((values[flat] ** 2).mean())
    if power == 0:
        return 0.0
    across, down = flat[:, lag:] & flat[:, :-lag], flat[lag:] & flat[:-lag]
    products = (
        (values[:, lag:] * values[:, :-lag])[across].mean(),
        (values[lag:] * values[:-lag])[down].mean(),
    )
    return float(np.mean(products)) / power
