"""What the kernels get from a camera model, by the formulas of its parts, and what a profile stores of it."""

from dataclasses import fields, replace

import numpy as np
import pytest
from scipy.special import ndtri, stdtrit

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.camera.model import OPPONENT, PARTS, CameraModel, noise_quantiles, toe_level
from dimmagen.dimmers.camera.response import ResponseCurve, level_axis, sigma_axis
from dimmagen.dimmers.camera.stored import FILE, LATER_TENSORS, STRUCTURE_TENSORS, TENSORS, model_files
from dimmagen.dimmers.camera.structure import structure_of
from dimmagen.dimmers.profile import save_profile
from tests.cameras import camera, structured

LEVELS = np.arange(256.0)


def a_draw(gamma=1.3, tau=0.7, exposure=0.9, **more) -> Draw:
    return Draw(gamma=gamma, tau=tau, exposure=exposure, noise_seed=1, **more)


# --- what the kernels get -----------------------------------------------------------------------------


def test_axes_and_curves_are_evenly_spaced_in_the_logarithm_of_the_level():
    assert level_axis(0.0) == pytest.approx(np.log(2 / 257))
    assert level_axis(np.array([255, 98])) == pytest.approx([0.0, np.log(100 / 257)])
    assert sigma_axis() == pytest.approx(np.linspace(np.log(2 / 257), 0, 12))
    curve = ResponseCurve(np.log(np.linspace(1.2, 2.6, 14)))
    knots, levels = curve.knots
    assert (len(knots), levels[0], levels[-1], knots[-1]) == (1024, pytest.approx(0), pytest.approx(255), 0)
    flat = ResponseCurve(np.full(14, np.log(2.2)))  # log light is 2.2 times the axis
    assert flat.log_light(LEVELS) == pytest.approx(2.2 * level_axis(LEVELS), abs=1e-3)
    assert flat.level(2.2 * level_axis(LEVELS)) == pytest.approx(LEVELS, abs=0.02)
    axis = np.linspace(np.log(2 / 257), 0, 100_001)
    slopes = np.exp(np.interp(axis, np.linspace(axis[0], 0, 14), curve.log_slopes))
    area = np.append(0, np.cumsum((slopes[1:] + slopes[:-1]) / 2 * np.diff(axis)))
    assert curve.log_light(np.exp(axis) * 257 - 2) == pytest.approx(area - area[-1], abs=2e-3)


def test_a_black_offset_fades_over_six_levels():
    assert toe_level(np.array([0.0, 6.0, 12.0]), np.array([3.0])) == pytest.approx(3 * np.exp([0, -1, -2]))


def dark_levels_of(model: CameraModel, brightness: float, balance: np.ndarray) -> np.ndarray:
    """The response by its definition, with all its parts."""
    curve = ResponseCurve(model.log_slopes)
    at_reference = curve.level(curve.log_light(160.0) + model.log_exposure)
    target = min(brightness * at_reference, 160.0)
    shift = curve.log_light(target) - curve.log_light(160.0) + model.balance + balance
    return np.stack([curve.level(curve.log_light(LEVELS) + shift[c]) for c in range(3)])


@pytest.mark.parametrize("brightness", [0.4, 1.0, 50.0])
def test_dark_levels_are_those_of_the_response_with_both_white_balances(brightness):
    model, drawn = camera(), np.array([0.1, -0.2, 0.05])
    assert model.dark_levels(brightness, drawn) == pytest.approx(dark_levels_of(model, brightness, drawn))
    assert model.dark_levels(brightness) == pytest.approx(dark_levels_of(model, brightness, np.zeros(3)))
    without = replace(model, balance=np.zeros(3))
    off = model.switched_off("balance").dark_levels(brightness, drawn)
    assert off == pytest.approx(dark_levels_of(without, brightness, drawn))
    several = model.light_shifts(np.array([0.4, brightness]), np.stack([drawn, drawn]))
    assert several.shape == (2, 3)
    assert np.array_equal(model.light_shifts(np.array([1.0])), model.light_shifts(np.array([1.0]), 0.0))
    assert several[1] == pytest.approx(model.light_shifts(np.array([brightness]), drawn)[0])
    assert np.array_equal(model.dark_levels(), model.dark_levels(1.0, 0.0))


@pytest.mark.parametrize("brightness", [0.5, 1.5, 1e6])
def test_without_a_response_levels_are_those_of_the_light_times_one_factor(brightness):
    model = camera()
    at_reference = dark_levels_of(replace(model, balance=np.zeros(3)), 1.0, np.zeros(3))[1, 160]
    levels = model.switched_off("response").dark_levels(brightness, np.ones(3))
    expected = min(brightness * at_reference / 160, 1.0)
    assert levels == pytest.approx(np.tile(LEVELS * expected, (3, 1)), rel=1e-4)


