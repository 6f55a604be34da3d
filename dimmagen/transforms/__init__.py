"""Dimming as a transform of a training pipeline: numpy, torchvision v2, albumentations and kornia.

:class:`LowLight` needs none of these packages: each is imported when it is used.
"""

from dimmagen.transforms.draws import LowLightDraw
from dimmagen.transforms.low_light import LowLight

__all__ = ["LowLight", "LowLightDraw"]
