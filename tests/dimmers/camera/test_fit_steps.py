"""The steps of the fit of a camera, each by its definition on a few numbers."""

import itertools
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.ndimage import gaussian_filter
from scipy.stats import norm

from dimmagen.core.errors import DimmagenError
from dimmagen.dimmers.camera import chroma_fit, fit, noise_fit, response_fit, scene_fit, structure_fit
from dimmagen.dimmers.camera.model import OPPONENT
from dimmagen.dimmers.camera.noise_fit import _MeasuredNoise
from dimmagen.dimmers.camera.response import ResponseCurve, level_axis, sigma_axis
from dimmagen.dimmers.camera.response_fit import PairResponses
from dimmagen.dimmers.camera.structure import (
    FREQUENCIES,
    response,
    spectrum,
    structure_of,
    taps_of,
    unit_taps,
)
from dimmagen.dimmers.camera.structure_fit import MeasuredStructure
from dimmagen.dimmers.camera.tiles import Tile, tiles_of
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.metrics.realism import noise
from tests.cameras import camera, long_filters

RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _seeded(monkeypatch):
    """A test's numbers do not depend on the tests before it."""
    monkeypatch.setattr(sys.modules[__name__], "RANDOM", np.random.default_rng(0))


def a_tile(pair: int = 0, size=(40, 52), area=None, seed: int = 0) -> Tile:
    """Random images, which are flat everywhere and whose noise is measured in an area."""
    random = np.random.default_rng(seed)
    light, dark = (random.integers(4, top, (*size, 3)).astype(np.float32) for top in (250, 60))
    everywhere = np.ones(size, bool)
    return Tile(pair, dark, light, everywhere, everywhere if area is None else area)


# --- tiles --------------------------------------------------------------------------------------------


def test_a_small_pair_is_one_tile_with_its_flat_parts():
    light = RANDOM.integers(0, 240, (40, 50, 3), np.uint8)
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


def test_tiles_of_a_large_pair_are_spread_over_it(monkeypatch):
    monkeypatch.setattr("dimmagen.dimmers.camera.tiles.TILE", 8)
    image = np.zeros((24, 40, 3), np.uint8)
    image[..., 0], image[..., 1] = np.arange(24)[:, None], np.arange(40)
    image[..., 2] = RANDOM.integers(0, 200, (24, 40))
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


# --- scenes -------------------------------------------------------------------------------------------


def test_a_cast_counts_as_if_four_pairs_had_none():
    balances = np.array([[0.2, 0.1, -0.3], [0.4, -0.1, -0.3]])
    assert scene_fit.camera_cast(balances) == pytest.approx(np.array([0.6, 0.0, -0.6]) / 6)


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


# --- response -----------------------------------------------------------------------------------------


def test_the_mean_of_a_dark_level_with_noise_that_is_clipped_at_black():
    for level in (-3.0, 0.0, 0.7, 5.0):
        mean, _ = quad(lambda x, level=level: max(x, 0) * norm.pdf(x, level, 1.2), -12, 20, points=[0.0])
        assert response_fit._clipped_mean(np.array(level)) == pytest.approx(mean, abs=1e-6)


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
    mean = response_fit._clipped_mean(dark)
    levels = response_fit._Levels(pair, channel, light, mean, np.linspace(0.2, 1.0, len(pair)))
    return levels, PairResponses(curve.log_slopes, exposures, balances, toe)


@pytest.fixture
def minimised(monkeypatch):
    """What the search is given for two pairs of known responses; it finds what it begins with."""
    asked = SimpleNamespace()
    asked.levels, asked.truth = levels_of(2)
    monkeypatch.setattr(
        response_fit, "_level_means", lambda *given: asked.levels if given == (["tile"], 2) else None
    )

    def search(residuals, start, sparsity):
        asked.residuals, asked.start, asked.sparsity = residuals, start, sparsity
        return start

    monkeypatch.setattr(response_fit, "_minimised", search)
    asked.found = response_fit.fit_response(["tile"], 2)
    return asked


def packed(responses: PairResponses) -> np.ndarray:
    red, _, blue = responses.balances.T
    return np.concatenate([responses.log_slopes, responses.log_exposures, red, blue, responses.toe])


def test_the_search_begins_at_a_display_gamma_without_casts_and_offsets(minimised):
    found = minimised.found
    assert found.log_slopes == pytest.approx([np.log(2.2)] * 14)
    assert (found.log_exposures.tolist(), found.toe.tolist()) == ([-3.0, -3.0], [0.0, 0.0, 0.0])
    assert not found.balances.any()
    assert found.balances.shape == (2, 3)