def test_tables_have_level_noise_and_bend_of_each_light_level():
    model = camera()
    drawn = a_draw(balance_red=1.2, balance_green=0.9, balance_blue=1.1)
    dark = dark_levels_of(model, 1.3 * 0.9, np.log([1.2, 0.9, 1.1]))
    at = level_axis(dark)
    sigma = np.stack([np.exp(np.interp(at[c], sigma_axis(), model.log_sigma[c])) for c in range(3)])
    skew = np.stack([np.interp(at[c], sigma_axis(), model.skew[c]) for c in range(3)])
    assert model.noise_level(dark) == pytest.approx(sigma)
    assert model.noise_skew(dark) == pytest.approx(skew)
    bend = 0.7 * sigma * skew
    toe = model.toe[:, None] * np.exp(-dark / 6)
    level = np.minimum(dark - toe, np.maximum(LEVELS, dark)) - bend
    found = model.tables(drawn)
    assert [table.dtype for table in found[:3]] == [np.int32] * 3
    assert found[0] / 2**20 == pytest.approx(level, abs=1e-5)
    assert found[1] / 2**8 == pytest.approx(0.7 * sigma, abs=0.002)
    assert found[2] / 2**9 == pytest.approx(bend, abs=0.001)
    assert found[3] is True
    assert model.switched_off("skew").tables(drawn)[3] is False
    assert model.switched_off("skew").tables(drawn)[0] / 2**20 == pytest.approx(level + bend, abs=1e-5)
    assert model.switched_off("toe").tables(drawn)[0] / 2**20 == pytest.approx(dark - bend, abs=1e-5)
    assert model.switched_off("toe").offsets.tolist() == [0.0, 0.0, 0.0]


def test_noise_is_limited_so_that_sums_fit_32_bits():
    model = camera(skew=np.full((3, 12), 0.4), toe=np.zeros(3))
    _, sigma, bend, _ = model.tables(a_draw(tau=1000.0))
    assert (sigma == 96 * 2**8).all()
    assert (bend == round((126 - 96) / 14 * 2**9)).all()
    negative = replace(model, skew=-model.skew).tables(a_draw(tau=1000.0))
    assert np.array_equal(negative[2], -bend)
    assert not model.tables(a_draw(tau=0.0))[1].any()


def test_an_offset_makes_no_level_brighter_than_the_light_or_far_below_black():
    bright = camera(toe=np.full(3, -50.0), skew=np.zeros((3, 12))).tables(a_draw())[0] / 2**20
    dark = dark_levels_of(camera(), 1.3 * 0.9, np.zeros(3))
    assert (bright <= np.maximum(LEVELS, dark) + 1e-5).all()
    assert bright[1, 30] == pytest.approx(min(dark[1, 30] + 50 * np.exp(-dark[1, 30] / 6), 30), abs=1e-5)
    deep = camera(toe=np.full(3, 500.0), skew=np.zeros((3, 12))).tables(a_draw())[0] / 2**20
    assert deep[:, 0] == pytest.approx([-64.0] * 3)


def test_curves_of_noise_lose_their_parts():
    model = camera(skew=np.linspace([0.9, -0.9, 0.2], [-0.4, 0.0, 0.1], 12).T)
    log_sigma, skew = model.noise_curves
    assert np.array_equal(log_sigma, model.log_sigma)
    assert np.array_equal(skew, model.skew.clip(-0.5, 0.5))
    flat = model.switched_off("intensity").noise_curves[0]
    assert flat == pytest.approx(np.tile(model.log_sigma.mean(1)[:, None], (1, 12)))
    assert not model.switched_off("skew").noise_curves[1].any()


@pytest.mark.parametrize("without", [(), ("correlation",)])
def test_normals_are_mixed_to_the_correlation_of_the_channels(without):
    model = camera().switched_off(*without)
    mix = model.constants()[0] / 2**14
    assert mix @ mix.T == pytest.approx(np.eye(3) if without else model.correlation, abs=5e-4)
    assert (OPPONENT @ mix)[np.triu_indices(3, 1)] == pytest.approx(
        0, abs=5e-4
    )  # luma is of the first normal
    assert pytest.approx(np.eye(3)) == OPPONENT @ OPPONENT.T
    assert OPPONENT[0] == pytest.approx([1 / np.sqrt(3)] * 3)


