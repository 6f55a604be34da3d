"""The camera model: its bits, its curve, its noise and its parts."""

import hashlib
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from dimmagen.core.errors import UsageError
from dimmagen.core.philox import philox4x32, split_key
from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.camera.fit import fit_camera
from dimmagen.dimmers.camera.model import CameraModel, noise_quantiles
from dimmagen.dimmers.camera.response import ResponseCurve
from dimmagen.dimmers.camera.stored import model_files
from dimmagen.dimmers.camera.structure import unit_taps
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.dimmers.jpeg import jpeg_quality
from dimmagen.dimmers.profile import open_profile, save_profile
from tests import cameras
from tests.dimmers.camera.simulated_pairs import camera, draw, light_image, pairs_of


def test_an_image_has_the_same_bits_on_every_machine():
    """After the tables, all arithmetic is on integers: the digest is the same on every machine."""
    light = (np.arange(64 * 80 * 3) * 7919 % 256).astype(np.uint8).reshape(64, 80, 3)
    early = camera(spatial=np.array([0.2, 0.3]), tail=7.0)
    skewed = replace(early, skew=np.full((3, 12), 0.2), toe=np.array([1.0, -0.5, 2.0]), chroma_tail=30.0)
    models = early, skewed, cameras.structured(tail=7.0, chroma_tail=30.0)
    images = (model.dim(light, draw()).tobytes() for model in models)
    digests = [hashlib.sha256(image).hexdigest()[:16] for image in images]
    assert digests == ["db22f67abee21035", "070f7c4f3d45e8d1", "359018c8f1e06b0a"]


@pytest.mark.parametrize("made", [cameras.camera, cameras.structured])
@pytest.mark.parametrize("by_luma", [False, True])
@pytest.mark.parametrize("without", [(), ("spatial",), ("skew", "banding"), ("toe", "tails")])
def test_the_kernel_gives_the_pixels_of_a_plain_implementation(without, by_luma, made):
    model = made(noise_by_luma=by_luma).switched_off(*without)
    light = np.random.default_rng(3).integers(0, 256, (7, 11, 3), np.uint8)
    assert np.array_equal(model.expose(light, draw(tau=1.5)), plainly_exposed(model, light, draw(tau=1.5)))


