"""Dimmers that are formulas: the mean and the noise agree with the formulas."""

import numpy as np
import pytest

from dimmagen.dimmers import closed_form
from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.closed_form import GammaModel, LidModel, LinearModel
from dimmagen.dimmers.dimmer import ImageDimmer

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
