"""Enhancing images of any size, whole or in tiles."""

import numpy as np
import pytest
import torch

from dimmagen.core.errors import UsageError
from dimmagen.enhance.enhancer import Enhancer
from tests.enhance.untrained import dark_image, gigabytes


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


@pytest.mark.parametrize("size", [(150, 611), (611, 333)])
def test_windows_give_a_local_network_the_result_of_the_whole_image(network, size, monkeypatch):
    """In windows whose margins are wide enough for it."""
    dark = dark_image(*size)
    whole = Enhancer(network, gigabytes(1024)).enhance(dark, 0.4)
    windowed = Enhancer(network, window=640).enhance(dark, 0.4)  # larger than the image
    np.testing.assert_array_equal(windowed, whole)
    enhancer = Enhancer(network, window=256)
    monkeypatch.setattr(enhancer, "_margin", 80)
    difference = np.abs(enhancer.enhance(dark, 0.4).astype(int) - whole)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3


def test_every_window_has_the_size_that_was_asked_for_and_they_run_together(network):
    shapes = []
    hook = network.register_forward_pre_hook(lambda _, inputs: shapes.append(tuple(inputs[0].shape)))
    dark = dark_image(150, 611)
    together = Enhancer(network, gigabytes(64) * 4, window=64).enhance(dark, 0.4)
    assert {shape[1:] for shape in shapes} == {(10, 64, 64)}
    assert max(shape[0] for shape in shapes) == 4
    alone = Enhancer(network, gigabytes(64), window=64).enhance(dark, 0.4)
    hook.remove()
    assert shapes[-1][0] == 1
    assert np.abs(together.astype(int) - alone).max() <= 1


def test_windows_may_be_equalised_by_their_own_histogram_as_crops_are(network):
    inputs = []
    hook = network.register_forward_pre_hook(lambda _, given: inputs.append(given[0].clone()))
    dark = dark_image(64, 128)
    dark[:, 64:] //= 4
    for equalise in ("crop", "image"):
        Enhancer(network, window=64, equalise=equalise).enhance(dark, 0.4)
    hook.remove()
    own, whole = (torch.cat(half) for half in (inputs[: len(inputs) // 2], inputs[len(inputs) // 2 :]))
    assert own[:, 3:6].amax(dim=(1, 2, 3)).min() == 1
    assert whole[:, 3:6].amax(dim=(1, 2, 3)).min() < 1


def test_bfloat16_gives_the_same_image_but_for_its_rounding(network):
    dark = dark_image(64, 40)
    exact, rounded = (Enhancer(network, bf16=bf16).enhance(dark, 0.4).astype(int) for bf16 in (False, True))
    assert 0 < np.abs(exact - rounded).mean() < 3


@pytest.mark.parametrize("window", [24, 100])
def test_a_window_that_the_network_cannot_take_is_refused(network, window):
    with pytest.raises(UsageError, match=f"window={window}"):
        Enhancer(network, window=window)