def test_the_near_filter_has_unit_power_and_is_used_where_it_is_one():
    model = camera()
    taps, spatial = model.constants()[1:3]
    assert taps.dtype == np.int32
    assert taps / 2**14 == pytest.approx(np.array([[0.2, 1], [0.5, 1]]) / np.sqrt([[1.08], [1.5]]), abs=1e-4)
    assert spatial is True
    taps, spatial = model.switched_off("spatial").constants()[1:3]
    assert (taps.tolist(), spatial) == ([[0, 2**14], [0, 2**14]], False)


def test_tails_are_those_of_luma_and_chroma():
    assert camera().tails == (4.0, 9.0)
    assert camera(chroma_tail=None).tails == (4.0, 4.0)
    assert camera().switched_off("tails").tails == (0.0, 0.0)
    luma, chroma = camera().constants()[3:5]
    assert np.array_equal(luma, noise_quantiles(4.0))
    assert np.array_equal(chroma, noise_quantiles(9.0))


@pytest.mark.parametrize("tail", [0.0, 3.0, 9.0])
def test_quantiles_are_those_of_the_middles_of_equal_cells(tail):
    at = (np.arange(65536) + 0.5) / 65536
    plain = ndtri(at) if tail == 0 else stdtrit(tail, at) * np.sqrt((tail - 2) / tail)
    found = noise_quantiles(tail)
    assert found.dtype == np.int16
    assert np.abs(found / 4096 - plain.clip(-8, 8)).max() <= 1.5 / 4096
    assert (found[0], found[-1]) == ((-32767, 32767) if tail == 3.0 else (-found[-1], found[-1]))


def test_structure_is_that_of_filters_and_banding_and_of_the_near_filter_beside_banding():
    assert camera().structure is None
    model = structured()
    for made, filters, banding in (
        (model, model.filters, model.banding),
        (model.switched_off("banding"), model.filters, np.zeros((2, 2))),
        (model.switched_off("spatial"), np.zeros((2, 2, 9)), model.banding),
    ):
        expected = structure_of(filters, banding)
        assert np.array_equal(made.structure.taps, expected.taps)
        assert np.array_equal(made.structure.weights, expected.weights)
    assert model.switched_off("spatial", "banding").structure is None
    near = np.zeros((2, 2, 9))
    near[..., 0], near[..., 1] = 1.0, [[0.2], [0.5]]
    banded = camera(banding=model.banding)
    assert np.array_equal(banded.structure.taps, structure_of(near, model.banding).taps)
    alone = camera(filters=model.filters, spatial=np.zeros(2))
    assert np.array_equal(alone.structure.weights, structure_of(model.filters, np.zeros((2, 2))).weights)


# --- switches -----------------------------------------------------------------------------------------


def test_what_is_switched_off_is_recorded_in_the_order_of_the_parts():
    model = camera(balance_spread=(0.1, 0.05), noise_spread=0.2, jpeg_quality=80, fine_chroma=0.3)
    assert model.settings() == {"without": "", "white_balance": "drawn"}
    off = model.switched_off("jpeg", "toe").switched_off("skew", "toe")
    assert off.without == tuple(part for part in PARTS if part in ("toe", "skew", "jpeg"))
    assert off.settings() == {"without": "toe,skew,jpeg", "white_balance": "drawn"}
    assert (off.balance_spread, off.noise_spread) == ((0.1, 0.05), 0.2)
    for part in ("response", "white-balance-spread"):
        fixed = model.switched_off(part)
        assert (fixed.balance_spread, fixed.noise_spread) == ((0.0, 0.0), 0.2)
        assert fixed.settings() == {"without": part}
    assert model.switched_off("noise-spread").noise_spread == 0.0
    assert model.switched_off("noise-spread").balance_spread == (0.1, 0.05)
    assert camera(balance_spread=(0.0, 0.1)).settings() == {"without": "", "white_balance": "drawn"}
    assert CameraModel.parameters() == {}


def test_compression_and_chroma_are_those_of_the_camera_unless_switched_off():
    model = camera(jpeg_quality=80, fine_chroma=0.3)
    assert (model.compression, model.develops, model.chroma_share) == (80, True, 0.3)
    off = model.switched_off("jpeg", "fine-chroma")
    assert (off.compression, off.develops, off.chroma_share) == (0, False, 1.0)
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    assert off.develop(image) is image
    assert not np.array_equal(model.develop(image), image)
    assert np.array_equal(model.dim(image, a_draw()), model.develop(model.expose(image, a_draw())))
    one = camera(jpeg_quality=1)
    assert (one.compression, one.develops) == (1, True)


def test_an_unknown_part_is_refused_with_the_nearest_one():
    with pytest.raises(UsageError, match="no part bandin") as error:
        camera().switched_off("toe", "bandin")
    assert error.value.code == "unknown-name"
    assert error.value.fields == {"parameter": "without", "name": "bandin"}
    assert "banding" in str(error.value)


# --- what a profile stores ----------------------------------------------------------------------------


