"""The baseline for all profiles, plain darkening, and their limit, a real image against itself."""

import numpy as np
from scipy.optimize import brentq

_LEVELS = np.arange(256) / 255.0
_LARGEST_EXPONENT = 100.0


def linear_factor(light: np.ndarray, mean: float) -> float:
    """The factor that scales a uint8 light image to a mean grey level."""
    return mean / float(light.mean())


def darken_linear(light: np.ndarray, factor: float) -> np.ndarray:
    """A uint8 (H, W, 3) image multiplied by a factor and rounded; no noise."""
    return _levels(_LEVELS * factor)[light]


def gamma_exponent(light: np.ndarray, mean: float) -> float:
    """The exponent that brings a uint8 light image to a mean grey level, as closely as its white allows."""
    weights = np.bincount(light.ravel(), minlength=256) / light.size

    def excess(exponent: float) -> float:
        return 255 * float(weights @ _LEVELS**exponent) - mean

    if excess(_LARGEST_EXPONENT) > 0:
        return _LARGEST_EXPONENT
    return float(brentq(excess, 1e-3, _LARGEST_EXPONENT))


def darken_gamma(light: np.ndarray, exponent: float) -> np.ndarray:
    """255 (light / 255)^exponent, rounded: uint8 (H, W, 3) -> uint8 (H, W, 3); no noise."""
    return _levels(_LEVELS**exponent)[light]


def split_halves(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Even and odd rows of an image: (H, W, C) -> two images (H // 2, W, C) of one scene.

    Signal, exposure and camera are the same, only the noise is different: like the result of an ideal dimmer.
    """
    rows = image.shape[0] // 2 * 2
    return image[:rows:2], image[1:rows:2]


def _levels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(255 * values), 0, 255).astype(np.uint8)
