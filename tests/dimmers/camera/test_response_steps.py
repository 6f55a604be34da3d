"""Steps of the fit of a camera: tiles, response and scenes, each by its definition on a few numbers."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.ndimage import gaussian_filter
from scipy.optimize._lsq import trf
from scipy.stats import norm

from dimmagen.core.errors import DimmagenError
from dimmagen.dimmers.camera import fit, response_fit, scene_fit
from dimmagen.dimmers.camera.response import ResponseCurve
from dimmagen.dimmers.camera.response_fit import PairResponses
from dimmagen.dimmers.camera.tiles import tiles_of
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.metrics.realism import noise
from tests.cameras import camera
from tests.dimmers.camera.fit_steps import a_tile


def test_a_small_pair_is_one_tile_with_its_flat_parts(random):
    light = random.integers(0, 240, (40, 50, 3), np.uint8)
    light[:20, :30] = 255
    pair = RealPair("x", light // 4, light, "", "")
    [tile] = tiles_of(3, pair)
    assert tile.pair == 3
    assert (tile.dark.dtype, tile.light.dtype) == (np.float32, np.float32)
    assert np.array_equal(tile.light, light)
    assert np.array_equal(tile.dark, light // 4)
    area = noise.noise_area(light.astype(np.float32))
    assert np.array_equal(tile.noise_area, area)
    assert np.array_equal(tile.flat, noise.flat_area(light.mean(2, dtype=np.float32)) | area)
    assert (tile.flat & ~area).any()


def test_tiles_of_a_large_pair_are_spread_over_it(random, monkeypatch):
    for name in ("TILE", "NARROWEST"):
        monkeypatch.setattr(f"dimmagen.dimmers.camera.tiles.{name}", 8)
    image = np.zeros((24, 40, 3), np.uint8)
    image[..., 0], image[..., 1] = np.arange(24)[:, None], np.arange(40)
    image[..., 2] = random.integers(0, 200, (24, 40))
    pair = RealPair("x", image, image, "", "")

    def corners(most):
        return [tuple(map(int, tile.light[0, 0, :2])) for tile in tiles_of(0, pair, most)]

    assert corners(15) == [(0, 0)]  # it has no more pixels than 15 tiles
    assert tiles_of(0, pair, 15)[0].light.shape == (24, 40, 3)
    assert corners(3) == [(0, 0), (8, 16), (16, 32)]
    assert corners(2) == [(0, 0), (16, 32)]
    assert corners(4) == [(0, 0), (8, 0), (8, 32), (16, 32)]
    cut = RealPair("x", image[:23], image[:23], "", "")
    assert [tile.light.shape for tile in tiles_of(0, cut, 2)] == [(8, 8, 3)] * 2
    assert {tile.light.shape for tile in tiles_of(0, pair, 14)} == {(8, 8, 3)}
    low = RealPair("x", image[:4], image[:4], "", "")
    assert [tile.light.shape for tile in tiles_of(0, low, 1)] == [(4, 8, 3)]


@pytest.mark.parametrize(("black", "counts"), [(26, True), (12, False)])
def test_beside_a_black_background_the_flattest_of_what_is_lit_is_measured(black, counts, random):
    light = random.integers(60, 200, (40, 50, 3), np.uint8)
    light[:, :black] = random.integers(0, 8, (40, black, 3))
    light[:4, -4:] = 255
    [tile] = tiles_of(0, RealPair("x", light // 4, light, "", ""))
    lit = np.arange(50) >= np.full((40, 1), black)
    area = noise.noise_area(light.astype(np.float32))
    assert np.array_equal(tile.noise_area, area | noise.noise_area(light.astype(np.float32), lit)) == counts
    assert np.array_equal(tile.noise_area, area) == (not counts)
    assert (tile.noise_area & lit).mean() > 0.1
    assert not tile.noise_area[:8, -8:].any()
    assert (tile.flat & tile.noise_area == tile.noise_area).all()


@pytest.mark.parametrize(("width", "last"), [(1025, 512), (1151, 512), (1152, 128), (2048, 512)])
def test_what_is_left_at_the_right_edge_of_a_large_pair_is_a_tile_if_it_is_wide_enough(width, last):
    image = np.zeros((600, width, 3), np.uint8)
    tiles = tiles_of(0, RealPair("x", image, image, "", ""), 2)
    assert [tile.light.shape for tile in tiles] == [(512, 512, 3), (512, last, 3)]


def of_warmths(*warmths: float) -> np.ndarray:
    return np.array([[warmth, 0.0, -warmth] for warmth in warmths])


def test_the_cast_of_nearly_neutral_pairs_is_their_mean_as_if_four_pairs_had_none():
    """Near the cast, a bivariate t of four degrees of freedom gives a pair the weight 6 / 4."""
    balances = np.array([[0.002, 0.001, -0.003], [0.004, -0.001, -0.003], [0.003, 0.0, -0.003]])
    assert scene_fit.camera_cast(balances) == pytest.approx(balances.mean(0) * 4.5 / 8.5, rel=2e-3, abs=1e-6)


def test_a_few_pairs_that_are_all_red_are_taken_for_red_scenes_and_many_for_a_red_camera():
    """The three pairs of LOL's experiment 5 have these; all 40 of Table 4 have a median of 0.01."""
    three = scene_fit.camera_cast(of_warmths(0.276, 0.276, 0.208))
    assert 0.03 < three[0] < 0.06
    assert three == pytest.approx([three[0], 0.0, -three[0]])
    assert scene_fit.camera_cast(of_warmths(*[0.2] * 30))[0] == pytest.approx(0.2, abs=0.03)