def stored(model: CameraModel):
    files = model_files(model)
    return files.files[FILE], files.settings


def test_a_profile_stores_every_part_and_the_structure_where_there_is_one():
    model = camera(jpeg_quality=80, balance_spread=(0.1, 0.05), noise_spread=0.2, exposure_spread=0.3)
    tensors, settings = stored(model)
    assert {name: tensor.shape for name, tensor in tensors.items()} == TENSORS
    assert {tensor.dtype for tensor in tensors.values()} == {np.dtype(np.float32)}
    for name in TENSORS:
        assert tensors[name] == pytest.approx(np.reshape(getattr(model, name), TENSORS[name]))
    assert settings == {
        "tail": 4.0,
        "chroma_tail": 9.0,
        "exposure_spread": 0.3,
        "jpeg_quality": 80,
        "gamma_low": 0.3,
        "gamma_high": 2.0,
        "tau": 1.0,
        "balance_spread": 0.1,
        "tint_spread": 0.05,
        "noise_spread": 0.2,
    }
    assert stored(camera(noise_by_luma=True))[1]["noise_by_luma"] is True
    tensors, settings = stored(structured(fine_chroma=0.4, headroom=1.5))
    assert {name: tensor.shape for name, tensor in tensors.items()} == {**TENSORS, **STRUCTURE_TENSORS}
    assert (settings["structure"], settings["fine_chroma"], settings["headroom"]) == (True, 0.4, 1.5)
    assert model_files(model).kind == "camera"
    for part in ("filters", "banding"):
        alone = replace(structured(), **{part: np.zeros_like(getattr(structured(), part))})
        assert set(stored(alone)[0]) == {*TENSORS, *STRUCTURE_TENSORS}


@pytest.mark.parametrize(
    "model",
    [
        camera(
            balance_spread=(0.1, 0.05), noise_spread=0.2, gamma_range=(0.5, 1.5), tau=1.25, jpeg_quality=7
        ),
        structured(fine_chroma=0.4, exposure_spread=0.3, headroom=1.5, noise_by_luma=True),
    ],
)
def test_a_model_is_loaded_as_it_was_stored(model, tmp_path):
    profile = save_profile(tmp_path / "mine", [model_files(model)], "camera", {})
    again = profile.model("camera")
    for field in fields(CameraModel):
        value = getattr(model, field.name)
        assert (
            np.asarray(getattr(again, field.name)) == pytest.approx(np.asarray(value), rel=1e-6)
            or value == ()
        )
        if isinstance(value, np.ndarray):
            assert getattr(again, field.name).dtype == np.float64


@pytest.mark.parametrize("name", ["tail", "chroma_tail"])
@pytest.mark.parametrize("value", [1.5, 2.0])
def test_tails_without_a_variance_are_refused(name, value, tmp_path):
    model = camera(**{name: value})
    with pytest.raises(DimmagenError, match=f"{name} is {value}, not a number from 2.01"):
        save_profile(tmp_path / "mine", [model_files(model)], "camera", {}).model("camera")


def test_a_profile_of_the_first_version_has_one_tail_and_no_spreads(tmp_path):
    tensors, settings = stored(camera())
    files = {FILE: {name: tensor for name, tensor in tensors.items() if name not in LATER_TENSORS}}
    for name in ("chroma_tail", "balance_spread", "tint_spread", "noise_spread"):
        del settings[name]
    old = replace(model_files(camera()), files=files, settings=settings)
    again = save_profile(tmp_path / "old", [old], "camera", {}).model("camera")
    assert again.tails == (4.0, 4.0)
    assert not again.toe.any()
    assert (again.skew.shape, again.skew.any()) == ((3, 12), False)
    assert (again.balance_spread, again.noise_spread, again.fine_chroma) == ((0.0, 0.0), 0.0, 1.0)
    assert (again.headroom, again.noise_by_luma) == (0.0, False)
    assert again.toe.shape == (3,)
    assert again.structure is None


def test_a_model_without_a_folder_and_with_settings_out_of_range_is_refused(tmp_path):
    with pytest.raises(DimmagenError, match="folder of a profile") as error:
        CameraModel.load(None, {})
    assert (error.value.code, error.value.fields) == ("missing-argument", {"parameter": "folder"})
    save_profile(tmp_path / "mine", [model_files(camera())], "camera", {})
    settings = stored(camera())[1]
    for name, value in (
        ("noise_spread", 11.0),
        ("structure", 2),
        ("fine_chroma", 1.5),
        ("headroom", -0.1),
        ("tail", -1.0),
    ):
        with pytest.raises(DimmagenError, match=name):
            CameraModel.load(tmp_path / "mine", {**settings, name: value})
