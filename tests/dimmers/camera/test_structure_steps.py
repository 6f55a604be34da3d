"""Steps of the fit of a camera: structure in space and banding, each by its definition on a few numbers."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dimmagen.dimmers.camera import noise_fit, structure_fit
from dimmagen.dimmers.camera.structure import (
    FREQUENCIES,
    response,
    spectrum,
    structure_of,
    taps_of,
    unit_taps,
)
from dimmagen.dimmers.camera.structure_fit import MeasuredStructure
from dimmagen.metrics.realism import noise
from tests.cameras import camera, long_filters
from tests.dimmers.camera.fit_steps import a_measured, a_tile


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


def test_sums_over_whole_blocks(random):
    values = random.random((37, 50))
    found = structure_fit._block_sums(values)
    assert found.shape == (2, 3)
    assert found[1, 2] == pytest.approx(values[16:32, 32:48].sum())


def test_lags_are_those_of_neighbours_that_are_both_in_the_area(random):
    part, area = random.normal(size=(32, 48, 2)).astype(np.float32), random.random((32, 48)) < 0.7
    enough = np.array([[True, False, True], [False, True, True]])
    found, pairs = structure_fit._block_lags(part, area, enough)
    assert found.shape == pairs.shape == (2, 8, 4)
    assert pairs[0, 2, 3] == (area[16:32, 32:48] & area[16:32, 29:45]).sum()  # of the last block, 3 apart
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


def test_the_common_power_of_rows_and_columns_is_that_of_blocks_that_are_not_neighbours(random):
    part, area = random.normal(1.0, 1.0, (32, 70, 2)), random.random((32, 70)) < 0.7
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


def of_bands(values, lags=0.0, errors=0.0) -> MeasuredStructure:
    values = np.asarray(values)
    return MeasuredStructure(
        np.broadcast_to(lags, (2, 2, 8)),
        np.full((2, 2, 8), errors),
        np.broadcast_to(values, (2, 2, values.shape[-1])),
    )


@pytest.mark.filterwarnings("error")
def test_images_too_small_to_show_banding_have_none_without_a_warning():
    unknown = of_bands([np.nan, np.nan])
    assert np.isnan(structure_fit.missing_banding(unknown, unknown)).all()
    assert not structure_fit.visible_banding(unknown, unknown).any()


def test_the_error_of_lags_is_that_of_white_noise(random):
    """Of blocks with unlike numbers of pairs, whose median is compared."""
    pairs = random.integers(5, 200, 31)
    medians = np.median(random.normal(size=(20000, 31)) / np.sqrt(pairs), axis=1)
    assert structure_fit._error_of_lags(pairs.astype(float)) == pytest.approx(medians.std(), rel=0.05)


def test_lags_are_visible_where_they_are_beyond_chance():
    lags = np.zeros((2, 2, 8))
    lags[0, 1, 3], lags[1, 0, 0] = 0.1, 0.039
    for errors, shown in ((0.0, [True, False]), (0.02, [True, False]), (0.021, [False, False])):
        real, simulated = of_bands([0.0], lags, errors), of_bands([0.0], 0.0, errors)
        assert structure_fit.visible_lags(real, simulated).tolist() == shown


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
            lags.append(structure_fit._block_lags(values, where.area, where.blocks[part])[0])
            for axis in (0, 1):
                bands[axis].extend(structure_fit._bands(narrow, where.area, axis))
        assert found.lags[part] == pytest.approx(np.median(np.concatenate(lags, 2), axis=2), rel=1e-4)
        for axis in (0, 1):
            padded = [*bands[axis], *[np.nan] * (found.bands.shape[2] - len(bands[axis]))]
            assert found.bands[part, axis] == pytest.approx(np.array(padded), nan_ok=True, rel=1e-4)


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
        return MeasuredStructure(
            lags_of(structure_fit.with_filters(model).filters), np.zeros((2, 2, 8)), bands
        )


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
    misfits = iter([0.5, *grown, 0.5])
    monkeypatch.setattr(noise_fit, "visible_lags", lambda *_: np.array([True, False]))
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
