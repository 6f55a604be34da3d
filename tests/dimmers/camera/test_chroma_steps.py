"""Steps of the fit of a camera: the light image's fine chroma, each by its definition on a few numbers."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dimmagen.dimmers.camera import chroma_fit, fit, scene_fit
from dimmagen.dimmers.camera.model import OPPONENT
from dimmagen.dimmers.camera.response import ResponseCurve
from dimmagen.dimmers.real_pairs import RealPair
from tests.cameras import camera
from tests.dimmers.camera.fit_steps import a_tile, responses_of


def test_bands_are_differences_of_blurs_in_luma_and_two_chroma_axes(random):
    image = random.random((20, 24, 3))
    fine, coarse = chroma_fit._bands(image)
    one, two, three = (gaussian_filter(image, (sigma, sigma, 0)) for sigma in (0.7, 1.4, 2.8))
    assert fine == pytest.approx((image - one) @ OPPONENT.T)
    assert coarse == pytest.approx((two - three) @ OPPONENT.T)


def test_what_is_expected_of_a_pair_is_the_response_to_its_light():
    tile, responses, model = a_tile(1), responses_of(), camera()
    found = chroma_fit._expected(model, tile, responses)
    curve = model.curve
    shift = responses.log_exposures[1] + responses.balances[1]
    assert found == pytest.approx(curve.level(curve.log_light(tile.light) + shift))


@pytest.mark.parametrize(
    ("slopes", "share"),
    [
        ([(0.2, 1.0), (0.3, 1.0), (0.9, 1.0)], 0.3),
        ([(0.2, 0.5)], 0.4),
        ([(0.12345, 1.0)], 0.123),
        ([(0.5, 1.0)], 0.5),
        ([(0.51, 1.0)], 1.0),
        ([(0.03, 0.01)], 0.3),
        ([(-0.5, 1.0)], 0.0),
        ([], 1.0),
    ],
)
def test_the_share_is_the_median_slope_of_chroma_on_that_of_luma(slopes, share, monkeypatch):
    given = camera(), [], responses_of()
    monkeypatch.setattr(
        chroma_fit, "_slopes", lambda *asked: iter(slopes if asked == given else [(9.0, 9.0)])
    )
    assert chroma_fit.fine_chroma(*given) == share


def test_slopes_are_those_of_textured_pixels_that_are_not_clipped(random):
    model, responses, light = camera(), responses_of(), a_tile(size=(128, 128)).light
    light[:40, :40] = random.choice([5, 250], (40, 40, 3))
    light[50:70, :30] = random.choice([3, 248], (20, 30, 3))
    expected = chroma_fit._expected(model, a_tile(1), responses)  # of the type that a tile has
    tile = replace(a_tile(1, (128, 128)), light=light)
    expected = chroma_fit._expected(model, tile, responses)
    dark = (expected @ OPPONENT.T * [0.8, 0.3, 0.2]) @ OPPONENT  # of luma and of two chroma axes
    dark[:40, :40] = 255 * random.random((40, 40, 3))
    dark[50:70, :30] = 255 * random.random((20, 30, 3))
    [(chroma, coarse)] = chroma_fit._slopes(model, [replace(tile, dark=dark)], responses)
    (fine, wide), (real_fine, real_wide) = chroma_fit._bands(expected), chroma_fit._bands(dark)
    power = gaussian_filter(fine[..., 0] ** 2, 4.0)
    chosen = (light.max(2) < 250) & (light.min(2) > 3) & (power >= np.quantile(power, 0.7))
    slopes = [(fine[chosen, a] * real_fine[chosen, a]).sum() / (fine[chosen, a] ** 2).sum() for a in (1, 2)]
    assert chroma == pytest.approx(np.mean(slopes))
    assert coarse == pytest.approx(
        (wide[chosen, 0] * real_wide[chosen, 0]).sum() / (wide[chosen, 0] ** 2).sum()
    )
    assert list(chroma_fit._slopes(model, [a_tile(1, (30, 30))], responses)) == []  # fewer than 1000 pixels
    grey = replace(tile, light=np.full_like(light, 90.0))
    assert list(chroma_fit._slopes(model, [grey], responses)) == []  # without texture


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_a_fit_takes_fine_chroma_from_the_light_first_and_then_fits_the_response_again(share, monkeypatch):
    """With steps that are only noted."""
    calls, responses = [], responses_of()
    pairs = [
        RealPair(
            str(n),
            np.full((8, 8, 3), n + 9, np.uint8),
            a_tile(seed=n).light[:8, :8].astype(np.uint8),
            "",
            "",
            80 + n,
        )
        for n in range(2)
    ]

    def fit_response(tiles, count, brightest):
        assert brightest == 255
        calls.append(("response", [tile.light for tile in tiles], count))
        return responses

    def fit_noise(model, tiles, given, seed):
        calls.append(("noise", model, given, seed))
        assert [tile.light.tolist() for tile in tiles] == [light.tolist() for light in calls[-2][1]]
        return replace(model, tau=2.0)

    monkeypatch.setattr(fit, "fit_response", fit_response)
    monkeypatch.setattr(fit, "_fit_unclipped", lambda *_: None)

    def fine_chroma(model, tiles, given):
        assert (model.toe is given.toe, given is responses) == (True, True)
        assert [tile.light.tolist() for tile in tiles] == [pair.light.tolist() for pair in pairs]
        return share

    def noise_levels(model, tiles, given, seed):
        assert given is responses
        assert [tile.light.tolist() for tile in tiles] == [light.tolist() for light in calls[-2][1]]
        return np.array([model.tau, seed, 0.5])

    monkeypatch.setattr(fit, "fine_chroma", fine_chroma)
    monkeypatch.setattr(fit, "fit_noise", fit_noise)
    monkeypatch.setattr(fit, "noise_levels", noise_levels)
    found = fit.fit_camera(pairs, 3)
    lights = [pair.light for pair in pairs]
    if share < 1:
        lights = [fit.suppress_fine_chroma(light, share) for light in lights]
        assert not np.array_equal(lights[0], pairs[0].light)
    assert [name for name, *_ in calls] == ["response", *["response"] * (share < 1), "noise"]
    _, used, count = calls[-2]
    assert count == 2
    assert all(np.array_equal(one, other) for one, other in zip(used, lights, strict=True))
    model, given, seed = calls[-1][1:]
    assert (given, seed) == (responses, 3)
    assert (model.log_exposure, model.tail, model.jpeg_quality) == (-1.5, 0.0, 81)
    assert np.array_equal(model.log_slopes, responses.log_slopes)
    assert np.array_equal(model.toe, responses.toe)
    assert np.array_equal(model.balance, scene_fit.camera_cast(responses.balances))
    assert (model.log_sigma.tolist(), model.spatial.tolist()) == (np.zeros((3, 12)).tolist(), [0.0, 0.0])
    assert np.array_equal(model.correlation, np.eye(3))
    assert model.balance_spread == scene_fit.balance_spread(responses.balances)
    curve = ResponseCurve(responses.log_slopes)
    assert model.exposure_spread == scene_fit.exposure_spread(curve, responses.log_exposures)
    assert found.noise_spread == scene_fit.noise_spread(np.array([2.0, 3, 0.5]))
    assert (found.fine_chroma, found.tau) == (share, 2.0)
    asked, tiles_of_pair = [], fit.tiles_of
    monkeypatch.setattr(fit, "tiles_of", lambda *given: asked.append(given[::2]) or tiles_of_pair(*given))
    monkeypatch.setattr(fit, "fine_chroma", lambda *_: 1.0)
    fit.fit_camera(pairs, tiles_per_pair=4)
    fit.fit_camera(pairs)
    assert asked == [(0, 4), (1, 4), (0, fit.TILES_PER_PAIR), (1, fit.TILES_PER_PAIR)]
    assert calls[-1][3] == 0
