"""What every profile must beat, and what none can: plain darkening, and one real picture against itself."""

import numpy as np
from scipy.optimize import brentq

_LEVELS = np.arange(256) / 255.0
_LARGEST_EXPONENT = 100.0


def linear_factor(light: np.ndarray, mean: float) -> float:
    """The factor that brings a light picture (uint8) to a mean grey level."""
    return mean / float(light.mean())


def darken_linear(light: np.ndarray, factor: float) -> np.ndarray:
    """uint8 (H, W, 3) times a factor, rounded: one exposure for all colours, without noise."""
    return _levels(_LEVELS * factor)[light]


def gamma_exponent(light: np.ndarray, mean: float) -> float:
    """The exponent that brings a light picture (uint8) to a mean grey level, as near as its white lets it."""
    weights = np.bincount(light.ravel(), minlength=256) / light.size

    def excess(exponent: float) -> float:
        return 255 * float(weights @ _LEVELS**exponent) - mean

    if excess(_LARGEST_EXPONENT) > 0:
        return _LARGEST_EXPONENT
    return float(brentq(excess, 1e-3, _LARGEST_EXPONENT))


def darken_gamma(light: np.ndarray, exponent: float) -> np.ndarray:
    """255 (light / 255)^exponent, rounded: uint8 (H, W, 3) -> the same; without noise."""
    return _levels(_LEVELS**exponent)[light]


def split_halves(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Even and odd rows of a picture (H, W, C): two half-height pictures of one scene.

    Signal, exposure and camera are the same and the noise is another, which is what an ideal dimmer gives.
    """
    rows = image.shape[0] // 2 * 2
    return image[:rows:2], image[1:rows:2]


def _levels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(255 * values), 0, 255).astype(np.uint8)
