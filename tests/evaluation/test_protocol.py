"""The protocol: four settings per image, means over images."""

import json

import numpy as np
import pytest

from dimmagen.core.errors import UnknownNameError, UsageError
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.evaluation.protocol import SETTINGS, load_metrics, mean_scores, score, scores_as_json
from dimmagen.images.sheets import image_grid
from dimmagen.metrics import image
from dimmagen.metrics.base import METRICS, ImageMetric, MetricFiles


class Flat:
    """Gives an image of exactly the requested lightness, but two levels off in one channel."""

    def enhance(self, dark, lightness):
        light = np.full(dark.shape, round(lightness * 255), np.uint8)
        light[..., 0] += 2
        return light


@pytest.fixture(scope="module")
def scored():
    pairs = [
        RealPair(name, np.full((16, 16, 3), 5, np.uint8), np.full((16, 16, 3), level, np.uint8), "", "")
        for name, level in (("a", 100), ("b", 180))
    ]
    return list(score(Flat(), pairs, {"psnr": image.PSNR.scorer(MetricFiles())}, fixed_lightness=0.2))


def psnr_of(error):
    return 10 * np.log10(255**2 / error)


def test_each_image_is_scored_at_the_truths_and_at_a_fixed_lightness_with_and_without_gt_mean(scored):
    first = scored[0].scores
    assert list(first) == ["truth", "truth+gt-mean", "fixed", "fixed+gt-mean"]
    assert first["truth"]["psnr"] == pytest.approx(psnr_of(4 / 3))
    assert first["fixed"]["psnr"] == pytest.approx(psnr_of((47**2 + 2 * 49**2) / 3))
    assert first["fixed+gt-mean"]["psnr"] > 30
    assert scored[0].asked == pytest.approx(100 / 255)
    assert scored[0].achieved == pytest.approx((100 + 2 / 3) / 255)


class Tinted:
    """Gives a picture without blue, whose mean luma is the lightness that it is asked for."""

    def enhance(self, dark, wanted):
        light = np.full(dark.shape, round(wanted * 255 / 0.886), np.uint8)
        light[..., 2] = 0
        return light


def test_gt_mean_leaves_an_output_of_the_truths_luma_as_it_is_whatever_its_mean_level():
    truth = np.full((16, 16, 3), 93, np.uint8)
    pair = RealPair("a", truth // 9, truth, "", "")
    (one,) = score(Tinted(), [pair], {"psnr": image.PSNR.scorer(MetricFiles())}, fixed_lightness=0.2)
    plain, scaled, fixed, fixed_scaled = (one.scores[setting.name]["psnr"] for setting in SETTINGS)
    assert plain == scaled == fixed_scaled > fixed


def test_mean_scores_are_the_means_over_the_images(scored):
    for setting, values in mean_scores(scored).items():
        assert values["psnr"] == pytest.approx(np.mean([one.scores[setting]["psnr"] for one in scored]))


def test_a_score_that_is_not_defined_is_left_out_of_the_mean_and_null_in_the_json():
    pairs = [
        RealPair(name, np.full((16, 16, 3), 5, np.uint8), np.full((16, 16, 3), 100, np.uint8), "", "")
        for name in ("a", "b", "c")
    ]
    values = iter([np.nan, 3.0, 5.0, np.inf] + [np.nan] * 8)
    # Per image: truth, truth with GT-mean, fixed, fixed with GT-mean.
    scored = list(score(Flat(), pairs, {"niqe": lambda *images: next(values)}, fixed_lightness=0.2))
    means = mean_scores(scored)
    assert np.isnan(means["truth"]["niqe"])
    assert means["truth+gt-mean"]["niqe"] == 3.0
    written = json.loads(json.dumps(scores_as_json(scored, 0.2), allow_nan=False))
    assert written["mean"]["truth"]["niqe"] is None
    assert written["mean"]["fixed"]["niqe"] == 5.0
    assert written["pictures"][0]["fixed+gt-mean"]["niqe"] is None


def test_the_json_holds_the_protocols_name_and_every_number(scored):
    written = scores_as_json(scored, 0.2)
    assert written["protocol"] == "dimmagen-1"
    assert written["fixed_lightness"] == 0.2
    assert [one["name"] for one in written["pictures"]] == ["a", "b"]
    assert written["pictures"][1]["truth"] == scored[1].scores["truth"]


def test_only_the_requested_metrics_are_loaded_in_the_order_of_the_registry():
    loaded, failures = load_metrics(["ssim_gray", "psnr"], MetricFiles())
    assert list(loaded) == ["psnr", "ssim_gray"]
    assert failures == {}


def test_without_names_a_metric_whose_files_are_missing_is_left_out_with_the_reason():
    loaded, failures = load_metrics(None, MetricFiles())
    assert "psnr" in loaded
    assert "niqe" not in loaded
    assert "niqe_model" in str(failures["niqe"])


def test_a_named_metric_whose_files_are_missing_is_an_error():
    with pytest.raises(UsageError, match="niqe_model"):
        load_metrics(["niqe"], MetricFiles())


def test_a_metric_that_takes_the_dark_image_is_given_the_one_that_was_enhanced(monkeypatch):
    def brightened(output, truth, dark):
        return float(output.mean()) / float(dark.mean())

    metric = ImageMetric.of("brightened by", brightened, takes_dark=True)
    monkeypatch.setattr(METRICS, "_loaded", {**METRICS._loaded, "brightened": metric})
    loaded, _ = load_metrics(["psnr", "brightened"], MetricFiles())
    pair = RealPair("a", np.full((16, 16, 3), 5, np.uint8), np.full((16, 16, 3), 100, np.uint8), "", "")
    (one,) = score(Flat(), [pair], loaded, fixed_lightness=0.2)
    assert one.scores["truth"]["brightened"] == pytest.approx((100 + 2 / 3) / 5)
    assert one.scores["truth"]["psnr"] == pytest.approx(psnr_of(4 / 3))


def test_an_unknown_metric_is_refused_before_anything_is_scored():
    with pytest.raises(UnknownNameError, match="did you mean psnr"):
        load_metrics(["pnsr"], MetricFiles())


def test_a_sheet_reduces_large_images_and_never_enlarges():
    large, small = np.zeros((400, 1000, 3), np.uint8), np.zeros((10, 20, 3), np.uint8)
    drawn = image_grid([[("large", large), ("small", small)]])
    black = (drawn == 0).all(axis=2)
    assert black[:, :330].any(axis=0).sum() == 320
    assert black[30:, 330:].any(axis=0).sum() <= 20
