"""All pairwise measures: a synthetic dark image against the real one of the same light image."""

from dataclasses import dataclass

import numpy as np

from dimmagen.metrics.realism import colour, denoising, exposure, noise, published


@dataclass(frozen=True, slots=True)
class Measure:
    """One number of the suite.

    Attributes:
        name: key in results.
        item: number of its section in docs/realism.md.
        label, unit: for tables.
        signed: whether it can be negative.
        ideal: value of a perfect synthetic image.
    """

    name: str
    item: int
    label: str
    unit: str
    signed: bool = False
    ideal: float = 0.0

    @property
    def digits(self) -> int:
        """Number of decimals in tables."""
        return 2 if self.signed else 3


MEASURES = (
    Measure("mean_error", 1, "mean", "grey levels", signed=True),
    Measure("histogram_distance", 1, "histogram at equal mean", "grey levels"),
    Measure("transfer_error", 1, "transfer curve", "grey levels"),
    Measure("transfer_shape", 1, "transfer curve at equal mean", "grey levels"),
    Measure("colour_error", 2, "colour", "CIEDE2000"),
    Measure("chromaticity_error", 2, "colour at equal illumination", "CIEDE2000"),
    Measure("luma_noise", 3, "luma noise", "log2 ratio", signed=True),
    Measure("chroma_noise", 3, "chroma noise", "log2 ratio", signed=True),
    Measure("luma_curve", 3, "luma noise by intensity", "log2 ratio"),
    Measure("chroma_curve", 3, "chroma noise by intensity", "log2 ratio"),
    Measure("luma_kl", 4, "luma residuals", "KL, nats"),
    Measure("chroma_kl", 4, "chroma residuals", "KL, nats"),
    Measure("shape_kl", 4, "luma residuals at equal level", "KL, nats"),
    Measure("channel_correlation", 5, "channel correlation", "difference"),
    Measure("lag1_picture", 5, "luma lag 1, whole image", "difference"),
    Measure("luma_lags", 5, "luma lags 1 and 2", "difference"),
    Measure("chroma_lags", 5, "chroma lags 1 and 2", "difference"),
    Measure("akld", 8, "AKLD", "nats"),
    Measure("kld", 8, "KLD", "nats"),
    Measure("denoiser_gap", 8, "denoised, PSNR", "dB", signed=True),
)


class Reference:
    """A real pair that is measured once and can be compared with many synthetic dark images.

    Args:
        real: uint8 (H, W, 3), RGB: the camera's dark image.
        light: uint8 (H, W, 3), RGB: the aligned light image.

    Raises:
        ValueError: a shape or dtype is another one.
    """

    def __init__(self, real: np.ndarray, light: np.ndarray) -> None:
        _check(real, light.shape)
        _check(light, light.shape)
        self.light = light.astype(np.float32).mean(2)
        self.counts = np.bincount(np.rint(self.light).astype(np.intp).ravel(), minlength=256)
        self.flat = noise.noise_area(light.astype(np.float32))
        self.bins = noise.intensity_bin(self.light)
        self.real = Measured(real, self)


class Measured:
    """Everything that the measures need about one dark image.

    Args:
        dark: uint8 (H, W, 3), RGB, real or synthetic.
        reference: the pair that it is compared with.

    Raises:
        ValueError: the shape or dtype is another one.
    """

    def __init__(self, dark: np.ndarray, reference: Reference) -> None:
        _check(dark, (*reference.light.shape, 3))
        image = dark.astype(np.float32)
        self.histograms = exposure.histograms(dark)
        self.mean = exposure.mean_level(self.histograms)
        self.transfer = exposure.transfer_curve(reference.light, image.mean(2))
        self.smooth = colour.blurred(image)
        self.noise = noise.noise_statistics(image, reference.flat, reference.bins)
        residual = noise.residual(image)
        self.variance = published.local_variance(residual)[reference.flat]
        self.noise_histogram = published.noise_histogram(residual[reference.flat])
        self.denoised_psnr = denoising.denoised_psnr(image, reference.flat)


def measure(reference: Reference, synthetic: Measured) -> dict[str, float]:
    """Compare one synthetic dark image with the real one.

    Args:
        reference: the real pair.
        synthetic: measured with this reference.

    Returns:
        Every measure of :data:`MEASURES` by name.
    """
    real = reference.real
    r, s = real.noise, synthetic.noise
    scale = real.mean / max(synthetic.mean, 1e-3)
    lags = np.abs(r.lags - s.lags).mean(1)
    return {
        "mean_error": synthetic.mean - real.mean,
        "histogram_distance": exposure.histogram_distance(real.histograms, synthetic.histograms),
        "transfer_error": exposure.transfer_error(real.transfer, synthetic.transfer, reference.counts),
        "transfer_shape": exposure.transfer_error(
            real.transfer, synthetic.transfer * scale, reference.counts
        ),
        "colour_error": colour.colour_error(real.smooth, synthetic.smooth),
        "chromaticity_error": colour.chromaticity_error(real.smooth, synthetic.smooth),
        "luma_noise": float(noise.level_ratio(r.luma, s.luma)),
        "chroma_noise": float(noise.level_ratio(r.chroma, s.chroma)),
        "luma_curve": noise.curve_error(r.luma_curve, s.luma_curve),
        "chroma_curve": noise.curve_error(r.chroma_curve, s.chroma_curve),
        "luma_kl": noise.kl_divergence(r.luma_histogram, s.luma_histogram),
        "chroma_kl": noise.kl_divergence(r.chroma_histogram, s.chroma_histogram),
        "shape_kl": noise.kl_divergence(r.shape_histogram, s.shape_histogram),
        "channel_correlation": float(np.abs(r.channel_correlation - s.channel_correlation).mean()),
        "lag1_picture": abs(r.lag1_picture - s.lag1_picture),
        "luma_lags": float(lags[0]),
        "chroma_lags": float(lags[1]),
        "akld": published.average_kl_divergence(real.variance, synthetic.variance),
        "kld": published.histogram_divergence(real.noise_histogram, synthetic.noise_histogram),
        "denoiser_gap": synthetic.denoised_psnr - real.denoised_psnr,
    }


def measure_pair(real: np.ndarray, light: np.ndarray, synthetic: np.ndarray) -> dict[str, float]:
    """Compare one synthetic dark image with the real one.

    Args:
        real, light, synthetic: uint8 (H, W, 3), RGB, of one scene, aligned.

    Returns:
        Every measure of :data:`MEASURES` by name.

    Raises:
        ValueError: a shape or dtype is another one.
    """
    reference = Reference(real, light)
    return measure(reference, Measured(synthetic, reference))


def _check(image: np.ndarray, shape: tuple[int, ...]) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.shape != shape:
        raise ValueError(f"expected uint8 {shape} RGB, got {image.dtype} {image.shape}")
