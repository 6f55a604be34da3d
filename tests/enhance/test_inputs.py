"""The network's ten channels, computed from the stored dark image alone."""

import numpy as np
import pytest
import torch
from skimage import data

from dimmagen.enhance.inputs import (
    condition,
    equalisation,
    equalisations,
    mean_lightness,
    network_input,
    network_inputs,
)


def dark_image():
    return data.astronaut()[:64, :96] // 6


def test_the_channels_are_the_image_its_equalisation_its_colour_map_and_its_illumination():
    dark = dark_image()
    planes = network_input(dark)
    image = dark.transpose(2, 0, 1) / 255
    assert planes.shape == (10, 64, 96)
    assert planes.dtype == np.float32
    np.testing.assert_allclose(planes[:3], image, atol=1e-6)
    np.testing.assert_allclose(planes[9], image.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(planes[6:9].sum(axis=0), 1, atol=1e-5)
    np.testing.assert_allclose(3 * planes[9] * planes[6:9], image, atol=1e-6)
    assert planes[3:6].min() == 0
    assert planes[3:6].max() == 1


def test_equalised_values_are_spread_by_rank():
    dark = dark_image()
    equalised = network_input(dark)[3:6]
    for channel in range(3):
        plane, value = equalised[channel], dark[..., channel]
        ranks = np.array([(value <= level).mean() for level in value.ravel()]).reshape(value.shape)
        lowest = (value == value.min()).mean()
        np.testing.assert_allclose(plane, (ranks - lowest) / (1 - lowest), atol=0.5 / 255 + 1e-6)


def test_a_channel_with_a_single_value_is_unchanged():
    dark = np.full((8, 8, 3), 17, np.uint8)
    np.testing.assert_allclose(network_input(dark)[3:6], 17 / 255, atol=1e-6)


def test_a_tile_with_the_tables_of_the_whole_image_equals_its_part_of_the_whole():
    dark = dark_image()
    whole = network_input(dark)
    tile = network_input(dark[10:40, 20:60], equalisation(dark))
    np.testing.assert_array_equal(tile, whole[:, 10:40, 20:60])


@pytest.mark.parametrize("levels", [1, 2, 30, 256])
def test_a_batch_has_the_inputs_of_each_of_its_images_bit_for_bit(levels):
    draws = np.random.default_rng(levels)
    images = draws.integers(0, levels, (3, 33, 47, 3), dtype=np.uint8)
    images[1, :, :, 2] = 7  # a single value
    batch = torch.from_numpy(images)
    tables = np.stack([equalisation(image) for image in images])
    np.testing.assert_array_equal(equalisations(batch).numpy(), tables)
    expected = np.stack([network_input(image) for image in images])
    assert network_inputs(batch).numpy().tobytes() == expected.tobytes()
    expected = np.stack([network_input(image, tables[0]) for image in images])
    given = torch.from_numpy(tables[:1]).expand(3, 3, 256)
    assert network_inputs(batch, given).numpy().tobytes() == expected.tobytes()


def test_the_tables_of_a_large_image_are_computed_in_less_memory():
    image = np.random.default_rng(0).integers(3, 70, (2, 800, 600, 3), dtype=np.uint8)
    tables = np.stack([equalisation(one) for one in image])
    np.testing.assert_array_equal(equalisations(torch.from_numpy(image)).numpy(), tables)


def test_the_condition_is_the_difference_of_lightness_in_thousandths():
    assert condition(0.05, 0.45) == 400
    assert condition(0.5, 0.2) == 0
    assert condition(0.0, 1.5) == 1000
    assert mean_lightness(np.full((4, 4, 3), 51, np.uint8)) == 0.2
