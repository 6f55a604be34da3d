"""The classifier cannot distinguish a camera from itself, but from a camera with a defect."""

from dataclasses import replace

import numpy as np
import pytest
from simulated_camera import SimulatedCamera, simulated_light

from dimmagen.metrics.realism.two_sample import area_under_roc, patch_features, two_sample_auc

CAMERA = SimulatedCamera()
SCENES = 8


def features(camera: SimulatedCamera, first_seed: int) -> list[np.ndarray]:
    lights = [simulated_light(scene) for scene in range(SCENES)]
    return [patch_features(camera.shoot(light, first_seed + i), light) for i, light in enumerate(lights)]


@pytest.fixture(scope="module")
def real():
    return features(CAMERA, 100)


def test_a_camera_cannot_be_distinguished_from_itself(real):
    assert two_sample_auc(real, features(CAMERA, 200)).mean() == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize(
    "defect",
    [
        {"mean": 29.0},
        {"curve": 1.3},
        {"cast": (1.06, 1.0, 0.94)},
        {"luma": 2.4},
        {"chroma": 1.2},
        {"shot": 0.0},
        {"heavy_tails": True},
        {"blur": 0.4},
    ],
    ids=str,
)
def test_a_camera_with_a_defect_is_distinguished(real, defect):
    assert two_sample_auc(real, features(replace(CAMERA, **defect), 200)).mean() > 0.75


def test_information_about_a_held_out_image_is_not_used():
    generator = np.random.default_rng(0)
    real = [np.tile(generator.standard_normal(22), (40, 1)) for _ in range(SCENES)]
    mirrored = [-constant for constant in real]
    assert two_sample_auc(real, mirrored).min() == 0.0  # a classifier fitted to the image would give 1


def test_a_single_image_is_refused(real):
    with pytest.raises(ValueError, match="at least two images"):
        two_sample_auc(real[:1], real[:1])


@pytest.mark.parametrize(
    ("negative", "positive", "area"),
    [([0, 1, 2], [3, 4], 1.0), ([3, 4], [0, 1, 2], 0.0), ([1, 1], [1, 1, 1], 0.5), ([0, 2], [1, 3], 0.75)],
)
def test_the_area_is_the_share_of_pairs_in_the_right_order(negative, positive, area):
    assert area_under_roc(np.array(negative), np.array(positive)) == pytest.approx(area)
