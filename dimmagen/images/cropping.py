"""Cropping images."""

import numpy as np


def center_crop(image: np.ndarray, side: int) -> np.ndarray:
    """The center of an image, at most `side` pixels high and wide; a smaller side is kept in full.

    Args:
        image: (H, W, C).

    Returns:
        (min(H, side), min(W, side), C), contiguous, of the same dtype.
    """
    top, left = (max(0, length - side) // 2 for length in image.shape[:2])
    return np.ascontiguousarray(image[top : top + side, left : left + side])
