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


def reduced_frame(width: int, height: int, side: int) -> tuple[int, int, int, int]:
    """The size of an image whose short side is reduced to `side`, and the corner of the square in its middle.

    Args:
        width, height: of the image, pixels, both at least `side`.
        side: pixels.

    Returns:
        (width, height, left, top), pixels; the last two of the square of :func:`center_crop`.
    """
    scale = side / min(height, width)
    width, height = max(side, round(width * scale)), max(side, round(height * scale))
    return width, height, (width - side) // 2, (height - side) // 2
