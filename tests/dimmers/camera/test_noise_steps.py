"""Steps of the fit of a camera: its noise, each by its definition on a few numbers."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dimmagen.dimmers.camera import block_noise, noise_fit
from dimmagen.dimmers.camera.response import level_axis, sigma_axis
from dimmagen.dimmers.camera.tiles import Tile
from dimmagen.metrics.realism import noise
from tests.cameras import camera
from tests.dimmers.camera.fit_steps import a_measured, a_tile, responses_of


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
        assert noise_fit._tail(kurtosis, simulated, 0.0) == tail
    assert noise_fit._tail(3.4, simulated, 0.39) == round(2 / (1 / 30 + 1 / 12), 1)
    assert noise_fit._tail(3.07, simulated, 0.0) == round(1 / (0.35 / 30), 1)
    assert noise_fit._tail(3.05, simulated, 0.0) == 0.0  # more than 100 degrees
    assert noise_fit._tail(3.4, simulated, 0.41) == 0.0  # by chance
    assert noise_fit._tail(4.5, [3.0, 3.2, 3.6, 3.5, 6.0], 0.0) < 7.0  # by the largest so far


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


def test_curves_where_there_are_few_pixels_are_as_the_penalty_wants_them(random):
    curves, step = random.normal(size=(3, 12)), random.normal(size=(3, 12))
    count = random.integers(0, 9000, (3, 12)).astype(float)
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
        block_noise.cells_of_blocks(one, tile.noise_area, own)
        for one, tile, own in zip(residuals, tiles, knots, strict=True)
    ]
    power, skewness, count = block_noise._by_knot(np.concatenate(cells))
    for one, other in ((found.power, power), (found.skewness, skewness), (found.count, count)):
        assert np.array_equal(one, other)
    blocks = np.concatenate(
        [
            block_noise.structure_of_blocks(one, tile.noise_area)
            for one, tile in zip(residuals, tiles, strict=True)
        ]
    )
    medians = [block_noise._weighted_median(column, blocks[:, 13]) for column in blocks[:, :13].T]
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


@pytest.mark.parametrize(
    ("share", "real_lags", "spatial"),
    [
        (0.5, [0.3, 0.04], [round(0.3 * (1 - 0.5**8), 4), 0.0]),  # a small one is none
        (0.5, [1.7, -0.5], [1.0, 0.0]),
        (0.51, [1.7, -0.5], [1.0, 0.0]),
    ],
)
@pytest.mark.parametrize("quality", [0, 90])
def test_the_noise_is_corrected_in_eight_rounds_and_its_tails_are_found_afterwards(
    quality, share, real_lags, spatial, monkeypatch
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

        def dimmed(self, model, iteration):
            return model.noise_by_luma, iteration

        def simulated(self, model, iteration):
            rounds.append((iteration, model.noise_by_luma, model.tail, model.chroma_tail))
            filters.append(model.spatial[0])
            power = np.exp(2 * model.log_sigma[0, 0])
            tails = np.array([kurtosis[model.tail], kurtosis[model.tails[1]]])
            return replace(a_measured(power), lags=model.spatial, kurtosis=tails)

    def with_structure(model, fit, measured):
        assert (type(fit), measured is real) == (Fit, True)
        return replace(model, tau=3.0)

    start = camera(
        log_sigma=np.zeros((3, 12)),
        correlation=np.eye(3),
        spatial=np.zeros(2),
        tail=0.0,
        chroma_tail=None,
        jpeg_quality=quality,
    )

    def luma_share(*given):
        simulations = [[(False, 31), (False, 32)], [(True, 33), (True, 34)]]
        assert given == (["dark"], *simulations, "pairs", float(quality > 0))
        return share

    monkeypatch.setattr(noise_fit, "channel_ratios", lambda images, _: images)
    monkeypatch.setattr(noise_fit, "pairs_of_blocks", lambda _: "pairs")
    monkeypatch.setattr(noise_fit, "luma_share", luma_share)
    monkeypatch.setattr(noise_fit, "_NoiseFit", Fit)
    monkeypatch.setattr(
        noise_fit, "_nearest_knots", lambda *given: "knots" * (given[1:] == (tiles[0], responses))
    )
    monkeypatch.setattr(noise_fit, "_with_structure", with_structure)
    found = noise_fit.fit_noise(start, tiles, responses, 7)
    assert found.spatial.tolist() == spatial
    assert filters[1] == pytest.approx(0.5 * real_lags[0])
    assert found.log_sigma == pytest.approx(np.log(2), abs=1e-3)
    assert (found.tail, found.chroma_tail, found.tau) == (7.0, 12.0, 3.0)
    by_luma = share > 0.5
    corrected = [(number, False) for number in range(8)] + [(number, True) for number in range(3)]
    corrected += [(number, True) for number in range(3, 8)] if by_luma else []
    tails = [(8, by_luma, one, one) for one in noise_fit.TAILS]
    assert rounds == [(*one, 0.0, None) for one in corrected] + tails
    assert found.noise_by_luma is by_luma