def test_a_scene_under_a_red_lamp_hardly_changes_the_cast_of_the_others():
    others = of_warmths(0.02, 0.03, 0.01, 0.04)
    with_it = np.concatenate([others, [[0.35, 0.02, -0.37]]])
    assert scene_fit.camera_cast(with_it)[0] - scene_fit.camera_cast(others)[0] < 0.006


def test_the_spread_of_exposures_is_that_of_the_levels_and_of_one_pair_by_prior_knowledge():
    curve = ResponseCurve(camera().log_slopes)
    exposures = np.array([-1.0, -2.5, -30.0])
    levels = curve.level(curve.log_light(160.0) + exposures)
    logs = np.log([levels[0], levels[1], 0.5])  # darker than half a level is not told apart
    expected = np.sqrt((0.45**2 + ((logs - logs.mean()) ** 2).sum()) / 3)
    assert scene_fit.exposure_spread(curve, exposures) == pytest.approx(expected, abs=1e-6)
    assert scene_fit.exposure_spread(curve, exposures[:1]) == 0.45


def t_spread(values: np.ndarray, prior: float) -> float:
    """Where the search ends: each value has the weight 5 / (4 + its square over the spread's)."""
    squares = (values - np.median(values)) ** 2

    def excess(spread: float) -> float:
        weighted = (5 / (4 + squares / spread**2) * squares).sum()
        return (8 * prior**2 + weighted) / (8 + len(values) - 1) - spread**2

    low, high = 1e-3, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return low


def test_spreads_of_white_balance_and_level_are_those_of_students_t():
    warmth, tint = np.array([0.3, -0.1, 0.0, 0.05]), np.array([0.02, -0.3, 0.01, 0.0])
    balances = np.stack([warmth - tint / 2, tint, -warmth - tint / 2], 1)
    found = scene_fit.balance_spread(balances)
    wide = np.hypot(t_spread(warmth, 0.055), 0.095), np.hypot(t_spread(tint, 0.033), 0.055)
    assert found == pytest.approx(wide, abs=1e-5)
    assert scene_fit.noise_spread(warmth) == pytest.approx(t_spread(warmth, 0.06), abs=1e-5)
    alone = np.hypot(0.055, 0.095), np.hypot(0.033, 0.055)
    assert scene_fit.balance_spread(balances[:1]) == pytest.approx(alone, abs=1e-6)


def test_the_mean_of_a_dark_level_with_noise_that_is_clipped_at_black():
    for level in (-3.0, 0.0, 0.7, 5.0):
        mean, _ = quad(lambda x, level=level: max(x, 0) * norm.pdf(x, level, 1.2), -12, 20, points=[0.0])
        assert response_fit.clipped_mean(np.array(level)) == pytest.approx(mean, abs=1e-6)


@pytest.mark.parametrize("level", [-2.0, 0.0, 3.0, 9.0, 40.0])
@pytest.mark.parametrize("bend", [-0.6, 0.4])
def test_the_mean_of_a_dark_level_with_strong_and_skewed_noise(level, bend):
    def density(z):
        return max(level + 8 * z + bend * (z * z - 1), 0) * norm.pdf(z)

    mean, _ = quad(density, -9, 9, points=[-level / 8], limit=200)
    assert response_fit.clipped_mean(np.array([level]), 8.0, bend) == pytest.approx(mean, abs=0.03)


def test_level_means_are_those_of_smooth_flat_pixels_and_rare_levels_weigh_less():
    tiles = [
        a_tile(1, seed=1),
        replace(a_tile(1, seed=2), flat=np.arange(52) < np.full((40, 1), 20)),
        a_tile(0),
    ]
    found = response_fit._level_means(tiles, 2)
    sums, counts = np.zeros((2, 3, 256)), np.zeros((2, 3, 256))
    for tile in tiles:
        light, dark = (gaussian_filter(image, (1.5, 1.5, 0)) for image in (tile.light, tile.dark))
        for (y, x), channel in itertools.product(np.argwhere(tile.flat), range(3)):
            where = tile.pair, channel, round(light[y, x, channel])
            sums[where] += dark[y, x, channel]
            counts[where] += 1
    places = np.argwhere(counts)
    assert np.array_equal(np.stack([found.pair, found.channel, found.light], 1), places)
    assert found.dark == pytest.approx((sums[counts > 0] / counts[counts > 0]), rel=1e-5)
    weights = np.minimum(counts[counts > 0] / (1e-3 * counts.sum(2).max()), 1)
    assert found.weight == pytest.approx(weights)


