"""ImageNet-1K validation and test: photos of medium size that do not show objects on a white background."""

import numpy as np

from dimmagen.sources import rules
from dimmagen.sources.base import StillSource


class Imagenet(StillSource):
    """Measures the white border of each photo, by which the rule finds objects on a white background."""

    name = "imagenet"
    title = "ImageNet-1K validation and test"
    terms = "ImageNet's terms of access: non-commercial research and education; the photos are their owners'"

    def rule(self, facts: rules.Facts) -> rules.Verdict:
        return rules.imagenet(facts)

    def white_border(self, pixels: np.ndarray) -> float | None:
        return rules.white_border(pixels)
