"""CLIC: large photos, reduced to 512x512."""

import numpy as np

from dimmagen.images import codec
from dimmagen.sources import rules
from dimmagen.sources.base import StillSource


class Clic(StillSource):
    name = "clic"
    title = "CLIC"
    terms = "Unsplash licence (see the CLIC challenge's own page)"

    def rule(self, facts: rules.Facts) -> rules.Verdict:
        return rules.clic(facts)

    def reduce(self, pixels: np.ndarray) -> tuple[np.ndarray, str]:
        return reduce_and_crop(pixels, rules.CLIC_SIDE)


def reduce_and_crop(pixels: np.ndarray, side: int) -> tuple[np.ndarray, str]:
    """The short side reduced to `side` with an antialiasing filter (Lanczos), then the square in the middle.

    The paper says "reduced to 512x512" and no more; a crop keeps the shapes that squeezing would bend.
    """
    height, width, _ = pixels.shape
    if (height, width) == (side, side):
        return pixels, ""
    scale = side / min(height, width)
    pixels = codec.resize(pixels, max(side, round(width * scale)), max(side, round(height * scale)))
    top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    return np.ascontiguousarray(pixels[top : top + side, left : left + side]), f"reduce{side}"
