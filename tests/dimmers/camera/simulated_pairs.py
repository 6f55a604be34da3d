"""A simulated camera with known curve, noise and colour cast, and pairs of it."""

import numpy as np
from scipy.ndimage import gaussian_filter

from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.camera.model import CameraModel
from dimmagen.dimmers.real_pairs import RealPair
from tests import cameras

SIZE = 240


def light_image(seed: int, darkest: int = 8) -> np.ndarray:
    """A smooth colourful scene with all levels from the darkest to 253: uint8 (240, 240, 3)."""
    noise = np.random.default_rng(seed).standard_normal((SIZE, SIZE, 3))
    smooth = gaussian_filter(noise, (12, 12, 0))
    ranks = smooth.argsort(axis=None).argsort().reshape(smooth.shape) / smooth.size
    return (darkest + (253 - darkest) * ranks).astype(np.uint8)


def camera(**changes) -> CameraModel:
    """A camera with a known curve, moderate white Gaussian noise and no colour cast."""
    plain = {
        "log_exposure": -2.2,
        "balance": np.zeros(3),
        "log_sigma": np.log([[2.0], [1.2], [1.6]]) + np.linspace(0.0, 0.4, 12),
        "correlation": np.array([[1.0, 0.3, 0.1], [0.3, 1.0, 0.3], [0.1, 0.3, 1.0]]),
        "spatial": np.zeros(2),
        "tail": 0.0,
        "chroma_tail": None,
        "toe": np.zeros(3),
        "skew": np.zeros((3, 12)),
    }
    return cameras.camera(**{**plain, **changes})


def draw(gamma=1.0, tau=1.0, noise_seed=1) -> Draw:
    return Draw(gamma=gamma, tau=tau, exposure=1.0, noise_seed=noise_seed)


def pairs_of(model: CameraModel, exposures=(0.7, 1.0, 1.4), darkest=8) -> list[RealPair]:
    pairs = []
    for index, exposure in enumerate(exposures):
        light = light_image(index, darkest)
        dark = model.dim(light, Draw(gamma=1.0, tau=1.0, exposure=exposure, noise_seed=50 + index))
        pairs.append(RealPair(str(index), dark, light, "", ""))
    return pairs
