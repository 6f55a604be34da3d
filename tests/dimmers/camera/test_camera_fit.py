"""The fit of the camera model finds what a simulated camera has, and invents nothing."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dimmers.camera import fit, response_fit, scene_fit
from dimmagen.dimmers.camera.fit import fit_camera
from dimmagen.dimmers.camera.model import CameraModel
from dimmagen.dimmers.camera.response import ResponseCurve
from dimmagen.dimmers.camera.structure import response, unit_taps
from dimmagen.dimmers.camera.structure_fit import with_filters
from dimmagen.dimmers.camera.tiles import tiles_of
from dimmagen.dimmers.fit import fit_models
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.metrics.realism import noise
from tests.dimmers.camera.simulated_pairs import SIZE, camera, draw, light_image, pairs_of


@cache
def plain() -> CameraModel:
    """The fit to the camera without any extra."""
    return fit_camera(pairs_of(camera()))


@pytest.fixture(autouse=True, scope="module")
def plain_first():
    """No test with a brief search is the first to fit it."""
    plain()


@pytest.fixture
def brief_response(monkeypatch):
    """The response is near enough for tests of the noise."""
    monkeypatch.setattr(response_fit, "EVALUATIONS", 12)
    monkeypatch.setattr(response_fit, "HELPED", 0.0)


@pytest.fixture
def known_noise(monkeypatch):
    """The fit is told the noise of the camera, for tests of what else it finds."""
    monkeypatch.setattr(fit, "fit_noise", lambda model, *_: replace(model, log_sigma=camera().log_sigma))


def test_fit_finds_the_curve_of_a_known_camera():
    truth, fitted = camera(), plain()
    for gamma in (0.5, 1.0, 1.5):
        # Gamma is relative to the geometric mean of the exposures, and 0.7 * 1.0 * 1.4 = 0.98.
        error = fitted.dark_levels(gamma)[:, 20:250] - truth.dark_levels(gamma * 0.98 ** (1 / 3))[:, 20:250]
        assert np.abs(error).max() < 2.5
        assert np.abs(error).mean() < 0.7


def test_the_fit_of_the_curve_goes_on_for_as_long_as_it_gets_on(monkeypatch):
    """Eight pairs of LOL were stopped far from the minimum: levels 60 to 140 had one dark level."""
    truth, pairs = camera(), pairs_of(camera())
    tiles = [tile for index, pair in enumerate(pairs) for tile in tiles_of(index, pair)]
    monkeypatch.setattr(response_fit, "EVALUATIONS", 2)
    found = response_fit.fit_response(tiles, len(pairs))
    curve = ResponseCurve(found.log_slopes)
    levels = curve.level(curve.log_light(np.arange(20.0, 250.0)) + found.log_exposures[1])
    assert np.abs(levels - truth.dark_levels()[1, 20:250]).max() < 2.5


def test_noise_that_is_clipped_at_black_does_not_make_a_camera_brighter(monkeypatch):
    """With the noise that the fit would find."""
    slopes = response_fit.standard_log_slopes()
    truth = camera(log_slopes=slopes, log_sigma=np.full((3, 12), np.log(14.0)), log_exposure=-4.5)
    monkeypatch.setattr(fit, "fit_noise", lambda model, *_: replace(model, log_sigma=truth.log_sigma))
    tiles, responses, signal = fit._fit_signal(pairs_of(truth, exposures=(1.0, 1.0, 1.0)), 6)
    model, used = fit._fit_strong_noise(fit.fit_noise(signal), tiles, responses, 255, 0)
    levels, before, expected = (one.dark_levels()[:, [40, 80, 160, 220]] for one in (model, signal, truth))
    assert levels == pytest.approx(expected, abs=0.4)
    assert (before[:, 1:3] > expected[:, 1:3] + 0.5).all()
    assert used.log_slopes is model.log_slopes
    weak = replace(signal, log_sigma=np.full((3, 12), np.log(2.0)))
    assert fit._fit_strong_noise(weak, tiles, responses, 255, 0) == (weak, responses)


def test_fit_finds_the_noise_of_a_known_camera(brief_response):
    truth = camera(tail=7.0)
    fitted = fit_camera(pairs_of(truth))
    dark = np.tile([5.0, 10.0, 20.0, 40.0], (3, 1))
    assert np.allclose(fitted.noise_level(dark), truth.noise_level(dark), rtol=0.12)
    assert np.allclose(fitted.correlation, truth.correlation, atol=0.06)
    assert 5.0 <= fitted.tail <= 10.0
    assert not fitted.spatial.any()


def test_fit_finds_the_skew_of_the_noise(brief_response):
    truth = camera(skew=np.linspace([0.3, 0.0, 0.2], [-0.1, 0.0, -0.1], 12).T)
    fitted = fit_camera(pairs_of(truth))
    dark = np.tile([5.0, 10.0, 20.0, 40.0], (3, 1))
    assert np.allclose(fitted.noise_skew(dark), truth.noise_skew(dark), atol=0.07)
    assert np.abs(plain().noise_skew(dark)).max() < 0.05


def test_fit_finds_the_tails_of_luma_and_chroma(brief_response):
    fitted = fit_camera(pairs_of(camera(tail=5.0, chroma_tail=0.0)))
    assert 5.0 <= fitted.tail <= 7.0
    assert fitted.chroma_tail == 0.0 or fitted.chroma_tail > 25.0


def test_fit_finds_tails_between_those_that_it_simulates(brief_response):
    fitted = fit_camera(pairs_of(camera(tail=9.0, chroma_tail=18.0)))
    assert fitted.tail == pytest.approx(9.0, abs=1.2)
    assert fitted.chroma_tail == pytest.approx(18.0, abs=4.0)


def test_fit_finds_the_black_offsets_where_the_pairs_show_them(known_noise):
    truth = camera(toe=np.array([2.0, 0.0, -1.0]))
    found = fit_camera(pairs_of(truth)).toe
    # An offset of all channels alike is a change of the curve.
    assert np.allclose(found - found.mean(), truth.toe - truth.toe.mean(), atol=0.6)


def test_pairs_without_dark_areas_invent_no_black_offsets(known_noise):
    assert np.abs(fit_camera(pairs_of(camera(), darkest=60)).toe).max() < 0.1


def test_texture_where_the_light_is_saturated_is_not_taken_for_noise(brief_response):
    """Clouds, leaves and lamps that are white in the light image and have structure in the dark one."""
    truth = camera()
    clouds = 25 * np.random.default_rng(0).random((SIZE // 2, SIZE, 1))

    def overexposed(pair: RealPair) -> RealPair:
        light, dark = pair.light.copy(), pair.dark.copy()
        light[: SIZE // 2] = 255
        dark[: SIZE // 2] = (60 + clouds).astype(np.uint8)
        return replace(pair, light=light, dark=dark)

    fitted = fit_camera([overexposed(pair) for pair in pairs_of(truth)])
    dark = np.tile([10.0, 20.0, 40.0], (3, 1))
    assert np.allclose(fitted.noise_level(dark), truth.noise_level(dark), rtol=0.2)
    assert np.allclose(fitted.correlation, truth.correlation, atol=0.1)


def test_a_part_of_the_scene_that_moved_does_not_decide_the_noise(brief_response):
    """Leaves in the wind: a fifth of every dark image has structure that the light one does not have."""
    truth = camera()
    leaves = 30 * np.random.default_rng(0).random((SIZE, SIZE // 5, 1))

    def windy(pair: RealPair) -> RealPair:
        dark = pair.dark.astype(float)
        dark[:, : SIZE // 5] += leaves
        return replace(pair, dark=dark.clip(0, 255).astype(np.uint8))

    fitted = fit_camera([windy(pair) for pair in pairs_of(truth)])
    dark = np.tile([10.0, 20.0, 40.0], (3, 1))
    assert np.allclose(fitted.noise_level(dark), truth.noise_level(dark), rtol=0.3)
    assert np.allclose(fitted.correlation, truth.correlation, atol=0.15)


def test_fit_finds_spatially_correlated_noise(brief_response):
    truth = camera(spatial=np.array([0.3, 0.5]))
    fitted = fit_camera(pairs_of(truth))
    # By three taps, or by long filters where these come nearer.
    power = [response(with_filters(model).filters) ** 2 for model in (truth, fitted)]
    assert np.abs(power[1] - power[0]).max() < 0.5


def test_fit_finds_noise_that_is_correlated_far_and_noise_of_columns(brief_response):
    """A phone: chroma is smoothed over many pixels, luma over few. What neighbours show is not enough."""
    reach = np.array([[[0.6]], [[2.0]]])
    filters = np.tile(np.exp(-((np.arange(9) / reach) ** 2) / 2), (1, 2, 1))
    strength = {"log_sigma": np.full((3, 12), np.log(4.0)), "correlation": np.eye(3)}
    truth = camera(filters=filters, banding=np.array([[0.0, 0.05], [0.0, 0.0]]), **strength)
    fitted = fit_camera(pairs_of(truth))
    power = response(unit_taps(filters)) ** 2
    assert np.abs(response(fitted.filters) ** 2 - power).max((1, 2))[1] < 0.35 * power[1].max()
    assert 0.02 < fitted.banding[0, 1] < 0.1
    assert not fitted.banding[[0, 1, 1], [0, 0, 1]].any()
    assert not fitted.spatial.any()
    saved = fitted.noise_level(np.full((3, 1), 20.0))
    assert np.allclose(saved, 4.0, rtol=0.15)


def test_fit_finds_a_colour_cast_and_shrinks_it(known_noise):
    cast = np.array([0.1, 0.0, -0.1])
    fitted = fit_camera(pairs_of(camera(balance=cast)))
    assert np.allclose(fitted.balance, scene_fit.camera_cast(np.stack([cast] * 3)), atol=0.01)
    assert 0.03 < fitted.balance[0] < 0.06


def test_the_spreads_are_those_between_the_pairs_and_of_other_cameras(known_noise):
    """Three scenes that differ in exposure, white balance and noise, and one, which tells nothing of that."""
    exposures = (0.5, 1.0, 2.0)
    fitted = fit_camera(pairs_of(camera(), exposures))
    squares = np.var(np.log(exposures)) * 3
    expected = np.sqrt((scene_fit.EXPOSURE**2 + squares) / 3)
    assert fitted.exposure_spread == pytest.approx(expected, abs=0.05)
    alone = fit_camera(pairs_of(camera(), (1.0,)))
    assert alone.exposure_spread == scene_fit.EXPOSURE
    between = scene_fit.WARMTH, scene_fit.TINT
    added = scene_fit.ADDED_WARMTH, scene_fit.ADDED_TINT
    assert alone.balance_spread == pytest.approx(np.hypot(between, added), abs=1e-6)
    assert np.allclose(alone.balance_spread, 2 * np.array(between), rtol=0.05)  # as it was chosen
    assert alone.noise_spread == scene_fit.LEVEL
    scenes = [
        pairs_of(camera(balance=np.array([cast, 0.0, -cast]), log_sigma=camera().log_sigma + level))[index]
        for index, (cast, level) in enumerate(((-0.4, -0.4), (0.0, 0.0), (0.4, 0.4)))
    ]
    differing = fit_camera(scenes)
    shown = np.sqrt(np.square([differing.balance_spread, fitted.balance_spread]) - np.square(added))
    assert shown[0, 0] > 1.8 * shown[1, 0]
    assert shown[0, 1] < 1.5 * shown[1, 1]
    assert differing.noise_spread > 1.5 * fitted.noise_spread


def test_the_same_pairs_and_seed_give_the_same_model():
    one, two = plain(), fit_camera(pairs_of(camera()))
    assert np.array_equal(one.log_sigma, two.log_sigma)
    assert np.array_equal(one.log_slopes, two.log_slopes)


def test_a_camera_that_stores_jpegs_is_fitted_as_one(brief_response):
    """Compression removes much of the noise; the rest must have the statistics of the real images."""
    truth = camera(jpeg_quality=85)
    pairs = [replace(pair, jpeg_quality=85) for pair in pairs_of(truth)]
    light = light_image(9)
    flat, bins = noise.noise_area(light.astype(np.float32)), noise.intensity_bin(light.mean(2))

    def measured(model):
        return noise.noise_statistics(model.dim(light, draw()).astype(np.float32), flat, bins)

    fitted = fit_camera(pairs)
    real, synthetic = measured(truth), measured(fitted)
    assert fitted.jpeg_quality == 85
    assert abs(synthetic.luma / real.luma - 1) < 0.1
    assert abs(synthetic.chroma / real.chroma - 1) < 0.1


def test_black_pairs_are_refused():
    light = light_image(0)
    with pytest.raises(DimmagenError, match="too few grey levels"):
        fit_camera([RealPair("1", np.zeros_like(light), light, "", "")])


@pytest.mark.parametrize("seed", [-1, 2**36])
def test_a_seed_that_no_fit_can_use_is_refused_before_the_fit(seed):
    with pytest.raises(UsageError, match="give a number from 0 to 2"):
        fit_models([], seed)


@pytest.mark.parametrize("by_luma", [False, True])
def test_the_fit_finds_whether_noise_depends_on_each_channel_or_on_luma(by_luma, brief_response):
    steep = np.log([[1.0], [1.0], [1.0]]) + np.linspace(0.0, 1.4, 12)
    truth = camera(log_sigma=steep, noise_by_luma=by_luma)
    fitted = fit_camera(pairs_of(truth))
    assert fitted.noise_by_luma is by_luma
    dark = np.tile([10.0, 20.0, 40.0], (3, 1))
    assert np.allclose(fitted.noise_level(dark), truth.noise_level(dark), rtol=0.12)