def levels_of(pairs: int):
    """Mean levels of a known camera, and its responses."""
    toe = np.array([2.0, 0.0, -1.0])
    exposures, red = np.linspace(-1.5, -2.5, pairs), np.linspace(0.05, -0.05, pairs)
    balances = np.stack([red, -0.5 * red, -0.5 * red], 1)
    curve = ResponseCurve(np.full(14, np.log(2.0)))
    pair, channel, light = (axis.ravel() for axis in np.mgrid[:pairs, :3, 5:250:7])
    level = curve.level(curve.log_light(light) + exposures[pair] + balances[pair, channel])
    dark = level - toe[channel] * np.exp(-level / 6)
    mean = response_fit.clipped_mean(dark)
    levels = response_fit._Levels(pair, channel, light, mean, np.linspace(0.2, 1.0, len(pair)))
    return levels, PairResponses(curve.log_slopes, exposures, balances, toe)


@pytest.fixture
def minimised(monkeypatch):
    """What the search is given for two pairs of known responses; it finds what it begins with."""
    asked = SimpleNamespace()
    asked.levels, asked.truth = levels_of(2)
    monkeypatch.setattr(
        response_fit, "_level_means", lambda *given: asked.levels if given == (["tile"], 2, 255) else None
    )

    def search(residuals, start, sparsity):
        asked.residuals, asked.sparsity = residuals, sparsity
        return start

    monkeypatch.setattr(response_fit, "_minimised", search)
    asked.found = response_fit.fit_response(["tile"], 2)
    return asked


def packed(responses: PairResponses) -> np.ndarray:
    red, _, blue = responses.balances.T
    return np.concatenate([responses.log_slopes, responses.log_exposures, red, blue, responses.toe])


SRGB = [1.39, 0.73, 0.44, 0.28, 0.18, 0.20, 0.37, 0.50, 0.60, 0.68, 0.74, 0.78, 0.81, 0.83]


def test_the_search_begins_at_the_standard_response_without_casts_and_offsets(minimised):
    found = minimised.found
    assert found.log_slopes == pytest.approx(SRGB, abs=0.005)
    assert found.log_exposures == pytest.approx([-1.5, -2.5], abs=0.7)
    assert not found.toe.any()
    assert not found.balances.any()
    assert found.balances.shape == (2, 3)


def test_the_standard_response_is_the_transfer_function_of_srgb():
    """Its light, integrated from half a level on, is that of the formula."""
    curve = ResponseCurve(response_fit.standard_log_slopes())
    level = np.array([10.0, 40.0, 100.0, 200.0])
    value = (level + 0.5) / 255
    light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    assert np.diff(curve.log_light(level)) == pytest.approx(np.diff(np.log(light)), rel=0.02)


@pytest.mark.parametrize(("misfit", "share"), [(0.06, 0.2), (0.3, 1.0), (0.9, 1.0)])
def test_pairs_that_one_curve_explains_are_pulled_less_to_the_standard_response(
    minimised, monkeypatch, misfit, share
):
    mean, begin, asked = response_fit.clipped_mean, packed(minimised.truth), []

    def search(residuals, *_):
        asked.append(residuals(begin)[len(minimised.levels.light) + 12 :][:14])
        return begin

    monkeypatch.setattr(response_fit, "clipped_mean", lambda *given: mean(*given) + misfit)
    monkeypatch.setattr(response_fit, "_minimised", search)
    response_fit.fit_response(["tile"], 2)
    departure = (np.log(2.0) - response_fit.standard_log_slopes()) * np.array([80.0] * 13 + [4.0])
    assert asked[0] == pytest.approx(0.3 / 80 * departure)
    assert asked[1] == pytest.approx(share * departure)


