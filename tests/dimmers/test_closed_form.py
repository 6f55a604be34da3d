"""Dimmers that are formulas: the mean and the noise agree with the formulas."""

import numpy as np
import pytest

from dimmagen.core import keyed_random
from dimmagen.dimmers import closed_form
from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.closed_form import GammaModel, LidModel, LinearModel
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.dimmers.noise import normals

MODELS = {"linear": LinearModel, "gamma": GammaModel, "lid": LidModel}


QUIET = Draw(gamma=1.0, tau=0.0, exposure=1.0, noise_seed=3)
NOISY = Draw(gamma=1.0, tau=1.0, exposure=1.0, noise_seed=3)


def flat(level, size=256):
    return np.full((size, size, 3), level, np.uint8)


def test_linear_scales_by_its_factor_gamma_and_exposure():
    dark = LinearModel(darkness=0.12).dim(flat(200), Draw(1.5, 0.0, 0.8, 3))
    assert np.all(dark == round(200 * 0.12 * 1.5 * 0.8))


def test_linear_noise_is_shot_plus_read_noise():
    model = LinearModel(darkness=0.5, shot=0.4, read=2.0)
    for level in (40, 160):
        dark = model.dim(flat(level), NOISY).astype(float)
        assert dark.mean() == pytest.approx(level / 2, abs=0.05)
        assert dark.var() == pytest.approx(0.4 * level / 2 + 4 + 1 / 12, rel=0.02)  # 1/12 from the rounding


def test_gamma_follows_a_power_with_drawn_factors():
    model = GammaModel()
    levels = np.array([64.0, 128.0, 255.0])
    means = np.array([model.dim(flat(int(level)), QUIET).mean() for level in levels])
    power = np.log(means[2] / means[1]) / np.log(levels[2] / levels[1])
    assert 1.4 < power < 5.1
    assert 255 * 0.5 * 0.9**5 - 1 <= means[2] <= 255
    other = model.dim(flat(128), Draw(1.0, 0.0, 1.0, 4)).mean()
    assert other != means[1]


def test_lid_without_darkening_and_noise_returns_the_image():
    model = LidModel(darkness=1.0)
    light = np.random.default_rng(0).integers(60, 200, (32, 32, 1), dtype=np.uint8).repeat(3, 2)
    light[..., 0] += 20
    # The noise level of a draw cannot be 0, but tau = 0 removes the noise.
    assert np.abs(model.dim(light, QUIET).astype(int) - light).max() <= 1


def test_lid_darkens_light_not_grey_levels():
    dark = LidModel(darkness=0.1).dim(flat(186), QUIET).mean()  # level 186 corresponds to half of the light
    assert dark == pytest.approx(255 * (1.055 * 0.0491 ** (1 / 2.4) - 0.055), abs=1.5)


def drawn(draw, low, high, purpose):
    return low + (high - low) * keyed_random.uniform(draw.noise_seed, "", 0, purpose)


def linear_by_definition(light, noise, draw):
    dark = 0.12 * draw.gamma * draw.exposure * light
    return dark + noise * np.sqrt(0.02 * dark + 1.5**2)


def gamma_by_definition(light, noise, draw):
    """Lv, Li, Lu 2021, Equation 1."""
    alpha, beta = drawn(draw, 0.9, 1.0, "alpha"), drawn(draw, 0.5, 1.0, "beta")
    dark = 255 * draw.gamma * draw.exposure * beta * (alpha * light / 255) ** drawn(draw, 1.5, 5.0, "power")
    return dark + noise * np.sqrt(0.02 * dark + 1.5**2)


