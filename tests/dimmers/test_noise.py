"""Pixel noise is standard normal and a pure function of key, block and pixel."""

import numpy as np

from dimmagen.core.philox import philox4x32, split_key
from dimmagen.dimmers.noise import NORMAL_QUANTILES, normals, random_words


def test_noise_is_standard_normal_and_its_eight_values_are_independent():
    drawn = normals(0, 200_000, key=7, block=0)
    assert np.abs(drawn.mean(0)).max() < 0.012  # five standard errors
    assert np.abs(drawn.std(0) - 1).max() < 0.008
    assert np.abs(np.corrcoef(drawn.T) - np.eye(8)).max() < 0.012
    assert abs(float((drawn**4).mean()) - 3) < 0.05


def test_neighbouring_pixels_keys_and_blocks_are_uncorrelated():
    drawn = normals(0, 100_000, key=7, block=0)
    for other in (
        normals(0, 100_000, key=8, block=0),
        normals(0, 100_000, key=7, block=1),
        np.roll(drawn, 1, 0),
    ):
        assert abs(float((drawn * other).mean())) < 0.006


def test_the_words_of_a_pixel_do_not_depend_on_the_first_pixel():
    assert np.array_equal(random_words(0, 100, 5, 0)[40:], random_words(40, 60, 5, 0))
    assert np.array_equal(normals(0, 100, 5, 0)[40:], normals(40, 60, 5, 0))


def test_the_noise_consists_of_the_quantiles_of_the_words():
    assert np.array_equal(normals(0, 50, 5, 3), NORMAL_QUANTILES[random_words(0, 50, 5, 3)])
    assert np.all(np.diff(NORMAL_QUANTILES) > 0)
    assert NORMAL_QUANTILES[0] == -NORMAL_QUANTILES[-1]


def test_the_words_of_a_pixel_are_the_halves_of_its_block_of_philox():
    for first, key, block in ((0, 5, 0), (2**32 - 2, 2**62 + 7, 3)):
        found = random_words(first, 4, key, block)
        assert found.dtype == np.uint16
        for pixel, eight in enumerate(found):
            counters = ((first + pixel) % 2**32, block, 0, 0)
            four = [int(word) for word in philox4x32(*map(np.uint32, counters), *split_key(key))]
            assert eight.tolist() == [half for word in four for half in (word & 0xFFFF, word >> 16)]
        assert np.array_equal(normals(first, 4, key, block), NORMAL_QUANTILES[found])
        assert normals(first, 4, key, block).dtype == np.float32