def test_residuals_are_those_of_the_levels_and_of_what_is_known_of_cameras(minimised):
    truth, levels = minimised.truth, minimised.levels
    count = len(levels.light)
    found = minimised.residuals(packed(truth))
    assert found[:count] == pytest.approx(0, abs=1e-9)
    bend, pull, balance, toe = np.split(found[count:], [12, 26, 32])
    standard = response_fit.standard_log_slopes()
    assert bend == pytest.approx(-60.0 * np.diff(standard, 2))
    assert pull == pytest.approx((truth.log_slopes - standard) * np.array([80.0] * 13 + [4.0]))
    assert balance == pytest.approx(3.0 * truth.balances.ravel())
    assert toe == pytest.approx(3.0 * truth.toe)
    brighter = minimised.residuals(packed(replace(truth, toe=truth.toe - 1)))
    difference = response_fit.clipped_mean  # of a level without the offset and with it
    curve = ResponseCurve(truth.log_slopes)
    level = curve.level(
        curve.log_light(levels.light)
        + (truth.log_exposures[:, None] + truth.balances)[levels.pair, levels.channel]
    )
    offset = truth.toe[levels.channel] * np.exp(-level / 6)
    wanted = difference(level - offset + np.exp(-level / 6)) - difference(level - offset)
    assert brighter[:count] == pytest.approx(np.sqrt(levels.weight) * wanted, abs=1e-9)
    bent = minimised.residuals(packed(replace(truth, log_slopes=truth.log_slopes + np.eye(14)[5])))
    assert bent[count : count + 12] - bend == pytest.approx(60.0 * np.diff(np.eye(14)[5], 2))


def test_the_pattern_of_the_jacobian_has_every_dependence_and_no_other(minimised):
    values = packed(minimised.truth)
    at = minimised.residuals(values)
    changed = [minimised.residuals(values + 1e-3 * one) - at for one in np.eye(len(values))]
    depends, pattern = np.abs(changed).T > 1e-12, minimised.sparsity.toarray() > 0
    assert pattern.shape == depends.shape
    assert not (depends & ~pattern).any()
    count = len(minimised.levels.light)
    assert (pattern[:count].sum(1) == 14 + 4).all()  # the curve, the exposure, red, blue and the offset
    assert pattern[count:].sum() == 12 * 3 + 14 + 6 * 2 + 3


def test_a_search_that_was_stopped_goes_on_while_the_cost_falls(monkeypatch):
    costs, asked = iter([100.0, 90.0, 80.0, 79.5, 1.0]), []

    def least_squares(residuals, begin, **options):
        assert (options["tr_solver"], options["loss"]) == ("lsmr", "soft_l1")
        asked.append((residuals, begin, options["max_nfev"], options["jac_sparsity"]))
        return SimpleNamespace(x=begin + 1, status=0, cost=next(costs))

    monkeypatch.setattr(response_fit, "least_squares", least_squares)
    found = response_fit._minimised(len, np.array([0.0]), "pattern")
    assert found.tolist() == [3.0]  # the last one helped by less than 1 %
    assert asked == [(len, number, 60 if number == 0 else 20, "pattern") for number in range(4)]
    monkeypatch.setattr(
        response_fit, "least_squares", lambda *_, **__: SimpleNamespace(x=[5.0], status=1, cost=1.0)
    )
    assert response_fit._minimised(len, np.array([0.0]), "pattern").tolist() == [5.0]


@pytest.mark.parametrize(("levels", "darkest"), [(41, 30.0), (42, 1.9)])
def test_too_few_levels_and_black_images_are_refused(levels, darkest, monkeypatch):
    found = response_fit._Levels(*[np.zeros(levels, int)] * 3, np.full(levels, darkest), np.ones(levels))
    monkeypatch.setattr(response_fit, "_level_means", lambda *_: found)
    with pytest.raises(DimmagenError, match="too few grey levels") as error:
        response_fit.fit_response([], 1)
    assert error.value.code == "unsuitable-pairs"
    monkeypatch.setattr(response_fit, "_minimised", lambda residuals, start, sparsity: start)
    enough = response_fit._Levels(*[np.zeros(42, int)] * 3, np.full(42, 2.0), np.ones(42))
    monkeypatch.setattr(response_fit, "_level_means", lambda *_: enough)
    response_fit.fit_response([], 1)


def test_a_camera_stores_jpegs_if_all_dark_images_are_such():
    def quality(*qualities):
        return fit._common_quality([SimpleNamespace(jpeg_quality=one) for one in qualities])

    assert (quality(90, 70, 80), quality(70, 90), quality(85)) == (80, 90, 85)
    assert (quality(90, 0, 80), quality(0)) == (0, 0)


def test_a_step_of_the_search_takes_no_more_iterations_for_many_pairs(monkeypatch):
    """Each takes as long as the pairs are many, so that together they would take the square of that."""
    counts, solve = [], trf.lsmr

    def counted(*args, **options):
        found = solve(*args, **options)
        counts.append(found[2])
        return found

    monkeypatch.setattr(trf, "lsmr", counted)
    tiles = [a_tile(pair, (24, 24), seed=pair) for pair in range(20)]
    tiles = [replace(one, dark=one.light * 0.1 * (1 + one.pair % 7)) for one in tiles]
    response_fit.fit_response(tiles, len(tiles))
    assert max(counts) == 50 < 14 + 3 * len(tiles) + 3  # the unknowns
