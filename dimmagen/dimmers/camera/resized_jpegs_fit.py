"""Whether the dark images were JPEGs before they were made smaller.

JPEG stores chroma in whole numbers, and as one number where there is no detail. Red - green is therefore the
same at neighbouring pixels more often than noise would have it, and resizing leaves that, though nothing of
the DCT. How often depends on the noise, too: the real images are compared with simulated ones.
"""

from collections.abc import Sequence

import numpy as np

QUALITY = 100  # of the JPEG as which the simulated images are stored: whole numbers, and little else
LEAST_GAP = 0.15  # of the shares; those of LOL's, the Canon's and the Nikon's fits are up to 0.10 apart


def equal_neighbours(images: Sequence[np.ndarray]) -> float:
    """How often red - green is the same at a pixel and at the next one of its row or column.

    Args:
        images: float32 or uint8 (H, W, 3), RGB, whole grey levels.

    Returns:
        A share of all neighbours, in [0, 1].
    """
    equal = pairs = 0
    for image in images:
        difference = image[..., 0].astype(np.int16) - image[..., 1].astype(np.int16)
        for axis in (0, 1):
            steps = np.diff(difference, axis=axis)
            equal += int((steps == 0).sum())
            pairs += steps.size
    return equal / max(pairs, 1)