def test_residuals_are_those_of_the_levels_and_of_what_is_known_of_cameras(minimised):
    truth, levels = minimised.truth, minimised.levels
    count = len(levels.light)
    found = minimised.residuals(packed(truth))
    assert found[:count] == pytest.approx(0, abs=1e-9)
    bend, pull, balance, toe = np.split(found[count:], [12, 26, 32])
    assert bend == pytest.approx(0, abs=1e-9)
    assert pull == pytest.approx([0.3 * np.log(2.0 / 2.2)] * 14)
    assert balance == pytest.approx(3.0 * truth.balances.ravel())
    assert toe == pytest.approx(3.0 * truth.toe)
    brighter = minimised.residuals(packed(replace(truth, toe=truth.toe - 1)))
    difference = response_fit._clipped_mean  # of a level without the offset and with it
    curve = ResponseCurve(truth.log_slopes)
    level = curve.level(
        curve.log_light(levels.light)
        + (truth.log_exposures[:, None] + truth.balances)[levels.pair, levels.channel]
    )
    offset = truth.toe[levels.channel] * np.exp(-level / 6)
    wanted = difference(level - offset + np.exp(-level / 6)) - difference(level - offset)
    assert brighter[:count] == pytest.approx(np.sqrt(levels.weight) * wanted, abs=1e-9)
    bent = minimised.residuals(packed(replace(truth, log_slopes=truth.log_slopes + np.eye(14)[5])))
    assert bent[count : count + 12] == pytest.approx(30.0 * np.diff(np.eye(14)[5], 2))


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
    monkeypatch.setattr(response_fit, "_level_means", lambda tiles, pairs: found)
    with pytest.raises(DimmagenError, match="too few grey levels") as error:
        response_fit.fit_response([], 1)
    assert error.value.code == "unsuitable-pairs"
    monkeypatch.setattr(response_fit, "_minimised", lambda residuals, start, sparsity: start)
    enough = response_fit._Levels(*[np.zeros(42, int)] * 3, np.full(42, 2.0), np.ones(42))
    monkeypatch.setattr(response_fit, "_level_means", lambda tiles, pairs: enough)
    response_fit.fit_response([], 1)


def test_a_camera_stores_jpegs_if_all_dark_images_are_such():
    def quality(*qualities):
        return fit._common_quality([SimpleNamespace(jpeg_quality=one) for one in qualities])

    assert (quality(90, 70, 80), quality(70, 90), quality(85)) == (80, 90, 85)
    assert (quality(90, 0, 80), quality(0)) == (0, 0)


# --- noise --------------------------------------------------------------------------------------------


def test_a_weighted_median_has_half_of_the_weight_below_it():
    median = noise_fit._weighted_median
    values, weights = np.array([3.0, 1.0, 2.0, 9.0]), np.array([1.0, 1.0, 1.0, 5.0])
    assert median(values, weights) == 9.0
    assert median(values, np.array([1.0, 2.0, 1.0, 0.5])) == 2.0
    assert median(values[:3], np.ones(3)) == 2.0
    assert median(values[:2], np.ones(2)) == 1.0
    assert median(values[:0], np.ones(0)) == 0.0


def test_tails_between_those_that_were_simulated_are_found_by_their_kurtosis():
    simulated = [3.0, 3.2, 3.6, 4.5, 6.0]  # of 0, 30, 12, 7 and 5 degrees of freedom
    for tail, kurtosis in (
        (30.0, 3.2),
        (12.0, 3.6),
        (7.0, 4.5),
        (5.0, 6.0),
        (5.0, 99.0),
        (0.0, 3.0),
        (0.0, 1.0),
    ):
        assert noise_fit._tail(kurtosis, simulated) == tail
    assert noise_fit._tail(3.4, simulated) == round(2 / (1 / 30 + 1 / 12), 1)
    assert noise_fit._tail(3.07, simulated) == round(1 / (0.35 / 30), 1)
    assert noise_fit._tail(3.05, simulated) == 0.0  # more than 100 degrees
    assert noise_fit._tail(4.5, [3.0, 3.2, 3.6, 3.5, 6.0]) < 7.0  # by the largest so far


def test_the_nearest_correlation_is_valid_and_that_of_a_valid_one_is_itself():
    valid = np.array([[1.0, 0.3, -0.4], [0.3, 1.0, 0.2], [-0.4, 0.2, 1.0]])
    assert noise_fit._nearest_correlation(valid) == pytest.approx(valid)
    impossible = np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]])
    found = noise_fit._nearest_correlation(impossible)
    assert np.diag(found) == pytest.approx(1)
    assert np.linalg.eigvalsh(found).min() > 1e-4
    values, vectors = np.linalg.eigh(impossible)
    near = vectors @ np.diag(np.maximum(values, 1e-3)) @ vectors.T
    assert found == pytest.approx(near / np.sqrt(np.outer(np.diag(near), np.diag(near))))
    lopsided = valid + np.array([[0, 0.1, 0], [-0.1, 0, 0], [0, 0, 0]])
    assert noise_fit._nearest_correlation(lopsided) == pytest.approx(valid)


def test_blocks_are_numbered_row_by_row():
    numbers = noise_fit._block_numbers(33, 33)
    assert numbers.shape == (33, 33)
    assert (numbers[15, 15], numbers[15, 16], numbers[16, 15], numbers[32, 32]) == (0, 1, 3, 8)


