"""Each measure responds to the defects that it is meant for, and to no others."""

from dataclasses import replace

import numpy as np
import pytest
from simulated_camera import SimulatedCamera, simulated_light

from dimmagen.metrics.realism import MEASURES, Reference, measure, measure_pair
from dimmagen.metrics.realism.measures import Measured
from dimmagen.metrics.realism.noise import noise_area, noise_statistics, residual

CAMERA = SimulatedCamera()

# A measure responds if its value exceeds the threshold, and does not if it is below half of it; units as in
# MEASURES.
THRESHOLDS = {
    "mean_error": 2.0,
    "histogram_distance": 0.8,
    "transfer_error": 1.0,
    "transfer_shape": 1.0,
    "colour_error": 1.0,
    "chromaticity_error": 1.0,
    "luma_noise": 0.3,
    "chroma_noise": 0.3,
    "luma_curve": 0.3,
    "chroma_curve": 0.3,
    "luma_kl": 0.03,
    "chroma_kl": 0.03,
    "shape_kl": 0.01,
    "channel_correlation": 0.1,
    "lag1_picture": 0.12,
    "luma_lags": 0.05,
    "chroma_lags": 0.05,
    "akld": 0.028,
    "kld": 0.01,
    "denoiser_gap": 1.0,
}
FLOORS = {"akld": 0.048}  # of two draws of one law; the thresholds are above it

# A change of luma noise alone also changes the ratio of luma to chroma, that is, the channel correlation;
# the plain KL divergence responds to the level and to the tails.
DEFECTS = {
    "no defect": ({}, set()),
    "another exposure": ({"mean": 31.0}, {"mean_error", "transfer_error", "colour_error"}),
    "another curve": (
        {"curve": 1.5},
        {"histogram_distance", "transfer_error", "transfer_shape", "colour_error"},
    ),
    "colour cast": (
        {"cast": (1.12, 1.0, 0.88)},
        {"histogram_distance", "colour_error", "chromaticity_error"},
    ),
    "too much luma noise": (
        {"luma": 3.0},
        {"luma_noise", "luma_curve", "luma_kl", "channel_correlation", "akld", "kld", "denoiser_gap"},
    ),
    "too little chroma noise": (
        {"chroma": 0.9},
        {"chroma_noise", "chroma_curve", "chroma_kl", "channel_correlation", "kld", "denoiser_gap"},
    ),
    "too much of both": (
        {"luma": 3.0, "chroma": 2.25},
        {"luma_noise", "chroma_noise", "luma_curve", "chroma_curve", "luma_kl", "chroma_kl"}
        | {"akld", "kld", "denoiser_gap"},
    ),
    "noise that falls with intensity": (
        {"shot": -0.25},
        {"luma_curve", "chroma_curve", "akld", "denoiser_gap"},
    ),
    "heavy tails": (
        {"heavy_tails": True},
        {"luma_kl", "chroma_kl", "shape_kl", "akld", "kld", "denoiser_gap"},
    ),
    "noise correlated in space": (
        {"blur": 0.5},
        {"lag1_picture", "luma_lags", "chroma_lags", "denoiser_gap"},
    ),
}


@pytest.fixture(scope="module")
def reference():
    light = simulated_light()
    return light, Reference(CAMERA.shoot(light, seed=1), light)


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_measure_responds_to_its_own_defects_and_to_no_others(reference, defect):
    light, real = reference
    change, expected = DEFECTS[defect]
    values = measure(real, Measured(replace(CAMERA, **change).shoot(light, seed=2), real))
    values = {name: value - FLOORS.get(name, 0.0) for name, value in values.items()}
    responding = {name for name, value in values.items() if abs(value) > THRESHOLDS[name]}
    silent = {name for name, value in values.items() if abs(value) < THRESHOLDS[name] / 2}
    others = set(THRESHOLDS) - expected
    assert responding == expected, {name: values[name] for name in responding ^ expected}
    assert silent == others, {name: values[name] for name in others - silent}


