"""Whether noise depends on the channels' own levels or on luma: how it is measured."""

import numpy as np
import pytest

from dimmagen.dimmers.camera.luma_fit import channel_ratios, luma_share, pairs_of_blocks
from dimmagen.dimmers.camera.tiles import Tile


def simulated(truth: np.ndarray, seed: int) -> np.ndarray:
    return truth + 0.3 * np.random.default_rng(seed).standard_normal(truth.shape)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_share_of_luma_is_not_biased_by_noise(share):
    own, luma = np.random.default_rng(0).standard_normal((2, 4000, 2)) * 0.3
    real = simulated(own + share * (luma - own), 1)
    twice = [[simulated(one, seed) for seed in seeds] for one, seeds in ((own, (2, 3)), (luma, (4, 5)))]
    many = np.arange(4000) // 10  # pairs
    for prior in (0.0, 1.0):
        assert luma_share(real, *twice, many, prior) == pytest.approx(share, abs=0.05)
    three = np.arange(4000) % 3  # whose scenes may differ from others of the camera
    pull = 0.4**-2 / (0.4**-2 + 3 / 0.5**2)
    assert luma_share(real, *twice, three, 0.0) == pytest.approx((1 - pull) * share, abs=0.05)


def test_pairs_that_do_not_tell_leave_the_prior():
    same = [np.zeros((100, 2))] * 2
    assert luma_share(np.ones((100, 2)), same, same, np.zeros(100, int), 1.0) == 1.0
    empty = [np.empty((0, 2))] * 2
    assert luma_share(np.empty((0, 2)), empty, empty, np.empty(0, int), 0.0) == 0.0
    few = [[simulated(np.zeros((32, 2)), seed) for seed in seeds] for seeds in ((1, 2), (3, 4))]
    assert luma_share(few[0][0], *few, np.zeros(32, int), 1.0) == pytest.approx(1.0, abs=0.45)


def test_ratios_are_those_of_blocks_with_enough_pixels():
    random = np.random.default_rng(0)
    image = random.standard_normal((64, 96, 3)).astype(np.float32)
    image[:, :48, 0] *= 3.0  # twice ln 3 more power than in the other half
    area = np.ones((64, 96), bool)
    area[:16, :20] = area[16:32, :8] = False  # of three blocks, of which one has half of its pixels
    blank = np.zeros_like(image)
    tile = Tile(0, blank, blank, area, area)
    ratios = channel_ratios([image], [tile])
    assert ratios.shape == (4 * 6 - 1, 2)
    other = Tile(1, blank, blank, area, area)
    assert pairs_of_blocks([tile, other]).tolist() == [0] * 23 + [1] * 23
    assert np.ptp(np.sort(ratios[:, 0])[[2, -3]]) == pytest.approx(2 * np.log(3.0), abs=0.6)
    assert np.median(ratios, axis=0) == pytest.approx([0.0, 0.0], abs=1e-9)
