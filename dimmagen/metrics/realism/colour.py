"""Colours: CIEDE2000 of the images without their noise."""

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.color import deltaE_ciede2000, rgb2lab

BLUR_SIGMA = 3.0
STRIDE = 3  # a blur with sigma 3 leaves no detail between every third pixel; a ninth of the work


def blurred(image: np.ndarray) -> np.ndarray:
    """Blur by sigma 3 and keep every third pixel: float32 (H, W, 3) in grey levels -> (H/3, W/3, 3)."""
    return gaussian_filter(image, (BLUR_SIGMA, BLUR_SIGMA, 0))[::STRIDE, ::STRIDE]


def colour_error(real: np.ndarray, synthetic: np.ndarray) -> float:
    """Mean CIEDE2000 of two smoothed images; includes lightness, so it also depends on the exposure.

    Args:
        real, synthetic: float (H, W, 3), sRGB, grey levels in [0, 255], from :func:`smooth`.
    """
    lab_real, lab_synthetic = rgb2lab(real / 255.0), rgb2lab(np.clip(synthetic, 0, 255) / 255.0)
    return float(deltaE_ciede2000(lab_real, lab_synthetic).mean())


def chromaticity_error(real: np.ndarray, synthetic: np.ndarray) -> float:
    """Mean CIEDE2000 after every synthetic pixel is scaled to the real pixel's illumination.

    Only hue and saturation: independent of the exposure and the shape of the transfer curve.

    Args:
        real, synthetic: as for :func:`colour_error`.
    """
    scale = real.mean(2, keepdims=True) / np.maximum(synthetic.mean(2, keepdims=True), 1e-3)
    return colour_error(real, synthetic * scale)