def test_cells_are_the_pixels_of_a_block_near_a_knot():
    area = RANDOM.random((20, 36)) < 0.8
    residual = RANDOM.normal(0, 3, (20, 36, 3)).astype(np.float32)
    knots = RANDOM.integers(4, 7, (3, int(area.sum())))
    expected = []
    for channel in range(3):
        cells: dict[tuple[int, int], list[float]] = {}
        for (y, x), knot in zip(np.argwhere(area), knots[channel], strict=True):
            cells.setdefault((y // 16 * 3 + x // 16, knot), []).append(float(residual[y, x, channel]))
        for (_, knot), values in sorted(cells.items()):
            if len(values) >= 24:
                second, third = (np.mean(np.power(values, moment)) for moment in (2, 3))
                expected.append((channel, knot, second, third / (second + 1e-3) ** 1.5, len(values)))
    assert noise_fit._cells(residual, area, knots) == pytest.approx(np.array(expected))
    assert len(expected) > 10


def test_statistics_of_a_block_are_those_of_its_pixels_in_the_area():
    area = RANDOM.random((20, 36)) < 0.6
    area[16:, 30:], area[:16, 16:32] = False, False  # nothing of the last block
    area[:8, 16:24] = True  # 64 pixels of the second one
    residual = RANDOM.normal(0, 3, (20, 36, 3))
    residual[..., 1] += residual[..., 0]
    blocks = noise_fit._block_numbers(20, 36)
    expected = []
    for block in range(6):
        own = area & (blocks == block)
        if own.sum() < 64:
            continue
        pixels = residual[own]
        products = pixels.T @ pixels
        deviation = np.sqrt(np.diag(products))
        luma = residual.mean(2, keepdims=True)
        lags, kurtoses = [], []
        for part in (luma, residual - luma):
            power = (part[own] ** 2).sum() / own.sum()
            kurtoses.append(part.shape[2] * (part[own] ** 4).sum() / own.sum() / power**2)
            lag = 0.0
            for dy, dx in ((0, 1), (1, 0)):
                ends = [
                    (y, x) for y, x in np.argwhere(own) if min(y - dy, x - dx) >= 0 and area[y - dy, x - dx]
                ]
                lag += np.mean([(part[y, x] * part[y - dy, x - dx]).sum() for y, x in ends]) / 2
            lags.append(lag / power)
        expected.append([*(products / np.outer(deviation, deviation)).ravel(), *lags, *kurtoses, own.sum()])
    found = noise_fit._blocks(residual, area)
    assert len(found) == 2
    assert found == pytest.approx(np.array(expected))


def test_a_knot_has_the_median_of_its_cells_by_their_pixels():
    own = [[0, 3, 1.0, 0.1, 30], [0, 3, 2.0, 0.3, 40], [0, 3, 5.0, 0.2, 30]]
    others = [[0, 11, 9.0, 0.5, 50], [2, 3, 8.0, 0.6, 50], [2, 11, 7.0, -1.0, 24]]
    power, skewness, count = noise_fit._by_knot(np.array([*own, *others]))
    assert (power.shape, power[0, 3], power[2, 11], power.sum()) == ((3, 12), 2.0, 7.0, 26.0)
    assert (skewness[0, 3], skewness[2, 11]) == (0.2, -1.0)
    assert (count[0, 3], count[2, 11], count.sum()) == (100, 24, 224)


def a_measured(power=1.0, skewness=0.0, count=1e9, correlation=None) -> _MeasuredNoise:
    full = np.ones((3, 12))
    correlation = np.eye(3) if correlation is None else correlation
    return _MeasuredNoise(power * full, skewness * full, count * full, correlation, np.zeros(2), np.zeros(2))


def test_corrections_of_well_known_curves_are_the_whole_step_and_of_unknown_ones_smooth():
    model = camera(skew=np.zeros((3, 12)), correlation=np.eye(3), log_sigma=np.zeros((3, 12)))
    near = np.array([[1.0, 0.2, 0.0], [0.2, 1.0, 0.0], [0.0, 0.0, 1.0]])
    real, simulated = a_measured(4.0, 1.0, correlation=near), a_measured(1.0, -1.0)
    corrected = noise_fit._corrected(model, real, simulated)
    assert corrected.log_sigma == pytest.approx(0.5 * np.log(4.001 / 1.001), rel=1e-3)
    assert corrected.skew == pytest.approx(0.15 * 2 / 1.01, rel=1e-3)  # pulled towards 0
    assert corrected.correlation == pytest.approx(near)
    far = noise_fit._corrected(model, a_measured(4.0, 40.0), simulated)
    assert (far.skew == 0.5).all()
    assert (noise_fit._corrected(model, a_measured(4.0, -40.0), simulated).skew == -0.5).all()
    unknown = noise_fit._corrected(model, a_measured(0.0, count=0.0), a_measured(0.0, count=0.0))
    assert unknown.log_sigma == pytest.approx(0)


def test_curves_where_there_are_few_pixels_are_as_the_penalty_wants_them():
    curves, step = RANDOM.normal(size=(3, 12)), RANDOM.normal(size=(3, 12))
    count = RANDOM.integers(0, 9000, (3, 12)).astype(float)
    second, first = np.diff(np.eye(12), 2, axis=0), np.diff(np.eye(12), 1, axis=0)
    penalty = 0.05 * second.T @ second + 0.01 * first.T @ first
    assert pytest.approx(penalty) == noise_fit._ROUGHNESS
    found = noise_fit._smoothed(curves, step, count, penalty)
    for channel in range(3):
        trust = count[channel] / (count[channel] + 2000)
        gradient = (
            trust * (found[channel] - curves[channel] - trust * step[channel]) + penalty @ found[channel]
        )
        assert gradient == pytest.approx(0, abs=1e-9)  # of the squared distances and the penalty


def responses_of(pairs: int = 2) -> PairResponses:
    balances = np.linspace([0.1, -0.05, -0.05], [-0.1, 0.05, 0.05], pairs)
    toe = np.array([1.0, -0.5, 2.0])
    return PairResponses(camera().log_slopes, np.linspace(-1.0, -2.0, pairs), balances, toe)


def test_a_pixel_belongs_to_the_knot_nearest_to_its_dark_level():
    area = np.zeros((40, 52), bool)
    area[3:9, 5:50] = True
    tile, responses = a_tile(1, area=area), responses_of()
    found = noise_fit._nearest_knots(camera(), tile, responses)
    own = replace(camera(), log_exposure=-2.0, balance=responses.balances[1]).dark_levels()
    for channel in range(3):
        levels = own[channel, tile.light[area][:, channel].astype(int)]
        nearest = np.abs(level_axis(levels)[:, None] - sigma_axis()).argmin(1)
        assert np.array_equal(found[channel], nearest)


def test_simulated_images_are_those_of_each_pair_with_noise_of_each_round_and_tile():
    tiles, responses, model = [a_tile(0), a_tile(1, seed=1)], responses_of(), camera()
    knots = [noise_fit._nearest_knots(model, tile, responses) for tile in tiles]
    step = noise_fit._NoiseFit(tiles, responses, knots, 7)
    for index, image in enumerate(step.dimmed(model, 3, tau=0.5)):
        own = replace(model, log_exposure=responses.log_exposures[index], balance=responses.balances[index])
        draw = noise_fit.Draw(gamma=1.0, tau=0.5, exposure=1.0, noise_seed=(7 * 1000 + 3) * 100003 + index)
        assert image.dtype == np.float32
        assert np.array_equal(image, own.dim(tiles[index].light.astype(np.uint8), draw))
    loud, other = step.dimmed(model, 3), step.dimmed(model, 4)
    assert not np.array_equal(loud[0], other[0])
    found, again = step.simulated(model, 3), step.measured(loud)
    assert np.array_equal(found.power, again.power)
    residuals = [noise.residual(image) for image in loud]
    cells = [
        noise_fit._cells(one, tile.noise_area, own)
        for one, tile, own in zip(residuals, tiles, knots, strict=True)
    ]
    power, skewness, count = noise_fit._by_knot(np.concatenate(cells))
    for one, other in ((found.power, power), (found.skewness, skewness), (found.count, count)):
        assert np.array_equal(one, other)
    blocks = np.concatenate(
        [noise_fit._blocks(one, tile.noise_area) for one, tile in zip(residuals, tiles, strict=True)]
    )
    medians = [noise_fit._weighted_median(column, blocks[:, 13]) for column in blocks[:, :13].T]
    assert found.correlation.ravel().tolist() == medians[:9]
    assert [*found.lags, *found.kurtosis] == medians[9:]


def test_the_level_of_a_pair_is_how_much_more_noise_it_has_than_the_model():
    model, responses = camera(), responses_of()
    tiles = []
    for pair, factor in ((0, 0.0), (1, 0.7)):
        louder = replace(
            model,
            log_sigma=model.log_sigma + factor,
            log_exposure=responses.log_exposures[pair],
            balance=responses.balances[pair],
        )
        light = gaussian_filter(np.random.default_rng(pair).normal(size=(96, 96, 3)), (9, 9, 0))
        light = (40 + 200 * (light - light.min()) / np.ptp(light)).astype(np.float32)
        dark = louder.dim(light.astype(np.uint8), noise_fit.Draw(1.0, 1.0, 1.0, 5 + pair)).astype(np.float32)
        everywhere = np.ones((96, 96), bool)
        tiles.append(Tile(pair, dark, light, everywhere, everywhere))
    assert noise_fit.noise_levels(model, tiles, responses, 0) == pytest.approx([0.0, 0.7], abs=0.08)


# --- structure ----------------------------------------------------------------------------------------


def test_banding_is_at_most_nine_tenths_of_the_variance_and_weights_sum_to_one():
    for banding, shares in (
        ([0.2, 0.1], [0.7, 0.2, 0.1]),
        ([0.8, 0.8], [0.1, 0.45, 0.45]),
        ([5.0, 0.9], [0.1, 0.45, 0.45]),
        ([-1.0, 0.0], [1.0, 0.0, 0.0]),
    ):
        found = structure_of(long_filters(), np.array([banding, [0.05, 0.55]]))
        assert (found.weights[0] / 2**14) ** 2 == pytest.approx(shares, abs=1e-3)
        assert (found.weights[1] / 2**14) ** 2 == pytest.approx([0.4, 0.05, 0.55], abs=1e-3)
        assert found.taps / 2**13 == pytest.approx(unit_taps(long_filters()), abs=1e-4)
        assert (found.taps.dtype, found.weights.dtype) == (np.int32, np.int32)


def test_taps_have_unit_power_and_none_are_white():
    taps = unit_taps(3 * long_filters())
    assert unit_taps(0.01 * long_filters()) == pytest.approx(taps)
    whole = np.concatenate([taps[..., :0:-1], taps], axis=-1)
    assert (whole**2).sum(-1) == pytest.approx(1)
    assert taps / taps[..., :1] == pytest.approx(long_filters() / long_filters()[..., :1])
    assert unit_taps(np.zeros((2, 9))).tolist() == [[1.0] + [0.0] * 8] * 2


def test_responses_and_spectra_are_fourier_transforms():
    half = long_filters()[0, 0]
    whole = np.concatenate([half[:0:-1], half])
    expected = np.array([(whole * np.exp(1j * w * np.arange(-8, 9))).sum().real for w in FREQUENCIES])
    assert response(half) == pytest.approx(expected)
    assert (FREQUENCIES[0], FREQUENCIES[-1], len(FREQUENCIES)) == (0.0, np.pi, 65)
    assert taps_of(response(unit_taps(half))) == pytest.approx(unit_taps(half), abs=1e-9)
    lags = np.array([0.5, 0.2, 0.1, 0, 0, 0, 0, -0.2])
    tapered = np.concatenate([[1.0], lags]) * (1 - np.arange(9) / 9)
    both = np.concatenate([tapered[:0:-1], tapered])
    power = [(both * np.exp(1j * w * np.arange(-8, 9))).sum().real for w in FREQUENCIES]
    assert spectrum(lags) == pytest.approx(np.maximum(power, 0))
    assert spectrum(np.full(8, -1.0)).min() == 0.0


def test_structure_is_measured_on_the_first_tiles_of_a_pair():
    tiles = [a_tile(pair, (2, 2)) for pair in (0, 0, 0, 1, 2, 1, 1)]
    assert structure_fit.few_tiles(tiles) == [0, 1, 3, 4, 5]


def test_sums_over_whole_blocks():
    values = RANDOM.random((37, 50))
    found = structure_fit._block_sums(values)
    assert found.shape == (2, 3)
    assert found[1, 2] == pytest.approx(values[16:32, 32:48].sum())


def test_lags_are_those_of_neighbours_that_are_both_in_the_area():
    part, area = RANDOM.normal(size=(32, 48, 2)).astype(np.float32), RANDOM.random((32, 48)) < 0.7
    enough = np.array([[True, False, True], [False, True, True]])
    found = structure_fit._block_lags(part, area, enough)
    assert found.shape == (2, 8, 4)
    for number, (row, column) in enumerate(np.argwhere(enough)):
        own = [
            (y, x)
            for y in range(16 * row, 16 * row + 16)
            for x in range(16 * column, 16 * column + 16)
            if area[y, x]
        ]
        power = np.mean([(part[y, x] ** 2).sum() for y, x in own])
        for axis, lag in itertools.product((0, 1), (1, 3, 8)):
            dy, dx = (lag, 0) if axis else (0, lag)
            products = [
                (part[y, x] * part[y - dy, x - dx]).sum()
                for y, x in own
                if y >= dy and x >= dx and area[y - dy, x - dx]
            ]
            expected = sum(products) / max(len(products), 1) / power
            assert found[axis, lag - 1, number] == pytest.approx(expected, abs=1e-5)


def test_the_common_power_of_rows_and_columns_is_that_of_blocks_that_are_not_neighbours():
    part, area = RANDOM.normal(1.0, 1.0, (32, 70, 2)), RANDOM.random((32, 70)) < 0.7
    part[~area] = 99.0
    for axis in (0, 1):
        values, where = (np.swapaxes(part, 0, 1), area.T) if axis else (part, area)
        blocks = values.shape[1] // 16
        power = (values[where] ** 2).sum() / where.sum()
        expected = []
        for band in range(values.shape[0] // 16):
            common = pairs = 0.0
            for y in range(16 * band, 16 * band + 16):
                masked = np.where(where[y, :, None], values[y], 0.0)
                sums = [masked[16 * b : 16 * b + 16].sum(0) for b in range(blocks)]
                counts = [where[y, 16 * b : 16 * b + 16].sum() for b in range(blocks)]
                for one in range(blocks):
                    for other in range(one + 2, blocks):
                        common += (sums[one] * sums[other]).sum()
                        pairs += counts[one] * counts[other]
            expected.append(common / pairs / power if pairs else np.nan)
        found = structure_fit._bands(part, area, axis)
        assert found == pytest.approx(np.array(expected), nan_ok=True)
        assert len(found) == (4 if axis else 2)
    assert np.isnan(structure_fit._bands(part, area, 1)).all()  # two blocks are neighbours


def of_bands(values, lags=0.0) -> MeasuredStructure:
    values = np.asarray(values)
    return MeasuredStructure(
        np.broadcast_to(lags, (2, 2, 8)), np.broadcast_to(values, (2, 2, values.shape[-1]))
    )


def test_misfit_and_banding_are_differences_and_small_or_uncertain_banding_is_none():
    real, simulated = of_bands([0.1, 0.2, 0.3, np.nan], 0.3), of_bands([0.0, 0.1, 0.0, 0.1], 0.1)
    assert structure_fit.misfit(real, simulated) == pytest.approx([0.2, 0.2])
    lags = np.zeros((2, 2, 8))
    lags[0, 1, 3], lags[1, 0, 0] = -0.5, 0.25
    assert structure_fit.misfit(of_bands([0.0], lags), of_bands([0.0])).tolist() == [0.5, 0.25]
    assert structure_fit.missing_banding(real, simulated) == pytest.approx(np.full((2, 2), 0.1))
    many, none = 0.02 + np.tile([0.009, 0.011], 50), of_bands([0.02])
    for scale, shown in ((0.0, 0.01), (-0.007, 0.0), (-0.0059, 0.0041)):
        found = structure_fit.visible_banding(of_bands(scale + many), none)
        assert found == pytest.approx(np.full((2, 2), shown))
    bands = 0.01 + np.array([0.0035, 0.0037, 0.0, 0.0])[:, None] * [-1, 1, -1, 1]
    uncertain = of_bands(bands.reshape(2, 2, 4))  # three standard errors are 2.78 times the deviation
    found = structure_fit.visible_banding(uncertain, of_bands([0.0] * 4))
    assert found == pytest.approx(np.array([[0.01, 0.0], [0.01, 0.01]]))


def test_long_filters_in_place_of_the_near_ones_make_the_same_noise():
    model = camera()
    longer = structure_fit.with_filters(model)
    assert longer.spatial.tolist() == [0.0, 0.0]
    taps = np.zeros((2, 2, 9))
    taps[..., 0], taps[..., 1] = 1.0, [[0.2], [0.5]]
    assert longer.filters == pytest.approx(unit_taps(taps))
    assert structure_fit.with_filters(longer) is longer


def test_filters_follow_the_ratio_of_spectra_and_banding_the_difference():
    lags = [np.linspace(top, 0, 8) * np.ones((2, 2, 1)) for top in (0.6, 0.2)]
    real, simulated = (of_bands([share], one) for share, one in zip((0.03, 0.01), lags, strict=True))
    filters, step = unit_taps(long_filters()), np.array([2.0, 0.5])
    ratio = (spectrum(lags[0]) + 0.03) / (spectrum(lags[1]) + 0.03)
    wanted = np.maximum(np.abs(response(filters)), 0.03) * ratio ** (step[:, None, None] / 2)
    assert structure_fit.updated_filters(filters, real, simulated, step) == pytest.approx(taps_of(wanted))
    banding = np.array([[0.1, 0.0], [0.49, 0.002]])
    found = structure_fit.updated_banding(banding, real, simulated)
    assert found == pytest.approx(np.array([[0.12, 0.0], [0.5, 0.022]]))
    assert structure_fit.updated_banding(banding, simulated, real)[1, 1] == pytest.approx(0.004)


def test_blocks_are_quiet_in_which_texture_is_a_small_part():
    tile = a_tile(size=(64, 64))
    texture = np.zeros((64, 64, 3), np.float32)
    texture[:32, :32] = tile.dark[:32, :32]  # all of it is texture there
    [parts] = structure_fit.quiet_parts([tile], [texture])
    assert parts.texture is texture
    assert parts.area is tile.noise_area
    assert not parts.blocks[0][:2, :2].any()
    assert not parts.blocks[1][:2, :2].any()
    assert parts.blocks[0][2:, 2:].all()
    assert parts.blocks[1][2:, 2:].all()
    shares = structure_fit._texture_shares(tile, texture)
    wide = [image - gaussian_filter(image, (5.0, 5.0, 0)) for image in (texture, tile.dark)]
    lumas = [one.mean(2) for one in wide]
    block = np.s_[16:32, 16:32]
    assert shares[0][1, 1] == pytest.approx(
        (lumas[0][block] ** 2).sum() / (lumas[1][block] ** 2).sum(), rel=1e-4
    )
    chroma = [one - luma[..., None] for one, luma in zip(wide, lumas, strict=True)]
    assert shares[1][1, 1] == pytest.approx(
        (chroma[0][block] ** 2).sum() / (chroma[1][block] ** 2).sum(), rel=1e-4
    )
    [loud] = structure_fit.quiet_parts([tile], [tile.dark])  # a quarter of the blocks, however loud
    assert loud.blocks[0].any()
    luma = np.repeat(tile.dark.mean(2, keepdims=True), 3, axis=2)
    amount = np.kron(np.linspace(0.6, 1.2, 16).reshape(4, 4), np.ones((16, 16)))[..., None]
    for part, of_part in ((0, luma), (1, tile.dark - luma)):
        [parts] = structure_fit.quiet_parts([tile], [(amount * of_part).astype(np.float32)])
        assert parts.blocks[part].sum() == 4
        assert parts.blocks[1 - part].sum() > 12
    [parts] = structure_fit.quiet_parts([replace(tile, noise_area=np.zeros((64, 64), bool))], [texture])
    assert not parts.blocks[0].any()
    few = np.zeros((64, 64), bool)
    few[:8, :8], few[:7, 16:25] = True, True  # 64 pixels of a block, and 63
    [parts] = structure_fit.quiet_parts([replace(tile, noise_area=few)], [texture * 0])
    assert np.argwhere(parts.blocks[0]).tolist() == [[0, 0]]


def test_the_structure_of_images_is_the_median_over_blocks_and_the_bands_of_all():
    tiles = [a_tile(0, (48, 64)), a_tile(1, (32, 96), seed=1)]
    textures = [(tile.light / 40).astype(np.float32) for tile in tiles]
    quiet = structure_fit.quiet_parts(tiles, textures)
    images = [tile.dark for tile in tiles]
    found = structure_fit.measured_structure(images, quiet)
    for part in (0, 1):
        lags, bands = [], ([], [])
        for image, where in zip(images, quiet, strict=True):
            noisy = image - where.texture
            wide = noisy - gaussian_filter(noisy, (5.0, 5.0, 0))
            near = noise.residual(image)
            luma, near_luma = wide.mean(2, keepdims=True), near.mean(2, keepdims=True)
            values, narrow = (wide - luma, near - near_luma) if part else (luma, near_luma)
            lags.append(structure_fit._block_lags(values, where.area, where.blocks[part]))
            for axis in (0, 1):
                bands[axis].extend(structure_fit._bands(narrow, where.area, axis))
        assert found.lags[part] == pytest.approx(np.median(np.concatenate(lags, 2), axis=2), rel=1e-4)
        for axis in (0, 1):
            padded = [*bands[axis], *[np.nan] * (found.bands.shape[2] - len(bands[axis]))]
            assert found.bands[part, axis] == pytest.approx(np.array(padded), nan_ok=True, rel=1e-4)


# --- fine chroma --------------------------------------------------------------------------------------


def test_bands_are_differences_of_blurs_in_luma_and_two_chroma_axes():
    image = RANDOM.random((20, 24, 3))
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


def test_slopes_are_those_of_textured_pixels_that_are_not_clipped():
    model, responses, light = camera(), responses_of(), a_tile(size=(96, 96)).light
    light[:40, :40] = RANDOM.choice([120, 180, 250], (40, 40, 3))
    light[50:70, :30] = RANDOM.choice([3, 40, 90], (20, 30, 3))
    expected = chroma_fit._expected(model, a_tile(1), responses)  # of the type that a tile has
    tile = replace(a_tile(1, (96, 96)), light=light)
    expected = chroma_fit._expected(model, tile, responses)
    dark = (expected @ OPPONENT.T * [0.8, 0.3, 0.2]) @ OPPONENT  # of luma and of two chroma axes
    dark[:40, :40] = 255 * RANDOM.random((40, 40, 3))
    dark[50:70, :30] = 255 * RANDOM.random((20, 30, 3))
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


# --- the search for noise -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("real_lags", "spatial"),
    [
        ([0.3, 0.04], [round(0.3 * (1 - 0.5**8), 4), 0.0]),  # a small one is none
        ([1.7, -0.5], [1.0, 0.0]),
    ],
)
def test_the_noise_is_corrected_in_eight_rounds_and_its_tails_are_found_afterwards(
    real_lags, spatial, monkeypatch
):
    """With images whose lags are those of the model's filter, and whose kurtosis is that of its tails."""
    kurtosis = {0.0: 3.0, 30.0: 3.2, 12.0: 3.6, 7.0: 4.5, 5.0: 6.0}
    rounds, filters = [], []
    real = replace(a_measured(4.0), lags=np.array(real_lags), kurtosis=np.array([4.5, 3.6]))
    tiles, responses = [SimpleNamespace(dark="dark")], responses_of()

    class Fit:
        def __init__(self, *given):
            assert given == (tiles, responses, ["knots"], 7)

        def measured(self, images):
            assert images == ["dark"]
            return real

        def simulated(self, model, iteration):
            rounds.append((iteration, model.tail, model.chroma_tail))
            filters.append(model.spatial[0])
            power = np.exp(2 * model.log_sigma[0, 0])
            tails = np.array([kurtosis[model.tail], kurtosis[model.tails[1]]])
            return replace(a_measured(power), lags=model.spatial, kurtosis=tails)

    def with_structure(model, fit, measured):
        assert (type(fit), measured is real) == (Fit, True)
        return replace(model, tau=3.0)

    start = camera(
        log_sigma=np.zeros((3, 12)), correlation=np.eye(3), spatial=np.zeros(2), tail=0.0, chroma_tail=None
    )
    monkeypatch.setattr(noise_fit, "_NoiseFit", Fit)
    monkeypatch.setattr(
        noise_fit, "_nearest_knots", lambda *given: "knots" * (given == (start, tiles[0], responses))
    )
    monkeypatch.setattr(noise_fit, "_with_structure", with_structure)
    found = noise_fit.fit_noise(start, tiles, responses, 7)
    assert found.spatial.tolist() == spatial
    assert filters[1] == pytest.approx(0.5 * real_lags[0])
    assert found.log_sigma == pytest.approx(np.log(2), abs=1e-3)
    assert (found.tail, found.chroma_tail, found.tau) == (7.0, 12.0, 3.0)
    assert rounds == [(number, 0.0, None) for number in range(8)] + [(8, one, one) for one in noise_fit.TAILS]


def lags_of(filters: np.ndarray) -> np.ndarray:
    """Autocorrelation at lags 1 to 8 of noise with these half filters (2, 2, 9)."""
    taps = unit_taps(filters)
    whole = np.concatenate([taps[..., :0:-1], taps], axis=-1)
    return np.stack([(whole[..., lag:] * whole[..., :-lag]).sum(-1) for lag in range(1, 9)], axis=-1)


class StructuredImages:
    """In place of the fit: the image of a model is the model, and the dark image is that of the truth."""

    def __init__(self, truth, monkeypatch, follows: bool = True):
        self.tiles = [SimpleNamespace(pair=0, dark=truth)] * 3
        self.rounds, self.follows = [], follows
        monkeypatch.setattr(noise_fit, "quiet_parts", self.quiet_parts)
        monkeypatch.setattr(noise_fit, "measured_structure", self.structure)

    def dimmed(self, model, iteration, tau=1.0):
        self.rounds.append((iteration, tau))
        return [model] * 3

    def measured(self, images):
        assert len(images) == 3
        return a_measured()

    def quiet_parts(self, tiles, textures):
        self.textures = textures
        return [len(tiles)]

    def structure(self, images, quiet):
        assert (len(images), quiet) == (2, [2])  # of a pair's three tiles
        model = images[0] if self.follows or images[0] is self.tiles[0].dark else camera()
        shown = 1.0 if images[0] is self.tiles[0].dark else 0.8  # of the banding of a model
        bands = np.tile(shown * model.banding[..., None], (1, 1, 9))
        return MeasuredStructure(lags_of(structure_fit.with_filters(model).filters), bands)


STRUCTURE_ROUNDS = [(8, 0.0), (8, 1.0)] + [(number, 1.0) for number in range(9, 23)]


def test_noise_without_a_long_structure_stays_as_it_is(monkeypatch):
    model = camera()
    images = StructuredImages(replace(model, banding=np.full((2, 2), 0.003)), monkeypatch)
    assert noise_fit._with_structure(model, images, a_measured()) is model
    assert images.rounds == STRUCTURE_ROUNDS[:2]
    assert images.textures == [model, model]


def test_long_filters_are_found_for_the_part_that_needs_them(monkeypatch):
    model, filters = camera(), structure_fit.with_filters(camera()).filters.copy()
    filters[1] = unit_taps(long_filters())[1]
    images = StructuredImages(camera(filters=filters, spatial=np.zeros(2)), monkeypatch)
    found = noise_fit._with_structure(model, images, a_measured())
    assert images.rounds == STRUCTURE_ROUNDS
    assert found.filters[0] == pytest.approx(filters[0])
    assert np.abs(lags_of(found.filters)[1] - lags_of(filters)[1]).max() < 0.06
    assert np.abs(lags_of(filters)[1] - lags_of(structure_fit.with_filters(model).filters)[1]).max() > 0.4
    assert not found.spatial.any()
    assert not found.banding.any()


def test_banding_is_found_where_there_is_some(monkeypatch):
    banding = np.array([[0.0, 0.05], [0.2, 0.001]])
    images = StructuredImages(camera(banding=banding), monkeypatch)
    found = noise_fit._with_structure(camera(), images, a_measured())
    assert found.banding == pytest.approx(np.array([[0.0, 0.05], [0.2, 0.0]]) / 0.8, rel=1e-3)
    assert found.filters == pytest.approx(structure_fit.with_filters(camera()).filters)


@pytest.mark.parametrize(("least", "is_followed"), [(0.36, False), (0.34, True)])
def test_the_step_is_halved_when_the_misfit_grows_and_the_best_filters_are_those_of_the_end(
    least, is_followed, monkeypatch
):
    """With misfits of luma that are made up; that of chroma is 0."""
    grown = [0.45, 0.47, 0.46, 0.48, 0.49, least, *[0.5] * 8]
    steps, model, real = [], camera(), a_measured()
    misfits = iter([0.5, 0.5, *grown, 0.5])
    monkeypatch.setattr(noise_fit, "misfit", lambda *_: np.array([next(misfits), 0.0]))

    def updated_filters(filters, target, found, step):
        steps.append(step.tolist())
        return np.full((2, 2, 9), float(len(steps)))

    monkeypatch.setattr(noise_fit, "updated_filters", updated_filters)
    found = noise_fit._with_structure(model, StructuredImages(model, monkeypatch), real)
    assert [luma for luma, _ in steps] == [2.0, 1.0, 1.0, 0.5, 0.5, 0.5, *[0.5] * 8]
    assert {chroma for _, chroma in steps} == {2.0}
    if is_followed:
        assert (found.filters[0] == 5.0).all()  # those that the sixth simulation had
        assert np.array_equal(found.filters[1], structure_fit.with_filters(model).filters[1])
    else:
        assert found is model


@pytest.mark.parametrize("part", ["filters", "banding"])
def test_a_structure_that_the_images_do_not_follow_is_none(part, monkeypatch):
    changes = {"filters": long_filters(), "banding": np.full((2, 2), 0.1)}
    images = StructuredImages(camera(**{part: changes[part]}), monkeypatch, follows=False)
    model = camera()
    assert noise_fit._with_structure(model, images, a_measured()) is model
    assert images.rounds == STRUCTURE_ROUNDS


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

    def fit_response(tiles, count):
        calls.append(("response", [tile.light for tile in tiles], count))
        return responses

    def fit_noise(model, tiles, given, seed):
        calls.append(("noise", model, given, seed))
        assert [tile.light.tolist() for tile in tiles] == [light.tolist() for light in calls[-2][1]]
        return replace(model, tau=2.0)

    monkeypatch.setattr(fit, "fit_response", fit_response)

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
    monkeypatch.setattr(
        fit, "noise_levels", lambda model, tiles, given, seed: np.array([model.tau, seed, 0.5])
    )
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