def test_every_measure_responds_to_a_defect():
    assert set().union(*(names for _, names in DEFECTS.values())) == {m.name for m in MEASURES}


@pytest.mark.parametrize(
    ("change", "name", "value"),
    [
        ({"luma": 4.0}, "luma_noise", 1.0),
        ({"chroma": 0.75}, "chroma_noise", -1.0),
        ({"mean": 35.0}, "mean_error", 10.0),
        ({"mean": 35.0}, "transfer_error", 10.0),
    ],
)
def test_a_measure_gives_the_size_of_a_known_defect(reference, change, name, value):
    light, real = reference
    synthetic = Measured(replace(CAMERA, **change).shoot(light, seed=2), real)
    assert measure(real, synthetic)[name] == pytest.approx(value, abs=0.1)


def test_the_real_image_against_itself_has_the_ideal_value_of_every_measure(reference):
    light, _ = reference
    real = CAMERA.shoot(light, seed=1)
    assert measure_pair(real, light, real) == pytest.approx({m.name: 0.0 for m in MEASURES}, abs=1e-6)


def test_images_without_noise_or_light_have_finite_measures():
    light = simulated_light()
    values = measure_pair(np.zeros_like(light), light, np.full_like(light, 7))
    assert np.isfinite(list(values.values())).all(), values


def test_images_of_another_size_are_refused():
    light = simulated_light()
    with pytest.raises(ValueError, match="expected uint8"):
        measure_pair(light, light, light[:-1])


@pytest.mark.parametrize("lag", [1, 2])
def test_autocorrelation_uses_only_pairs_of_flat_pixels(lag):
    generator = np.random.default_rng(3)
    image = generator.integers(0, 60, (24, 30, 3)).astype(np.float32)
    flat = generator.random((24, 30)) < 0.5
    luma = residual(image).mean(2)
    across = [
        luma[y, x] * luma[y, x + lag]
        for y in range(24)
        for x in range(30 - lag)
        if flat[y, x] and flat[y, x + lag]
    ]
    down = [
        luma[y, x] * luma[y + lag, x]
        for y in range(24 - lag)
        for x in range(30)
        if flat[y, x] and flat[y + lag, x]
    ]
    expected = (np.mean(across) + np.mean(down)) / 2 / np.mean(luma[flat] ** 2)
    measured = noise_statistics(image, flat, np.zeros((24, 30), int)).lags[0, lag - 1]
    assert measured == pytest.approx(expected, abs=1e-5)


def test_noise_is_measured_on_flat_pixels_away_from_saturated_ones():
    light = np.minimum(simulated_light(), 240).astype(np.float32)
    light[100:140, 50:90, 1] = 252
    area = noise_area(light)
    assert not area[96:144, 46:94].any()
    unsaturated = light.shape[0] * light.shape[1] - 48 * 48
    assert abs(area.sum() / unsaturated - 0.4) < 0.01
    assert area[:100].mean() > area[140:].mean()  # the lower half is textured


def test_noise_of_an_image_that_is_saturated_everywhere_is_measured_all_the_same():
    light = np.full((40, 50, 3), 255, np.float32)
    light[:2] = 100
    assert noise_area(light).sum() >= 0.4 * 40 * 50


def test_texture_where_the_light_image_is_saturated_is_not_taken_for_noise():
    """A sky that is white in the light image and has clouds in both dark images."""
    light = simulated_light()
    light[:120] = 255
    clouds = 30 * np.random.default_rng(5).random((120, 320, 1))

    def dark(seed, luma):
        image = replace(CAMERA, luma=luma).shoot(light, seed).astype(float)
        image[:120] = 60 + clouds
        return image.astype(np.uint8)

    assert measure_pair(dark(1, 2.0), light, dark(2, 4.0))["luma_noise"] > 0.8