def lid_by_definition(light, noise, draw):
    """Unprocessing and processing by Brooks et al. 2019; their noise levels, here in log10."""
    matrix = np.array([[1.70, -0.55, -0.15], [-0.25, 1.60, -0.35], [0.00, -0.55, 1.55]])
    balance = np.diag([drawn(draw, 1.9, 2.4, "red"), 1.0, drawn(draw, 1.5, 1.9, "blue")])
    shot = 10 ** drawn(draw, -4, np.log10(0.012), "shot")
    read = np.exp(2.18 * np.log(shot) + 1.20 + 0.26 * keyed_random.normal(draw.noise_seed, "", 0, "read"))
    steps = 2 ** [12, 14, 16][int(3 * keyed_random.uniform(draw.noise_seed, "", 0, "bits"))] - 1
    code = light / 255
    linear = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    sensor = np.clip(linear @ np.linalg.inv(matrix @ balance).T, 0, 1) * 0.1 * draw.gamma * draw.exposure
    sensor = np.clip(sensor + noise * np.sqrt(shot * sensor + read), 0, 1)
    srgb = np.clip(np.rint(sensor * steps) / steps @ (matrix @ balance).T, 0, 1)
    bright = 1.055 * np.maximum(srgb, 1e-9) ** (1 / 2.4) - 0.055
    return 255 * np.where(srgb <= 0.0031308, 12.92 * srgb, bright)


DEFINITIONS = {"linear": linear_by_definition, "gamma": gamma_by_definition, "lid": lid_by_definition}
DRAWS = [
    Draw(0.7, 1.0, 1.3, 3),
    Draw(1.9, 0.5, 0.8, 2**62 + 5),
    Draw(20.0, 2.0, 1.0, 77),
    *(Draw(1.0, 1.0, 1.0, seed) for seed in range(100, 106)),
]


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("kind", DEFINITIONS)
def test_every_pixel_agrees_with_the_formula_and_its_drawn_constants(kind, draw):
    """At gamma 20, many pixels are clipped to white."""
    light = np.random.default_rng(7).integers(0, 256, (90, 110, 3), dtype=np.uint8)
    light[:5], light[5:10] = 0, 255
    noise = draw.tau * normals(0, light[..., 0].size, draw.noise_seed, 0)[:, :3].reshape(light.shape)
    expected = np.clip(np.rint(DEFINITIONS[kind](light.astype(float), noise, draw)), 0, 255)
    dark = MODELS[kind]().dim(light, draw).astype(int)
    assert np.abs(dark - expected).max() <= 1
    assert (dark != expected).mean() < 1e-3  # rounding at the boundary between two levels


def test_the_levels_of_srgb_are_linear_light_as_the_standard_defines_it():
    levels = closed_form._linear_levels()
    code = [number / 255 for number in range(256)]
    expected = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in code]
    assert levels.dtype == np.float32
    assert levels == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("linear", {"darkness": 0.12, "shot": 0.02, "read": 1.5}),
        ("gamma", {"shot": 0.02, "read": 1.5}),
        ("lid", {"darkness": 0.1}),
    ],
)
def test_the_recorded_settings_are_the_constants_of_the_formula(kind, settings):
    assert MODELS[kind]().settings() == settings


@pytest.mark.parametrize("model", [LinearModel(), GammaModel(), LidModel()])
def test_processing_in_bands_does_not_change_the_image(model, monkeypatch):
    light = np.random.default_rng(1).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    whole = model.dim(light, NOISY)
    monkeypatch.setattr(closed_form, "BAND", 100)
    assert np.array_equal(model.dim(light, NOISY), whole)


@pytest.mark.parametrize("name", ["linear", "gamma", "lid"])
def test_the_name_of_a_formula_is_also_that_of_a_profile(name):
    dimmer = ImageDimmer.from_profile(name)
    light = np.random.default_rng(1).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    draw = dimmer.draw("image", 1, 9)
    dark = dimmer.dim(light, draw)
    assert (dark.shape, dark.dtype) == (light.shape, np.uint8)
    assert dark.mean() < light.mean()
    assert np.array_equal(dark, ImageDimmer.from_profile(name).dim(light, draw))
    assert not np.array_equal(dark, dimmer.dim(light, dimmer.draw("image", 2, 9)))
    assert dimmer.settings()["model"] == name
