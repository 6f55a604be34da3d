"""A fit recovers the statistics of a camera with a known curve, noise and spread of exposures."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dimmagen.dimmers.mdn.illumination import fill, fit_illumination, repair_published, smooth
from dimmagen.dimmers.real_pairs import RealPair

LEVELS = np.arange(256)
CURVE = 0.1 + 0.1 * LEVELS / 255


def scene(seed, exposure, noise=0.0, size=160, brightest=255):
    """A gray pair of a camera with CURVE; noise in grey levels, equal in the three channels."""
    random = np.random.default_rng(seed)
    texture = gaussian_filter(random.normal(size=(size, size)), 6)
    light = np.clip((texture - texture.min()) / np.ptp(texture) * brightest, 1, 255).astype(np.uint8)
    dark = exposure * CURVE[light] * light + noise * random.normal(size=light.shape)
    dark = np.clip(np.rint(dark), 0, 255).astype(np.uint8)
    return RealPair(str(seed), np.stack([dark] * 3, 2), np.stack([light] * 3, 2), "", "")


def test_the_mean_curve_is_found_with_the_exposures_divided_out():
    statistics = fit_illumination([scene(1, 0.5), scene(2, 1.0), scene(3, 2.0)])
    np.testing.assert_allclose(statistics.mean[80:], CURVE[80:], rtol=0.03)
    assert statistics.exposure_spread == pytest.approx(np.log(2), rel=0.05)


def test_exposure_spread_does_not_widen_the_deviation():
    apart = fit_illumination([scene(1, 0.5, 1.5), scene(2, 1.0, 1.5), scene(3, 2.0, 1.5)])
    together = fit_illumination([scene(1, 1.0, 1.5), scene(2, 1.0, 1.5), scene(3, 1.0, 1.5)])
    assert together.exposure_spread < 0.02
    # Dividing by an exposure of 0.5 doubles the noise, by 2 halves it: a factor of 1.3 in the root mean
    # square.
    assert np.median(apart.std[60:200] / together.std[60:200]) < 1.5


def test_scenes_with_different_levels_are_compared_by_their_common_levels():
    statistics = fit_illumination([scene(1, 0.7, brightest=130), scene(2, 1.0), scene(3, 1 / 0.7)])
    np.testing.assert_allclose(statistics.mean[80:], CURVE[80:], rtol=0.03)


def test_one_pair_has_no_exposure_spread():
    assert fit_illumination([scene(1, 1.0)]).exposure_spread == 0.0


@pytest.mark.parametrize("noise", [1.0, 3.0])
def test_the_temperature_reproduces_the_pixel_noise(noise):
    statistics = fit_illumination([scene(seed, 1.0, noise) for seed in range(3)])
    drawn = np.median((statistics.tau * statistics.std * LEVELS)[100:220])
    assert drawn == pytest.approx(np.sqrt(noise**2 + 1 / 12), rel=0.15)


def test_unknown_levels_are_interpolated_and_the_ends_are_repeated():
    values, known = np.zeros(256), np.zeros(256, bool)
    values[[10, 20]], known[[10, 20]] = (1.0, 3.0), True
    filled = fill(values, known)
    assert (filled[0], filled[15], filled[255]) == (1.0, 2.0, 3.0)


def test_smoothing_keeps_a_constant_curve_constant_up_to_its_ends():
    np.testing.assert_allclose(smooth(np.full(256, 0.3)), 0.3)


def test_only_the_ends_of_published_arrays_are_repaired():
    raw = CURVE.copy()
    raw[:6] = 0  # levels without pixels
    published = np.convolve(raw, [1 / 3] * 3, "same").astype(np.float32)
    assert published[255] < 0.7 * raw[255]
    repaired = repair_published(published)
    np.testing.assert_allclose(repaired[8:255], published[8:255], rtol=1e-4)
    np.testing.assert_allclose(repaired[:6], raw[6], rtol=0.01)
    np.testing.assert_allclose(repaired[255], raw[255], rtol=0.01)
