"""Dark images for a network that is not trained, and the memory that it needs."""

import numpy as np
from skimage import data

from dimmagen.enhance.network import ARCHITECTURES


def dark_image(height, width):
    return np.ascontiguousarray(np.resize(data.astronaut(), (height, width, 3)) // 7)


def gigabytes(side):
    """The memory that tiles of this side take."""
    return side**2 * ARCHITECTURES["compact"].bytes_per_pixel / 1e9 * 1.001
