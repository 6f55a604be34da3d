"""The lightness that a network chooses: learnt from light images, safe for any photo."""

import json

import numpy as np
import pytest

from dimmagen.enhance.lightness import LightnessModel, features, learn_lightness, lightness_of_header


def dark(share, seed=0):
    """An image of which a share is bright and the rest nearly black."""
    draws = np.random.default_rng(seed)
    return (draws.random((40, 50, 3)) < share).astype(np.uint8) * 90 + draws.integers(
        2, 5, (40, 50, 3)
    ).astype(np.uint8)


SHARES = np.linspace(0.05, 0.95, 60)


@pytest.fixture(scope="module")
def model():
    """Light images are the lighter, the larger the bright share of the dark one."""
    return learn_lightness((dark(share, n), 0.2 + 0.5 * share) for n, share in enumerate(SHARES))


def test_what_decided_the_lightness_of_the_light_images_decides_that_of_a_photo(model):
    chosen = [model.choose(dark(share, 99)) for share in (0.2, 0.5, 0.8)]
    assert chosen == sorted(chosen)
    assert chosen[2] - chosen[0] > 0.15
    assert model.mean == pytest.approx(0.45, abs=1e-6)


def test_it_does_not_matter_how_far_a_photo_was_darkened():
    image = np.random.default_rng(1).integers(40, 200, (60, 60, 3)).astype(np.uint8)
    assert features(image // 2) == pytest.approx(features(image), abs=0.05)


@pytest.mark.parametrize(("weight", "expected"), [(1.0, 0.7), (-1.0, 0.3)])
def test_a_photo_unlike_all_others_gets_a_lightness_like_those_of_the_light_images(weight, expected):
    model = LightnessModel(0.5, 0.1, (0.0,) * 6, (1.0,) * 6, (weight,) + (0.0,) * 5, 60)
    image = np.full((8, 8, 3), 250, np.uint8)
    image[:4] = 0
    assert model.choose(255 - image) == pytest.approx(model.choose(image))
    assert model.choose(image) == pytest.approx(1 - expected)


@pytest.mark.parametrize("value", [0, 255])
def test_a_photo_of_one_value_gets_a_lightness(model, value):
    assert 0 <= model.choose(np.full((8, 8, 3), value, np.uint8)) <= 1


def test_of_few_images_the_mean_is_what_is_learnt():
    few = learn_lightness([(dark(0.2), 0.3), (dark(0.8), 0.6), (dark(0.5), 0.45)])
    assert few.choose(dark(0.95)) == pytest.approx(0.45, abs=0.1)
    one = learn_lightness([(dark(0.2), 0.3)])
    assert one.choose(dark(0.9)) == pytest.approx(0.3)


def test_it_is_read_back_from_the_header_of_a_network(model):
    assert lightness_of_header({"lightness": json.loads(json.dumps(model.as_json()))}) == model


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"lightness": 0.5},
        {"lightness": {"mean": 0.5}},
        {"lightness": {"mean": 0.5, "spread": 0, "centre": [0], "scale": [1], "weights": [1], "images": 1}},
        {
            "lightness": {
                "mean": "a",
                "spread": 0,
                "centre": [0] * 6,
                "scale": [1] * 6,
                "weights": [1] * 6,
                "images": 1,
            }
        },
    ],
)
def test_a_header_without_a_usable_model_has_none(header):
    assert lightness_of_header(header) is None
