"""Small made-up pairs, for the tests of the mixture density network by its definitions."""

import numpy as np

from dimmagen.dimmers.real_pairs import RealPair


def a_pair(seed: int = 0, size=(16, 12), darkness: float = 0.2, quality: int = 0) -> RealPair:
    random = np.random.default_rng(seed)
    light = random.integers(20, 256, (*size, 3)).astype(np.uint8)
    dark = (darkness * light + random.normal(0, 2, light.shape)).clip(0, 255).astype(np.uint8)
    return RealPair(f"p{seed}", dark, light, f"{seed}" * 64, f"{seed + 1}" * 64, jpeg_quality=quality)
