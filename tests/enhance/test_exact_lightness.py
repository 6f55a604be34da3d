"""Results that have exactly the lightness that was asked for."""

import numpy as np
import pytest
import torch

from dimmagen.enhance.enhancer import Enhancer
from dimmagen.enhance.exact_lightness import scaled_to_lightness, to_levels
from dimmagen.enhance.inputs import mean_lightness
from tests.enhance.untrained import dark_image, gigabytes


def image(*values):
    return np.array(values, np.uint16).reshape(1, -1, 1).repeat(3, 2)


@pytest.mark.parametrize("lightness", [0.13, 0.2, 0.35])
def test_the_mean_is_the_requested_one_also_where_white_is_clipped(lightness):
    values = np.random.default_rng(0).uniform(0, 0.3, (40, 60, 3))
    values[:4] = 0.95
    light = to_levels(torch.from_numpy(values))
    result = scaled_to_lightness(light, lightness)
    assert result.dtype == np.uint8
    assert result.shape == light.shape
    assert mean_lightness(result) == pytest.approx(lightness, abs=2e-4)
    assert abs(light.mean() / 65535 - lightness) > 0.02


def test_the_values_are_scaled_by_one_factor():
    result = scaled_to_lightness(image(0, 65535 // 10, 65535 // 5), 0.14)
    np.testing.assert_array_equal(result[0, :, 0], [0, 36, 71])  # 1.4 times 0, 25.5 and 51


@pytest.mark.parametrize(("lightness", "expected"), [(0.9, 51), (0.001, 13), (1.0, 51)])
def test_an_image_that_is_further_away_than_a_factor_of_two_comes_closer(lightness, expected):
    assert set(scaled_to_lightness(image(*[65535 // 10] * 9), lightness).ravel()) == {expected}


def test_black_stays_black_and_white_can_be_asked_for():
    assert scaled_to_lightness(image(0, 0), 0.5).max() == 0
    assert scaled_to_lightness(image(65535, 65535), 1.0).min() == 255


@pytest.mark.parametrize("memory", [gigabytes(1024), gigabytes(384)])
def test_an_enhanced_image_is_scaled_whole_or_in_tiles(network, memory):
    dark = dark_image(150, 611)
    close = Enhancer(network, memory).enhance(dark, 0.4)
    wanted = mean_lightness(close) * 0.8
    exact = Enhancer(network, memory, exact_lightness=True).enhance(dark, wanted)
    assert mean_lightness(exact) == pytest.approx(wanted, abs=2e-4)
    assert abs(mean_lightness(Enhancer(network, memory).enhance(dark, wanted)) - wanted) > 0.01
