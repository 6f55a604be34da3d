"""Enhancing images of any size, whole or in tiles."""

import numpy as np
import pytest
import torch
from skimage import data

from dimmagen.core.errors import UsageError
from dimmagen.enhance.enhancer import Enhancer
from dimmagen.enhance.network import ARCHITECTURES, EnhancementNetwork


@pytest.fixture(scope="module")
def network():
    """A compact network without a zero layer, so that its whole receptive field counts."""
    torch.manual_seed(1)
    network = EnhancementNetwork("compact")
    for parameter in network.parameters():
        if parameter.dim() > 1:
            torch.nn.init.kaiming_normal_(parameter, nonlinearity="linear")
    return network.eval()


def dark_image(height, width):
    return np.ascontiguousarray(np.resize(data.astronaut(), (height, width, 3)) // 7)


def gigabytes(side):
    return side**2 * ARCHITECTURES["compact"].bytes_per_pixel / 1e9 * 1.001


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (17, 40), (96, 63)])
def test_the_result_has_the_size_of_the_image_whatever_its_size_and_orientation(network, size):
    light = Enhancer(network).enhance(dark_image(*size), 0.5)
    assert light.shape == (*size, 3)
    assert light.dtype == np.uint8


@pytest.mark.parametrize("size", [(150, 611), (611, 400)])
def test_tiles_give_the_result_of_the_whole_image(network, size):
    dark = dark_image(*size)
    whole = Enhancer(network, gigabytes(1024)).enhance(dark, 0.4)
    tiling = Enhancer(network, gigabytes(384))
    assert tiling.tile == 384
    tiled = tiling.enhance(dark, 0.4)
    difference = np.abs(tiled.astype(int) - whole)
    assert difference.max() <= 1  # blending adds a rounding
    assert (difference > 0).mean() < 1e-3
    assert whole.std() > 5


def test_too_little_memory_for_a_tile_is_refused(network):
    with pytest.raises(UsageError, match=r"give at least 0\.1"):
        Enhancer(network, 0.01)


def test_the_condition_is_the_requested_increase_of_lightness(network):
    conditions = []
    hook = network.register_forward_pre_hook(lambda _, inputs: conditions.append(int(inputs[1])))
    dark = np.full((16, 16, 3), 51, np.uint8)
    for lightness in (0.1, 0.4, 0.9):
        Enhancer(network).enhance(dark, lightness=lightness)
    hook.remove()
    assert conditions == [0, 200, 700]
