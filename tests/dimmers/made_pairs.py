"""Pairs of made scenes, and what is found of pairs."""

import numpy as np
from scipy.ndimage import gaussian_filter

from dimmagen.dimmers.pair_problems import check_pairs
from dimmagen.dimmers.real_pairs import RealPair


def scene(seed=0, size=(144, 176)):
    """A smooth random light image, uint8 (H, W, 3), with structure at several scales."""
    noise = np.random.default_rng(seed).normal(size=(*size, 3))
    image = sum(gaussian_filter(noise, (s, s, 0)) * s for s in (1.5, 4, 10))
    image = (image - image.min()) / (image.max() - image.min())
    return (image * 220 + 20).astype(np.uint8)


def darkened(light, seed=1):
    """A light image dimmed to a twelfth with noise of 1.5 grey levels, uint8 (H, W, 3)."""
    noise = np.random.default_rng(seed).normal(size=light.shape)
    return np.clip(np.rint(light * 0.08 + noise * 1.5), 0, 255).astype(np.uint8)


def pair(name, dark, light):
    return RealPair(name, dark, light, "", "")


def problems(*pairs):
    """Name, problem and whether it is fatal, of each finding."""
    return [(finding.name, finding.problem, finding.fatal) for finding in check_pairs(pairs)]
