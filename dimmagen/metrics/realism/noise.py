"""Strength, distribution and structure of the noise on the flat, unsaturated areas of the light image.

The noise is the residual x - G_1.5(x) of an 8-bit image in grey levels; its luma part is the mean of the
three channels, its chroma part the rest.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter

RESIDUAL_SIGMA = 1.5
FLAT_SIGMA = 2.0
FLAT_FRACTION = 0.4
SATURATED_LEVEL = 250  # grey levels: a channel of the light image that is this bright may be clipped
SATURATED_MARGIN = 4  # pixels around a clipped one that the filters of residual and flatness reach
FEWEST_UNSATURATED = 0.02  # share of the image; below it, saturated pixels are measured as well
INTENSITY_BINS = 8
FEWEST_IN_BIN = 400  # fewer pixels do not determine the standard deviation to 5 %
LARGEST_RESIDUAL = 20
_SMALLEST_DEVIATION = 1e-3  # grey levels; keeps the ratio of noise-free images finite


def residual(image: np.ndarray) -> np.ndarray:
    """High-pass residual x - G_1.5(x), in grey levels: float32 (H, W, 3) -> float32 (H, W, 3)."""
    return image - gaussian_filter(image, (RESIDUAL_SIGMA, RESIDUAL_SIGMA, 0))


def flat_area(light: np.ndarray, among: np.ndarray | None = None) -> np.ndarray:
    """The 40 % of the pixels with the least local variance.

    Args:
        light: float (H, W), light luma in grey levels.
        among: bool (H, W), the pixels of which 40 % are taken; default all.

    Returns:
        bool (H, W).
    """
    deviation = light - gaussian_filter(light, FLAT_SIGMA)
    variance = gaussian_filter(deviation**2, FLAT_SIGMA)
    if among is None:
        return variance <= np.quantile(variance, FLAT_FRACTION)
    return among & (variance <= np.quantile(variance[among], FLAT_FRACTION))


def noise_area(light: np.ndarray, among: np.ndarray | None = None) -> np.ndarray:
    """Where noise is measured: the flat pixels of those whose light is not saturated.

    A clipped area is flat in the light image whatever it shows: there the texture of clouds, leaves and lamps
    in the dark image would pass for noise.

    Args:
        light: float32 (H, W, 3), grey levels in [0, 255].
        among: bool (H, W), the pixels that count; default all.

    Returns:
        bool (H, W): 40 % of the pixels that are at least 4 pixels from a saturated one; of all pixels if
        these are less than 2 % of the image.
    """
    clipped = light.max(2) >= SATURATED_LEVEL
    unsaturated = ~maximum_filter(clipped, 2 * SATURATED_MARGIN + 1)
    if among is not None:
        unsaturated &= among
    enough = unsaturated.mean() >= FEWEST_UNSATURATED
    return flat_area(light.mean(2), unsaturated if enough else None)


def intensity_bin(light: np.ndarray) -> np.ndarray:
    """Intensity bin of the light image's illumination in grey levels: float (H, W) -> int (H, W) in 0..7."""
    return np.minimum(light * (INTENSITY_BINS / 256), INTENSITY_BINS - 1).astype(np.intp)


@dataclass(frozen=True, slots=True)
class NoiseStatistics:
    """Statistics of one image's noise on the flat areas.

    Attributes:
        luma, chroma: standard deviation, grey levels.
        luma_curve, chroma_curve: float (8,), the same for each intensity bin; NaN below 400 pixels.
        intensity: float (8,), mean illumination of the image in each bin, grey levels.
        luma_histogram, chroma_histogram: float (41,), share of the residuals at -20..20, with 0.5 added to
            each count.
        shape_histogram: float (41,), the same for luma residuals divided by a fifth of the standard deviation
            of their bin: -4..4 standard deviations.
        channel_correlation: float (3,), red-green, red-blue, green-blue.
        lags: float (2, 2), [luma | chroma][lag - 1]: autocorrelation at lags 1 and 2, mean of both
            directions.
        lag1_picture: horizontal luma autocorrelation at lag 1, over the whole image instead of its flat
            areas.
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
    """Measure the noise of an image.

    Args:
        image: float32 (H, W, 3), grey levels in [0, 255].
        flat: bool (H, W), from :func:`noise_area` of the light image.
        bins: int (H, W), from :func:`intensity_bin` of the light image.
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
    """log2 of synthetic over real standard deviation, any shape; 0 is ideal, +1 is twice the noise."""
    return np.log2(np.maximum(synthetic, _SMALLEST_DEVIATION) / np.maximum(real, _SMALLEST_DEVIATION))


def curve_error(real: np.ndarray, synthetic: np.ndarray) -> float:
    """Mean |log2 ratio| of noise curves, float (8,), over the bins with enough pixels; NaN without any."""
    ratio = np.abs(level_ratio(real, synthetic))
    return float(np.nanmean(ratio)) if np.isfinite(ratio).any() else float("nan")


def kl_divergence(real: np.ndarray, synthetic: np.ndarray) -> float:
    """KL(real || synthetic) of two histograms of equal shape without empty bins, in nats."""
    return float((real * np.log(real / synthetic)).sum())


def _deviation_by_bin(values: np.ndarray, bins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviation of all values (N, C) by bin, and the number of pixels by bin: (8,) each."""
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
    return np.nan_to_num(correlation)  # a constant channel has no correlation


def _lag(values: np.ndarray, lag: int) -> float:
    power = float((values**2).mean())
    return float((values[:, lag:] * values[:, :-lag]).mean()) / power if power > 0 else 0.0


def _autocorrelations(luma: np.ndarray, chroma: np.ndarray, flat: np.ndarray) -> np.ndarray:
    return np.array([[_flat_lag(part, flat, lag) for lag in (1, 2)] for part in (luma[..., None], chroma)])


def _flat_lag(values: np.ndarray, flat: np.ndarray, lag: int) -> float:
    """Autocorrelation of (H, W, C) over pairs of flat pixels, mean of both directions."""
    power = float((values[flat] ** 2).mean())
    if power == 0:
        return 0.0
    across, down = flat[:, lag:] & flat[:, :-lag], flat[lag:] & flat[:-lag]
    products = (
        (values[:, lag:] * values[:, :-lag])[across].mean(),
        (values[lag:] * values[:-lag])[down].mean(),
    )
    return float(np.mean(products)) / power
