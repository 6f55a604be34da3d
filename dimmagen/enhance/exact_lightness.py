"""Scaling an enhanced image to exactly the lightness that was asked for.

A network that sees a part of the image at a time cannot know the mean of the whole result; it only comes
close to the requested one.
"""

import numpy as np
from torch import Tensor

LARGEST_FACTOR = 2.0  # a result that is further off is not what was asked for, scaled or not
LEVELS = 65536
_HALVINGS = 48
_PART = 2**20  # values that are counted at once: counting takes eight bytes for each


def to_levels(light: Tensor) -> np.ndarray:
    """Values on a scale finer than that of the result: float in [0, 1] -> uint16, any shape."""
    return (light * (LEVELS - 1)).round().clamp(0, LEVELS - 1).int().cpu().numpy().astype(np.uint16)


def scaled_to_lightness(light: np.ndarray, lightness: float) -> np.ndarray:
    """The image times the factor that gives its mean a value; what exceeds white is clipped.

    Args:
        light: uint16 (H, W, 3), linear in the values of the result, 65535 is white.
        lightness: requested mean over all pixels and channels, in [0, 1].

    Returns:
        uint8 (H, W, 3). The factor is at most 2 and at least 1/2, so that an image whose mean is further away
        comes only closer.
    """
    values = np.arange(LEVELS) / (LEVELS - 1)
    shares = _counts(light) / max(light.size, 1)
    low, high = 1 / LARGEST_FACTOR, LARGEST_FACTOR
    for _ in range(_HALVINGS):
        factor = (low + high) / 2
        if shares @ np.minimum(factor * values, 1) < lightness:
            low = factor
        else:
            high = factor
    table = np.rint(255 * np.minimum(high * values, 1)).astype(np.uint8)
    return table[light]


def _counts(light: np.ndarray) -> np.ndarray:
    """How often each value occurs: int64 (65536,)."""
    values = light.ravel()
    counts = np.zeros(LEVELS, np.int64)
    for start in range(0, len(values), _PART):
        counts += np.bincount(values[start : start + _PART], minlength=LEVELS)
    return counts