@pytest.mark.parametrize("place", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_noise_of_rows_or_of_columns_alone_is_that_of_a_plain_implementation(place):
    banding = np.zeros((2, 2))
    banding[place] = 0.4
    model, light = cameras.structured(banding=banding), np.full((3, 5, 3), 200, np.uint8)
    dark = model.expose(light, draw(tau=1.5))
    assert np.array_equal(dark, plainly_exposed(model, light, draw(tau=1.5)))
    assert not np.array_equal(dark, model.switched_off("banding").expose(light, draw(tau=1.5)))


@pytest.mark.parametrize("without", [(), ("skew",)])
def test_filters_with_gaps_and_white_light_are_those_of_a_plain_implementation(without):
    filters = cameras.long_filters()
    filters[..., 1::2] = 0
    model, light = (
        cameras.structured(filters=filters).switched_off(*without),
        np.full((3, 5, 3), 255, np.uint8),
    )
    for one in (draw(), draw(gamma=100.0)):
        assert np.array_equal(model.expose(light, one), plainly_exposed(model, light, one))
    assert (model.expose(light, draw(gamma=100.0)) == 255).any()


def plainly_exposed(model: CameraModel, light: np.ndarray, one: Draw) -> np.ndarray:
    """The arithmetic of the kernel on whole images, in 64-bit integers."""
    level, sigma, bend, _, mix, taps, spatial, luma, chroma, by_luma = model.kernel_arguments(one)
    height, width, _ = light.shape
    if model.structure is not None:
        normals = plainly_structured(model, height, width, one.noise_seed)
    else:
        normals = plainly_near(height, width, luma, chroma, taps if spatial else None, one.noise_seed)
    z = np.einsum("cn,nhw->hwc", mix.astype(np.int64), normals) >> 14
    tables = (np.stack([table[c][light[..., c]] for c in range(3)], 2) for table in (level, sigma, bend))
    mean, slope, curvature = (table.astype(np.int64) for table in tables)
    if by_luma:
        grey = ((light @ np.array([77, 150, 29]) + 128) >> 8)[..., None]
        slope, other = (table[np.arange(3), grey].astype(np.int64) for table in (sigma, bend))
        mean += (curvature - other) << 11
        curvature = other
    slope += curvature * z >> 13
    return np.clip((mean + slope * z + (1 << 19)) >> 20, 0, 255).astype(np.uint8)


def plainly_near(height, width, luma, chroma, taps, seed) -> np.ndarray:
    """Normals of noise that is white or correlated between neighbours: int64 (3, H, W)."""
    normals = np.empty((3, height + 2, width + 3), np.int64)  # rows -1 .. height, columns -1 .. width + 1
    for y in range(height + 2):
        for pair in range((width + 3) // 2):
            words = philox4x32(*map(np.uint32, (pair, (y - 1) % 2**32, 0, 0)), *split_key(seed))
            a, b, c = (int(word) for word in words[:3])
            for column, halves in ((0, (a, a >> 16, b)), (1, (b >> 16, c, c >> 16))):
                if 2 * pair + column < width + 3:
                    for part, (table, half) in enumerate(zip((luma, chroma, chroma), halves, strict=True)):
                        normals[part, y, 2 * pair + column] = table[half & 0xFFFF]
    normals = normals[:, :, : width + 2]
    if taps is not None:
        side, centre = (taps[[0, 1, 1], i].astype(np.int64)[:, None, None] for i in (0, 1))
        normals = (side * (normals[:, :, :-2] + normals[:, :, 2:]) + centre * normals[:, :, 1:-1]) >> 14
        normals = (side * (normals[:, :-2] + normals[:, 2:]) + centre * normals[:, 1:-1]) >> 14
    else:
        normals = normals[:, 1:-1, 1:-1]
    return normals


def plainly_structured(model: CameraModel, height: int, width: int, seed: int) -> np.ndarray:
    """Normals with long filters and banding: int64 (3, H, W)."""
    quantiles = [noise_quantiles(model.tails[part]).astype(int) for part in (0, 1, 1)]

    def words(*counters: int) -> list[int]:
        four = philox4x32(*(np.uint32(word % 2**32) for word in (*counters, 0)), *split_key(seed))
        return [half for word in four for half in (int(word) & 0xFFFF, int(word) >> 16)]

    drawn = np.empty((3, height + 16, width + 18), np.int64)  # from row -8 and column -9 on
    for y, pair in np.ndindex(height + 16, (width + 18) // 2):
        six = words(pair - 4, y - 8, 0)
        for part in range(3):
            drawn[part, y, 2 * pair] = quantiles[part][six[part]]
            drawn[part, y, 2 * pair + 1] = quantiles[part][six[3 + part]]
    lines = [
        np.array([[quantiles[part][words(i, 0, stream)[part]] for i in range(size)] for part in range(3)])
        for stream, size in ((1, height), (2, width))
    ]
    result = np.empty((3, height, width), np.int64)
    for part in range(3):
        across, down = model.structure.taps[min(part, 1)].astype(np.int64)
        whole = [np.concatenate([half[:0:-1], half]) for half in (across, down)]
        rows = sum(tap * drawn[part, :, 1 + k : 1 + k + width] for k, tap in enumerate(whole[0])) >> 13
        rows = rows.clip(-32767, 32767)
        pixels = sum(tap * rows[k : k + height] for k, tap in enumerate(whole[1])) >> 13
        own, row, column = model.structure.weights[min(part, 1)].astype(np.int64)
        mixed = own * pixels.clip(-32767, 32767) + row * lines[0][part][:, None] + column * lines[1][part]
        result[part] = mixed >> 14 if model.banding.any() and "banding" not in model.without else pixels
    return result.clip(-32767, 32767)


def test_the_noise_of_a_pixel_does_not_depend_on_pixels_below_and_to_the_right():
    light = light_image(0)
    for model in (camera(spatial=np.array([0.2, 0.3])), cameras.structured()):
        whole = model.dim(light, draw())
        assert np.array_equal(model.dim(np.ascontiguousarray(light[:50, :70]), draw()), whole[:50, :70])


def test_the_response_is_monotone_and_agrees_with_its_inverse():
    curve = ResponseCurve(camera().log_slopes)
    levels = np.arange(256.0)
    assert np.allclose(curve.level(curve.log_light(levels)), levels, atol=1e-6)
    assert (np.diff(curve.log_light(levels)) > 0).all()


def test_gamma_is_the_brightness_factor_at_the_reference_level():
    model = camera()
    once, half = model.dark_levels(1.0)[:, 160], model.dark_levels(0.5)[:, 160]
    assert np.allclose(half, once / 2, atol=1e-3)


def test_no_draw_makes_the_dark_image_brighter_than_the_light_one():
    for toe in (np.zeros(3), np.full(3, -5.0)):
        levels = np.arange(256, dtype=np.uint8)[None, :, None] * np.ones(3, np.uint8)
        for gamma in (1.0, 100.0):
            quiet = camera(toe=toe).dim(levels, draw(gamma=gamma, tau=0.0))
            assert (quiet <= levels).all()


def test_a_black_offset_changes_the_darkest_levels_of_its_channel_only():
    light = np.arange(256, dtype=np.uint8)[None, :, None] * np.ones(3, np.uint8)
    plain, offset = (
        camera(toe=np.array(toe)).dim(light, draw(tau=0.0))[0].astype(int)
        for toe in ([0.0, 0.0, 0.0], [4.0, 0.0, -3.0])
    )
    dark, mid, bright = (np.flatnonzero(plain[:, 1] == level) for level in (4, 12, 40))
    assert np.abs(plain[dark, 0] - offset[dark, 0] - 4 * np.exp(-4 / 6)).max() <= 1
    assert np.abs(offset[dark, 2] - plain[dark, 2] - 3 * np.exp(-4 / 6)).max() <= 1
    assert np.abs(plain[mid, 0] - offset[mid, 0] - 4 * np.exp(-12 / 6)).max() <= 1
    assert np.array_equal(plain[bright], offset[bright])
    assert np.array_equal(plain[:, 1], offset[:, 1])


@pytest.mark.parametrize("s", [0.2, -0.2])
def test_skewed_noise_has_the_skewness_of_the_model_and_the_same_mean(s):
    strength = {"log_sigma": np.full((3, 12), np.log(6.0)), "correlation": np.eye(3)}
    model = camera(log_exposure=0.0, skew=np.full((3, 12), s), **strength)
    noise = model.dim(np.full((512, 512, 3), 128, np.uint8), draw()).astype(float) - 128
    variance = 1 + 2 * s**2
    assert np.allclose(noise.mean((0, 1)), 0, atol=0.05)
    assert np.allclose(noise.var((0, 1)), 36 * variance, rtol=0.02)
    skewness = (noise**3).mean((0, 1)) / noise.std((0, 1)) ** 3
    assert np.allclose(skewness, (6 * s + 8 * s**3) / variance**1.5, atol=0.05)


def test_the_noise_has_the_levels_and_correlations_of_the_model():
    model = camera(log_exposure=0.0, log_sigma=np.log([[2.0], [1.2], [1.6]]) * np.ones((3, 12)))
    noise = model.dim(np.full((512, 512, 3), 128, np.uint8), draw()).astype(float) - 128
    rounding = 1 / 12
    assert np.allclose(noise.std((0, 1)), np.sqrt(np.array([2.0, 1.2, 1.6]) ** 2 + rounding), rtol=0.01)
    found = np.cov(noise.reshape(-1, 3).T)[np.triu_indices(3, 1)]
    assert np.allclose(found, [0.3 * 2 * 1.2, 0.1 * 2 * 1.6, 0.3 * 1.2 * 1.6], atol=0.03)
    assert np.allclose(noise.mean((0, 1)), 0, atol=0.02)


def test_tau_scales_the_noise_and_zero_gives_the_response_curve_without_noise():
    model, light = camera(), light_image(0)
    quiet = model.dim(light, draw(tau=0.0))
    levels = model.dark_levels()
    expected = np.stack([levels[c][light[..., c]] for c in range(3)], 2)
    assert np.abs(quiet - expected).max() <= 0.5 + 1e-5
    loud, normal = model.dim(light, draw(tau=2.0)), model.dim(light, draw())
    bright = expected.min(2) > 12
    ratio = (loud - expected)[bright].std() / (normal - expected)[bright].std()
    assert 1.9 < ratio < 2.05


def test_the_quantiles_of_the_noise_have_unit_variance_and_the_requested_tails():
    for tail, kurtosis in ((0.0, 3.0), (7.0, 5.0)):
        values = noise_quantiles(tail) / 4096
        assert abs(values.std() - 1) < 0.01
        assert abs((values**4).mean() / (values**2).mean() ** 2 - kurtosis) < 0.4


def test_noise_with_long_filters_has_their_autocorrelation_and_the_level_of_the_model():
    strength = {"log_sigma": np.full((3, 12), np.log(6.0)), "correlation": np.eye(3), "log_exposure": 0.0}
    model = camera(filters=cameras.long_filters(), **strength)
    noise = model.dim(np.full((512, 512, 3), 128, np.uint8), draw()).astype(float) - 128
    assert np.allclose(noise.std((0, 1)), 6.0, rtol=0.03)
    parts = noise.mean(2), noise[..., 0] - noise[..., 2]
    halves = unit_taps(cameras.long_filters())
    for part, of_part in zip(parts, halves, strict=True):
        for values, half in zip((part, part.T), of_part, strict=True):
            whole = np.concatenate([half[:0:-1], half])
            found = [(values[:, lag:] * values[:, :-lag]).mean() / values.var() for lag in (1, 2, 4, 8)]
            assert np.allclose(found, [(whole[lag:] * whole[:-lag]).sum() for lag in (1, 2, 4, 8)], atol=0.04)


def test_rows_and_columns_have_their_share_of_the_noise():
    strength = {"log_sigma": np.full((3, 12), np.log(6.0)), "correlation": np.eye(3), "log_exposure": 0.0}
    model = camera(banding=np.array([[0.1, 0.0], [0.0, 0.2]]), **strength)
    noise = model.dim(np.full((512, 512, 3), 128, np.uint8), draw()).astype(float) - 128
    assert np.allclose(noise.std((0, 1)), 6.0, rtol=0.03)
    for part, shares in ((noise.mean(2), (0.1, 0.0)), (noise[..., 0] - noise[..., 2], (0.0, 0.2))):
        found = part.mean(1).var() / part.var(), part.mean(0).var() / part.var()
        assert np.allclose(found, shares, atol=0.03)


def test_a_drawn_white_balance_changes_the_light_and_not_the_black():
    """It is a factor on the light of a channel, so the response curve applies to it."""
    model = camera()
    drawn = replace(draw(tau=0.0), balance_red=np.exp(0.2), balance_green=1.0, balance_blue=np.exp(-0.2))
    casted = replace(model, balance=np.array([0.2, 0.0, -0.2]))
    for light in (light_image(0), np.full((8, 8, 3), 120, np.uint8)):
        assert np.array_equal(model.dim(light, drawn), casted.dim(light, draw(tau=0.0)))
    black = np.zeros((8, 8, 3), np.uint8)
    assert np.array_equal(model.dim(black, drawn), model.dim(black, draw(tau=0.0)))


@pytest.mark.parametrize("off", ["white-balance-spread", "noise-spread"])
def test_spreads_that_are_switched_off_are_not_drawn(off):
    model = camera(balance_spread=(0.1, 0.05), noise_spread=0.1)
    drawn = [ImageDimmer(one, "x", "").draw("photo") for one in (model, model.switched_off(off))]
    assert model.switched_off(off).settings()["without"] == off
    changed = {name for name, value in drawn[0].record().items() if drawn[1].record().get(name) != value}
    balance = {"balance_red", "balance_green", "balance_blue"}
    assert changed == (balance if off == "white-balance-spread" else {"tau"})


def test_a_profile_of_before_draws_what_it_drew_and_one_with_spreads_is_loaded_whole(tmp_path):
    model = camera(balance_spread=(0.06, 0.03), noise_spread=0.05)
    saved = save_profile(tmp_path / "new", [model_files(model)], "camera", {}).model("camera")
    assert (saved.balance_spread, saved.noise_spread) == (model.balance_spread, model.noise_spread)
    first = open_profile("lol3@1").model("camera")
    assert (first.balance_spread, first.noise_spread) == ((0.0, 0.0), 0.0)
    drawn = ImageDimmer(first, "lol3", "").draw("photo")
    assert (drawn.tau, list(drawn.record())) == (1.0, ["gamma", "tau", "exposure", "noise_seed"])


@pytest.mark.parametrize(
    "part",
    [
        *("response", "toe", "balance", "fine-chroma", "intensity", "correlation", "tails", "skew"),
        *("spatial", "banding", "jpeg"),
    ],
)
def test_each_part_can_be_switched_off_and_is_recorded(part):
    model = camera(
        balance=np.array([0.2, 0, -0.2]),
        spatial=np.array([0.2, 0.2]),
        tail=7.0,
        jpeg_quality=80,
        toe=np.array([1.0, 0.0, 2.0]),
        skew=np.full((3, 12), 0.2),
        banding=np.full((2, 2), 0.1),
        fine_chroma=0.3,
    )
    without = model.switched_off(part)
    assert without.settings()["without"] == part
    light = light_image(0)
    assert not np.array_equal(without.dim(light, draw()), model.dim(light, draw()))


def test_an_unknown_part_is_reported():
    with pytest.raises(UsageError, match="no part flicker"):
        camera().switched_off("flicker")


def test_jpeg_compression_leaves_block_borders():
    light = light_image(0)
    plain, stored = (camera(jpeg_quality=quality).dim(light, draw()).astype(float) for quality in (0, 30))
    steps = [np.abs(np.diff(image.mean(2), axis=1)) for image in (plain, stored)]
    on_border = [step[:, 7::8].mean() / step.mean() for step in steps]
    assert on_border[0] < 1.1 < on_border[1]


@pytest.mark.parametrize("quality", [30, 75, 90, 98])
def test_the_quality_of_a_jpeg_is_estimated_from_its_tables(quality):
    stream = io.BytesIO()
    Image.fromarray(light_image(0)).save(stream, "JPEG", quality=quality)
    assert abs(jpeg_quality(stream.getvalue()) - quality) <= 1


def test_a_saved_camera_makes_the_same_images(tmp_path):
    models = camera(tail=7.0), cameras.structured(fine_chroma=0.4)
    for number, model in enumerate(models):
        check_saved(tmp_path / str(number), model)


def check_saved(tmp_path, model):
    save_profile(tmp_path / "mine", [model_files(model)], "camera", {})
    profile = open_profile(tmp_path / "mine")
    again = CameraModel.load(tmp_path / "mine", profile.models["camera"]["settings"])
    light = light_image(5)
    difference = np.abs(again.dim(light, draw()).astype(int) - model.dim(light, draw()))
    assert difference.max() <= 1  # float32 in the file may change the rounding of a table entry
    assert (difference > 0).mean() < 1e-3


def test_dark_as_the_pairs_means_their_distribution_of_lightness_and_wide_is_wider(monkeypatch):
    known = camera().log_sigma  # noise takes most of a fit's time, and decides no brightness
    monkeypatch.setattr(
        "dimmagen.dimmers.camera.fit.fit_noise", lambda model, *_: replace(model, log_sigma=known)
    )
    pairs = pairs_of(camera(), exposures=(0.5, 0.7, 1.0, 1.4, 2.0))
    model = fit_camera(pairs)
    real = np.log([pair.dark.mean() for pair in pairs])

    def made(brightness):
        dimmer = ImageDimmer(model, "phone", "0" * 64, brightness=brightness)
        darks = (dimmer.dim(pair.light, dimmer.draw(f"{pair.name}-{n}")) for pair in pairs for n in range(40))
        return np.log([dark.mean() for dark in darks])

    as_pairs, wide = made("as-pairs"), made("wide")
    assert abs(as_pairs.mean() - real.mean()) < 0.12
    assert abs(as_pairs.std() / real.std(ddof=1) - 1) < 0.2
    assert wide.std() > 1.2 * as_pairs.std()
