"""What the tests of the steps of the fit of a camera share."""

import numpy as np

from dimmagen.dimmers.camera.block_noise import MeasuredNoise
from dimmagen.dimmers.camera.response_fit import PairResponses
from dimmagen.dimmers.camera.tiles import Tile
from tests.cameras import camera


def a_tile(pair: int = 0, size=(40, 52), area=None, seed: int = 0) -> Tile:
    """Random images, which are flat everywhere and whose noise is measured in an area."""
    random = np.random.default_rng(seed)
    light, dark = (random.integers(4, top, (*size, 3)).astype(np.float32) for top in (250, 60))
    everywhere = np.ones(size, bool)
    return Tile(pair, dark, light, everywhere, everywhere if area is None else area)


def a_measured(power=1.0, skewness=0.0, count=1e9, correlation=None) -> MeasuredNoise:
    full = np.ones((3, 12))
    correlation = np.eye(3) if correlation is None else correlation
    none = np.zeros(2)
    return MeasuredNoise(power * full, skewness * full, count * full, correlation, none, none, 1e9)


def responses_of(pairs: int = 2) -> PairResponses:
    balances = np.linspace([0.1, -0.05, -0.05], [-0.1, 0.05, 0.05], pairs)
    toe = np.array([1.0, -0.5, 2.0])
    return PairResponses(camera().log_slopes, np.linspace(-1.0, -2.0, pairs), balances, toe)
