"""What one fixed denoiser leaves of the noise: as much of right synthetic noise as of the camera's."""

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter

WINDOW = 5  # pixels
CLEAN_SIGMA = 3.0  # of the blur that takes the place of a clean image where the scene is flat
_SMALLEST_ERROR = 1e-3  # grey levels; keeps the PSNR of images without noise finite
_TINY = 1e-12


def denoised(image: np.ndarray) -> np.ndarray:
    """The image by the adaptive Wiener filter in 5x5 windows, each channel for itself.

    Lim, "Two-dimensional signal and image processing", 1990, p. 548, after Lee, 1980: the deviation from the
    local mean is multiplied by (v - n) / v, where v is the local variance and n, the noise's, its mean over
    the image (:func:`scipy.signal.wiener`, but with mirrored borders). Nothing is tuned or learned.

    Args:
        image: float (H, W, 3), grey levels.

    Returns:
        float64 (H, W, 3).
    """
    image = image.astype(np.float64)
    size = (WINDOW, WINDOW, 1)
    mean = uniform_filter(image, size, mode="mirror")
    variance = uniform_filter(image**2, size, mode="mirror") - mean**2
    noise = variance.mean((0, 1))
    gain = np.maximum(variance - noise, 0) / np.maximum(variance, _TINY)
    return mean + gain * (image - mean)


def denoised_psnr(image: np.ndarray, flat: np.ndarray) -> float:
    """PSNR of the denoised image against the image blurred with sigma 3, on the flat areas, in dB.

    Where the scene is flat, a wide blur is as good as a clean image: it keeps a tenth of white noise's
    deviation, of which the denoiser keeps about a third.

    Args:
        image: float32 (H, W, 3), grey levels in [0, 255].
        flat: bool (H, W), from :func:`~dimmagen.metrics.realism.noise.noise_area` of the light image.
    """
    clean = gaussian_filter(image, (CLEAN_SIGMA, CLEAN_SIGMA, 0))
    error = np.sqrt(np.mean((denoised(image) - clean)[flat] ** 2))
    return float(20 * np.log10(255 / max(float(error), _SMALLEST_ERROR)))
