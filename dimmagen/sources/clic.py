"""CLIC: large photos, reduced to 512x512."""

import numpy as np

from dimmagen.images import codec
from dimmagen.images.cropping import center_crop
from dimmagen.sources import rules
from dimmagen.sources.base import StillSource


class Clic(StillSource):
    """Reduces what it accepts to 512x512."""

    name = "clic"
    title = "CLIC"
    terms = "Unsplash licence (see the CLIC challenge's own page)"

    def rule(self, facts: rules.Facts) -> rules.Verdict:
        return rules.clic(facts)

    def reduce(self, pixels: np.ndarray) -> tuple[np.ndarray, str]:
        return reduce_and_crop(pixels, rules.CLIC_SIDE)


def reduce_and_crop(pixels: np.ndarray, side: int) -> tuple[np.ndarray, str]:
    """Reduce the short side to `side` (Lanczos, antialiased), then crop the square in the middle.

    The paper only says "reduced to 512x512"; cropping keeps the aspect ratio.

    Args:
        pixels: uint8 (H, W, 3), both sides of at least `side` pixels.
        side: pixels.

    Returns:
        uint8 (side, side, 3), and the name of the transform (empty if nothing was changed).
    """
    height, width, _ = pixels.shape
    if (height, width) == (side, side):
        return pixels, ""
    scale = side / min(height, width)
    pixels = codec.resize(pixels, max(side, round(width * scale)), max(side, round(height * scale)))
    return center_crop(pixels, side), f"reduce{side}"
