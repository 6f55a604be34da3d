"""The realism suite: its ranking of dimmers, its independence of the workers, its JSON and its report."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image
from scipy.ndimage import gaussian_filter
from simulated_camera import SimulatedCamera, simulated_light

from dimmagen.core import keyed_random
from dimmagen.core.errors import UsageError
from dimmagen.dimmers.dimmer import Draw, ImageDimmer
from dimmagen.dimmers.real_pairs import RealPair, load_pairs
from dimmagen.evaluation.dimming_methods import match_gamma
from dimmagen.evaluation.realism import dump, evaluate_dimmers
from dimmagen.evaluation.realism_plots import pooled_noise
from dimmagen.evaluation.realism_report import html_report
from dimmagen.evaluation.realism_results import MODES, REAL
from dimmagen.evaluation.realism_summary import ALL_MEASURES, best_dimmers, summarise, summary_as_json
from dimmagen.evaluation.realism_verdict import _amount
from dimmagen.metrics.realism import Reference, measure
from dimmagen.metrics.realism.measures import Measured
from tests.killing import kill_at_replace, unfinished

CAMERA = SimulatedCamera()


@dataclass(frozen=True)
class SimulatedModel:
    """A dimmer model that is a simulated camera; its brightness is proportional to gamma to a power."""

    camera: SimulatedCamera = CAMERA
    power: float = 1.0
    spread: float = 0.0  # of a brightness that the model draws itself, like some closed-form models
    kind: str = "simulated"
    gamma_range: tuple[float, float] = (0.5, 2.0)
    tau: float = 1.0
    exposure_spread: float = 0.0

    def dim(self, light: np.ndarray, draw: Draw) -> np.ndarray:
        own = np.exp(self.spread * keyed_random.normal(draw.noise_seed, "", 0, "own"))
        mean = self.camera.mean * light.mean() / 128 * draw.gamma**self.power * draw.exposure * own
        return replace(self.camera, mean=mean).shoot(light, draw.noise_seed)

    def settings(self) -> dict:
        return {"power": self.power}


class LikelihoodModel(SimulatedModel):
    def negative_log_likelihood(self, light: np.ndarray, dark: np.ndarray) -> float:
        return -4.0


def dimmer(model: SimulatedModel) -> ImageDimmer:
    return ImageDimmer(model, "simulated", "0" * 64)


def scene(index: int, side: int = 160) -> RealPair:
    light = simulated_light(index, side, side + 32)
    dark = SimulatedModel().dim(light, Draw(1.0, 1.0, 1.0, noise_seed=1000 + index))
    return RealPair(f"scene-{index}", dark, light, "", "")


@pytest.fixture(scope="module")
def pairs():
    return [scene(index) for index in range(4)]


@pytest.fixture(scope="module")
def dimmers():
    return {
        "true": dimmer(LikelihoodModel()),
        "noisy": dimmer(SimulatedModel(replace(CAMERA, luma=3.0))),
        "<tinted>": dimmer(SimulatedModel(replace(CAMERA, cast=(1.1, 1.0, 0.9)))),
    }


@pytest.fixture(scope="module")
def results(dimmers, pairs):
    return evaluate_dimmers(dimmers, pairs, draws=2)


@pytest.fixture(scope="module")
def summary(results):
    return summarise(results)


@pytest.mark.parametrize("name", ["luma_noise", "luma_kl", "colour_error", "chromaticity_error", "auc"])
@pytest.mark.parametrize("mode", MODES)
def test_the_dimmer_that_is_the_camera_is_never_beaten(summary, dimmers, name, mode):
    measure = next(one for one in ALL_MEASURES if one.name == name)
    assert "true" in best_dimmers(summary, measure, mode, dimmers)


def test_noise_and_colour_defects_appear_in_the_summary(summary):
    assert summary["noisy"]["matched"]["luma_noise"].mean == pytest.approx(np.log2(1.5), abs=0.05)
    assert summary["<tinted>"]["matched"]["chromaticity_error"].mean > 1.5
    assert summary["noisy"]["gamma1"]["auc"].mean > 0.9 > summary["true"]["gamma1"]["auc"].mean


@pytest.mark.parametrize("name", ["luma_noise", "chroma_noise", "luma_kl", "chroma_kl"])
def test_the_real_halves_are_close_to_ideal_and_plain_curves_are_not(summary, name):
    floor, plain = summary[REAL]["gamma1"][name], summary["plain linear"]["gamma1"][name]
    assert floor.mean_absolute < 0.05
    assert plain.mean_absolute > 0.5


def test_the_likelihood_is_reported_only_for_models_that_have_one(summary):
    assert summary["true"]["gamma1"]["nll"].mean == -4.0
    assert "nll" not in summary["noisy"]["gamma1"]


class BalancedModel(SimulatedModel):
    balance_spread = (0.3, 0.1)

    def dim(self, light: np.ndarray, draw: Draw) -> np.ndarray:
        dark = super().dim(light, draw) * np.exp(draw.balance)
        return dark.clip(0, 255).round().astype(np.uint8)


@pytest.mark.parametrize("mode", MODES)
def test_what_differs_between_scenes_is_drawn_for_the_two_sample_test_alone(results, pairs, mode):
    """A measure of one image is at the centre of the draws, which no dimmer can know for a scene."""
    drawn = evaluate_dimmers({"true": dimmer(BalancedModel())}, pairs[:2], draws=2)
    shifts = []
    for before, after in zip(results, drawn, strict=False):
        one, other = before.method("true", mode), after.method("true", mode)
        if mode in ("gamma1", "matched"):
            assert one.values == other.values
        shifts.append(np.abs(one.features[1] - other.features[1])[:, 4].mean())
    assert min(shifts) > 0.001  # of a share of the channels; without draws it is 0


@pytest.mark.parametrize("mode", MODES)
def test_every_draw_of_a_pair_is_another_image(results, mode):
    first, second = results[0].method("true", mode).values
    assert first["luma_noise"] != second["luma_noise"]


def test_the_exposure_is_drawn_as_for_a_data_set_and_only_where_the_mode_says_so(pairs):
    varied = dimmer(SimulatedModel(exposure_spread=0.3))
    results = evaluate_dimmers({"varied": varied}, pairs[:2], draws=2, seed=5)
    for pair, result in zip(pairs[:2], results, strict=True):
        for index in range(2):
            draw = replace(varied.draw(pair.name, index, seed=5), gamma=1.0)
            assert draw.exposure != 1.0
            for mode, used in (("drawn", draw), ("gamma1", replace(draw, exposure=1.0))):
                error = result.method("varied", mode).values[index]["mean_error"]
                assert error == pytest.approx(varied.dim(pair.light, used).mean() - pair.dark.mean())


def test_the_numbers_do_not_depend_on_the_number_of_workers(dimmers, pairs):
    one, two = (
        summarise(evaluate_dimmers(dimmers, pairs[:2], draws=1, workers=workers)) for workers in (1, 2)
    )
    assert one == two


def test_the_numbers_of_one_dimmer_do_not_depend_on_the_others(dimmers, pairs, summary):
    alone = summarise(evaluate_dimmers({"noisy": dimmers["noisy"]}, pairs, draws=2))
    assert alone["noisy"] == summary["noisy"]


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("mean", [6.0, 25.0, 70.0])
def test_a_gamma_is_found_for_a_mean_whatever_its_effect_on_the_image(power, mean, index):
    light = simulated_light(5, 160, 160)
    model = dimmer(SimulatedModel(power=power, spread=0.3))
    gamma = match_gamma(model, light, "pair", index, mean, seed=0)
    draw = Draw(gamma, 1.0, 1.0, keyed_random.bits63(0, "pair", index, "noise"))
    assert model.dim(light, draw).mean() == pytest.approx(mean, rel=0.02)


def test_a_mean_that_no_gamma_gives_shows_as_a_mean_error(pairs):
    class Stubborn(SimulatedModel):
        def dim(self, light, draw):
            return super().dim(light, replace(draw, gamma=0.5))

    results = evaluate_dimmers({"stubborn": dimmer(Stubborn())}, pairs[:2], draws=1)
    assert summarise(results)["stubborn"]["matched"]["mean_error"].mean < -8


def test_a_single_pair_is_refused(dimmers, pairs):
    with pytest.raises(UsageError, match="at least two"):
        evaluate_dimmers(dimmers, pairs[:1])


def test_images_too_small_for_a_patch_have_no_two_sample_test():
    small = [scene(index, side=24) for index in range(2)]
    small = [replace(p, dark=p.dark[:, :24].copy(), light=p.light[:, :24].copy()) for p in small]
    summary = summarise(evaluate_dimmers({"true": dimmer(SimulatedModel())}, small, draws=1))
    assert "auc" not in summary["true"]["gamma1"]
    assert "mean_error" in summary["true"]["gamma1"]


def test_the_interval_contains_the_mean_and_depends_only_on_the_seed(results, summary):
    for modes in summary.values():
        for estimates in modes.values():
            assert all(e.low - 1e-9 <= e.mean <= e.high + 1e-9 for e in estimates.values())
    assert summarise(results) == summary
    assert summarise(results, seed=1) != summary


def test_the_json_holds_every_number_as_a_finite_value(summary, results, dimmers):
    text = json.dumps(summary_as_json(summary, results, dimmers, {"seed": 0}), allow_nan=False)
    content = json.loads(text)
    true = next(c for c in content["contenders"] if c["label"] == "true")
    assert true["modes"]["gamma1"]["luma_kl"]["mean"] == summary["true"]["gamma1"]["luma_kl"].mean
    assert true["dimmer"]["model"] == "simulated"
    assert true["pairs"][0]["nll"] == -4.0
    assert len(true["pairs"]) == len(MODES) * len(results)
    assert [c["floor"] for c in content["contenders"]] == [False, False, False, True, True, True]


def test_the_report_is_a_self_contained_file(summary, results, dimmers, pairs):
    html = html_report(summary, results, dimmers, pairs, {"pairs": 4, "draws": 2, "seed": 0})
    sources = re.findall(r"(?:src|href)=(['\"]?)(.{12})", html)
    assert sources
    assert all(start.startswith("data:image/") for _, start in sources)
    assert html.count("data:image/svg+xml") == 4
    assert html.count("data:image/png") == 2 * 3 * (2 + len(dimmers) + 2)  # whole and detail, 3 pairs
    assert "&lt;tinted&gt;" in html
    assert "<tinted>" not in html


def test_the_noise_curve_grows_in_intensity_and_is_a_mean_of_what_was_measured():
    nan = np.nan
    images = [
        SimpleNamespace(luma_curve=np.array([nan, 2, 3, 1]), intensity=np.array([9, 5, 30, 1.0])),
        SimpleNamespace(luma_curve=np.array([nan, 2, nan, 5]), intensity=np.array([9, 7, 90, 3.0])),
    ]
    intensity, deviation = pooled_noise(images, "luma_curve")
    assert intensity.tolist() == [2, 6, 30]
    assert deviation == pytest.approx([13**0.5, 2, 3])


@pytest.mark.parametrize(("factor", "shown"), [(1.02, "+2%"), (0.94, "-6%"), (0.999, "0%"), (1.001, "0%")])
def test_no_difference_of_noise_has_no_sign(factor, shown):
    assert _amount(np.log2(factor)) == shown


def numbers_by_definition(real, light, dark):
    """Some of the numbers of docs/realism.md, from whole pictures, uint8 (H, W, 3) each."""
    real, light, dark = (image.astype(float) for image in (real, light, dark))
    blurred = gaussian_filter(light.mean(2), 2)
    variance = gaussian_filter((light.mean(2) - blurred) ** 2, 2)
    clipped = np.pad(light.max(2) >= 250, 4)
    unsaturated = ~sliding_window_view(clipped, (9, 9)).any((2, 3))
    flat = unsaturated & (variance <= np.quantile(variance[unsaturated], 0.4))
    scaled = dark * real.mean() / dark.mean()
    luma, chroma, shares, correlations, lags = [], [], [], [], []
    for image in (real, dark):
        noise = image - gaussian_filter(image, (1.5, 1.5, 0))
        gray = noise.mean(2)
        luma.append(gray[flat].std())
        chroma.append((noise - gray[:, :, None])[flat].std())
        counts = np.array(
            [(np.clip(np.rint(gray[flat]), -20, 20) == level).sum() + 0.5 for level in range(-20, 21)]
        )
        shares.append(counts / counts.sum())
        matrix = np.corrcoef(noise[flat].T)
        correlations.append(np.array([matrix[0, 1], matrix[0, 2], matrix[1, 2]]))
        lags.append(np.mean(gray[:, 1:] * gray[:, :-1]) / np.mean(gray**2))
    sorted_levels = (np.sort(image.reshape(-1, 3), axis=0) for image in (real, scaled))
    return {
        "mean_error": dark.mean() - real.mean(),
        "histogram_distance": np.abs(np.subtract(*sorted_levels)).mean(),
        "luma_noise": np.log2(luma[1] / luma[0]),
        "chroma_noise": np.log2(chroma[1] / chroma[0]),
        "luma_kl": np.sum(shares[0] * np.log(shares[0] / shares[1])),
        "channel_correlation": np.abs(correlations[0] - correlations[1]).mean(),
        "lag1_picture": abs(lags[0] - lags[1]),
    }


def test_dumped_images_leave_nothing_of_a_killed_run(pairs, tmp_path, monkeypatch):
    dimmers = {"linear": ImageDimmer.from_profile("linear")}
    kill_at_replace(monkeypatch, lambda: dump(dimmers, pairs[:1], tmp_path))
    assert len(unfinished(tmp_path)) == 1
    dump(dimmers, pairs[:1], tmp_path)
    assert unfinished(tmp_path) == []


def test_the_numbers_of_the_dumped_images_are_those_of_their_definitions(pairs, tmp_path):
    dump({"a:linear": ImageDimmer.from_profile("linear")}, pairs[:2], tmp_path)
    for pair in pairs[:2]:
        dark = np.asarray(Image.open(tmp_path / "a-linear" / f"{pair.name}.png"))
        reference = Reference(pair.dark, pair.light)
        measured = measure(reference, Measured(dark, reference))
        for name, value in numbers_by_definition(pair.dark, pair.light, dark).items():
            assert measured[name] == pytest.approx(value, abs=1e-3), name


@pytest.mark.needs("links")
def test_an_independent_script_finds_the_same_numbers_in_the_dumped_images(shared_data, tmp_path):
    script = shared_data.parent / "tools" / "realism.py"
    if not script.is_file():
        pytest.skip(f"there is no independent script at {script}")
    names = ["97", "482", "107"]
    real = shared_data / "lol" / "dev15"
    for side in ("low", "high"):
        (tmp_path / side).mkdir()
        for name in names:
            (tmp_path / side / f"{name}.png").symlink_to(real / side / f"{name}.png")
    held_out = load_pairs(tmp_path)
    dump({"a:linear": ImageDimmer.from_profile("linear")}, held_out, tmp_path / "dump")
    folder = tmp_path / "dump" / "a-linear"

    command = [sys.executable, str(script), *map(str, (tmp_path / "low", tmp_path / "high", folder))]
    row = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    independent = [float(number) for number in re.findall(r"(?<=[ |])[+-]?\d+\.\d+", row)]

    ours = []
    for pair in held_out:
        reference = Reference(pair.dark, pair.light)
        synthetic = np.asarray(Image.open(folder / f"{pair.name}.png"))
        ours.append(measure(reference, Measured(synthetic, reference)))
    mean = {name: np.mean([one[name] for one in ours]) for name in ours[0]}
    mean_absolute = {name: np.mean([abs(one[name]) for one in ours]) for name in ours[0]}
    assert independent == pytest.approx(
        [
            mean_absolute["mean_error"],
            mean["histogram_distance"],
            mean["luma_kl"],
            mean["luma_noise"],
            mean_absolute["luma_noise"],
            mean["chroma_noise"],
            mean_absolute["chroma_noise"],
            mean["channel_correlation"],
            mean["lag1_picture"],
        ],
        abs=0.0101,
    )
