"""Clipped highlights: how they are coded on every device, how bright they become, and what the fit finds."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, uniform_filter

from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.camera import fit, highlights_fit, response_fit
from dimmagen.dimmers.camera.highlights import (
    CLIPPED,
    LEAST_RISE,
    code_levels,
    code_rises,
    encode_light,
    encode_light_of_tensors,
)
from dimmagen.dimmers.camera.model import CameraModel
from dimmagen.dimmers.camera.response import KNOTS
from dimmagen.dimmers.camera.response_fit import PairResponses
from dimmagen.dimmers.real_pairs import RealPair
from tests.cameras import camera, structured
from tests.dimmers.camera.fit_steps import a_tile, responses_of


def a_draw(**changes) -> Draw:
    return Draw(**{"gamma": 1.0, "tau": 1.0, "exposure": 1.0, "noise_seed": 1, **changes})


def scene(size=(120, 140), seed: int = 0) -> np.ndarray:
    """Smooth light of which a sixth is clipped, in one channel or in more: uint8 (H, W, 3)."""
    smooth = np.random.default_rng(seed).standard_normal((*size, 3))
    if min(size) > 10:
        smooth = gaussian_filter(smooth, (8, 8, 0)) + 2 * gaussian_filter(smooth, (8, 8, 1))
    return (128 + 130 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)


def test_codes_are_rising_light_levels_and_then_steps_above_white():
    levels, rises = code_levels(), code_rises()
    assert levels.shape == rises.shape == (256,)
    assert (np.diff(levels[:240]) > 0).all()
    assert levels[[0, 13, 14, 239]].tolist() == [0.5, 26.5, 28.0, 253.0]
    assert (levels[240:] == 255).all()
    assert (rises[:241] == 0).all()
    assert rises[241:] == pytest.approx(np.linspace(LEAST_RISE, 1.0, 15))


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (37, 52), (120, 140)])
def test_light_is_coded_by_its_level_and_clipped_light_by_what_is_clipped_around_it(size):
    lights = np.stack([scene(size, seed) for seed in range(2)])
    filtered = np.random.default_rng(3).integers(0, 256, lights.shape, np.uint8)
    found = [encode_light(*images) for images in zip(lights, filtered, strict=True)]
    side = 2 * max(1, min(size) // 16) + 1
    for light, level, codes in zip(lights, filtered, found, strict=True):
        clipped = light >= CLIPPED
        share = uniform_filter(clipped.mean(2), side, mode="nearest")
        step = np.floor((share - 0.4) / 0.6 * 14 + 0.5 + 1e-9).clip(0, 14)
        step = np.where(clipped.all(2), 1 + step, 0)  # others are white
        assert np.array_equal(codes[clipped], np.broadcast_to(240 + step[..., None], light.shape)[clipped])
        assert (np.abs(code_levels()[codes] - np.minimum(level, 253.0))[~clipped] <= 0.5).all()
    tensors = (torch.from_numpy(images).permute(0, 3, 1, 2) for images in (lights, filtered))
    assert np.array_equal(encode_light_of_tensors(*tensors).permute(0, 2, 3, 1).numpy(), np.stack(found))


def test_light_is_clipped_from_level_254_on():
    light = np.full((9, 9, 3), 253, np.uint8)
    assert (encode_light(light, light) == 239).all()
    light[4, 4, 1] = CLIPPED
    assert encode_light(light, light)[4, 4].tolist() == [239, 240, 239]


def test_an_empty_image_stays_empty():
    for size in ((0, 5, 3), (5, 0, 3)):
        assert encode_light(*[np.zeros(size, np.uint8)] * 2).shape == size
    assert encode_light_of_tensors(*[torch.zeros((2, 3, 0, 5), dtype=torch.uint8)] * 2).shape == (2, 3, 0, 5)


def test_a_white_area_is_brighter_in_its_middle_and_what_is_not_clipped_stays_as_it_is():
    light = np.full((120, 140, 3), 90, np.uint8)
    light[:, 60:] = 255
    model = camera(headroom=1.4)
    quiet = a_draw(tau=0.0)
    dark, plain = model.dim(light, quiet), camera().dim(light, quiet)
    assert np.array_equal(dark[:, :60], plain[:, :60])
    row = dark[60, 60:].astype(float)
    assert (np.diff(row, axis=0) >= 0).all()
    white = model.curve.log_light(255.0) + model.light_shifts(np.ones(1))[0]
    for level, rise in ((row[0], LEAST_RISE + 0.6 * 3 / 14), (row[-1], 1.0)):  # 8 of 15 columns are white
        assert level == pytest.approx(model.curve.level(white + 1.4 * rise), abs=0.6)
    assert row[-1].min() > 1.2 * plain[60, -1].max()
    without = model.switched_off("highlights")
    assert without.settings() == {"without": "highlights"}
    assert np.array_equal(without.dim(light, quiet), plain)
    factor = ("response", "toe")
    assert np.array_equal(
        model.switched_off(*factor).dim(light, quiet), camera().switched_off(*factor).dim(light, quiet)
    )


def test_a_pixel_with_channels_that_are_not_clipped_is_white_in_the_others_and_no_brighter():
    light = np.full((40, 60, 3), 90, np.uint8)
    light[:, 20:, 0] = 255
    light[:, 40:, 1] = CLIPPED
    quiet = a_draw(tau=0.0)
    dark, plain = (camera(headroom=rise).dim(light, quiet) for rise in (1.4, 0.0))
    assert np.abs(dark.astype(int) - plain).max() <= 1  # levels 254 and 255 are one


def test_the_darkest_levels_of_which_two_share_a_code_stay_as_dark_as_they_were():
    ramp = np.arange(40, dtype=np.uint8)[:, None, None].repeat(3, axis=2)
    strong = {"toe": np.array([4.0, -20.0, 0.0]), "log_exposure": -0.6}
    dark, plain = (camera(**strong, headroom=rise).dim(ramp, a_draw(tau=0.0)) for rise in (1.4, 0.0))
    assert np.abs(dark[:28].astype(int) - plain[:28]).max() <= 1
    assert np.array_equal(dark[28:], plain[28:])


@pytest.mark.parametrize("model", [camera(headroom=1.4, fine_chroma=0.4), structured(headroom=2.0)])
def test_highlights_are_the_same_on_tensors(model: CameraModel):
    lights = np.stack([scene(seed=seed) for seed in range(2)])
    draws = [a_draw(gamma=gamma, noise_seed=seed) for gamma, seed in ((0.5, 3), (2.0, 2**63 - 1))]
    dark = model.expose_tensors(torch.from_numpy(lights).permute(0, 3, 1, 2), draws)
    wanted = [model.expose(light, one) for light, one in zip(lights, draws, strict=True)]
    assert np.array_equal(dark.permute(0, 2, 3, 1).numpy(), np.stack(wanted))
    assert not np.array_equal(wanted[1], model.switched_off("highlights").expose(lights[1], draws[1]))


def pairs_with(headroom: float, white: int = 50) -> tuple[list[RealPair], PairResponses]:
    """Three pairs, of which the first two are clipped in a stripe, and how they responded."""
    shots = np.log([0.8, 1.0, 1.25])
    slopes = np.log(np.linspace(1.8, 2.4, KNOTS))
    model = camera(log_slopes=slopes, log_exposure=-2.5, toe=np.zeros(3), headroom=headroom)
    exposures = model.log_exposure + shots
    pairs = []
    for index, exposure in enumerate(exposures):
        light = np.minimum(scene(seed=index), 240)
        if index < 2:
            light[:, :white] = 255
        dark = replace(model, log_exposure=exposure).dim(light, a_draw(tau=0.1))
        pairs.append(RealPair(str(index), dark, light, "", ""))
    return pairs, PairResponses(slopes, exposures, np.tile(model.balance, (3, 1)), np.zeros(3))


@pytest.mark.parametrize(("truth", "found"), [(1.6, (0.9 + 2 * 1.6) / 3), (2.2, (0.9 + 2 * 2.2) / 3)])
def test_the_headroom_is_that_of_the_pairs_pulled_to_what_other_cameras_have(truth, found):
    pairs, responses = pairs_with(truth)
    assert highlights_fit.headroom(pairs, responses) == pytest.approx(found, abs=0.06)


def test_pairs_without_clipped_light_have_the_headroom_of_other_cameras():
    assert highlights_fit.headroom(*pairs_with(2.5, white=0)) == highlights_fit.PRIOR == 0.9


def test_no_headroom_is_invented_for_pairs_that_show_little_of_it():
    assert highlights_fit.headroom(*pairs_with(0.4)) == 0.0


def test_what_is_brighter_than_brackets_can_show_counts_as_much_as_they_can(monkeypatch):
    pairs, responses = pairs_with(2.0)
    dim = replace(responses, log_exposures=responses.log_exposures - 4.0)  # as if all were 4 above white
    assert highlights_fit.headroom(pairs, dim) == pytest.approx((0.9 + 2 * 3.0) / 3, abs=0.06)
    monkeypatch.setattr(highlights_fit, "_MOST", 2000)  # pixels of a pair
    assert highlights_fit.headroom(pairs, responses) == pytest.approx((0.9 + 2 * 2.0) / 3, abs=0.06)


def test_light_above_a_level_has_no_part_in_the_response():
    tile = a_tile()
    light = np.where(np.arange(40)[:, None, None] < 20, 250.0, 90.0) * np.ones((40, 52, 3))
    tile = replace(tile, light=light.astype(np.float32))
    everything = response_fit._level_means([tile], 1)
    below = response_fit._level_means([tile], 1, highlights_fit.BRIGHTEST)
    assert everything.light.max() == 250
    kept = everything.light <= 249
    for name in ("pair", "channel", "light", "dark", "weight"):
        assert np.array_equal(getattr(below, name), getattr(everything, name)[kept])


@pytest.mark.parametrize("above", [0.0, 1.5])
def test_a_fit_leaves_clipped_light_out_of_the_response_where_there_is_headroom(above, monkeypatch):
    """With steps that are only noted."""
    pairs = [RealPair("0", np.full((8, 8, 3), 9, np.uint8), np.full((8, 8, 3), 99, np.uint8), "", "")]
    of_all, of_unclipped = responses_of(1), replace(responses_of(1), toe=np.zeros(3))
    asked = []

    def fit_response(tiles, count, brightest):
        asked.append(brightest)
        return of_all if brightest == 255 else of_unclipped

    monkeypatch.setattr(fit, "fit_response", fit_response)
    monkeypatch.setattr(fit, "fine_chroma", lambda *_: 1.0)
    monkeypatch.setattr(fit, "headroom", lambda *given: above if given == (pairs, of_unclipped) else 9.0)
    monkeypatch.setattr(fit, "fit_noise", lambda model, tiles, responses, seed: replace(model, tau=2.0))
    monkeypatch.setattr(fit, "noise_levels", lambda *_: np.zeros(1))
    found = fit.fit_camera(pairs)
    assert asked == [255, highlights_fit.BRIGHTEST]
    assert found.toe is (of_unclipped if above else of_all).toe
    assert (found.headroom, found.tau) == (above, 2.0)


def test_pairs_of_which_clipped_light_alone_shows_are_fitted_as_they_were(monkeypatch):
    """Of a night so dark that the dark images show lamps and little else."""
    monkeypatch.setattr(fit, "fine_chroma", lambda *_: 1.0)
    monkeypatch.setattr(fit, "fit_noise", lambda model, tiles, responses, seed: model)
    monkeypatch.setattr(fit, "noise_levels", lambda *_: np.zeros(3))
    slopes = np.log(np.linspace(1.8, 2.4, KNOTS))
    model = camera(log_slopes=slopes, log_exposure=-9.7, toe=np.zeros(3), headroom=2.5)
    pairs = []
    for index in range(3):
        light = np.minimum(scene(seed=index), 240)
        light[:, :60] = 255
        pairs.append(RealPair(str(index), model.dim(light, a_draw(tau=0.1)), light, "", ""))
    assert fit.fit_camera(pairs).headroom == 0.0
