"""evaluate, as a user types it."""

import json
from pathlib import Path

import pytest

NETWORK = ("--network", "network")


def test_images_too_small_for_a_metric_are_scored_by_the_others(run):
    code, _, err = run("evaluate", *NETWORK, "--pairs", "small", "--json", "small.json")
    assert code == 0
    assert "ssim_rgb is skipped: pair 0 is 10x8, ssim_rgb needs 11 pixels per side" in err
    scores = json.loads(Path("small.json").read_text())["mean"]["truth"]
    assert set(scores) == {"psnr", "delta_e76", "delta_e2000"}


def test_a_file_of_one_backbone_gives_the_metric_of_that_one(run, made_lpips):
    weights = made_lpips / "lpips_alexnet.safetensors"
    code, out, err = run("evaluate", *NETWORK, "--pairs", "pairs", "--lpips-weights", weights)
    assert code == 0
    assert "LPIPS alex" in out
    assert "LPIPS vgg" not in out
    assert "lpips_vgg is skipped" in err
    words = ["evaluate", *NETWORK, "--pairs", "pairs", "--lpips-weights", weights]
    assert run(*words, "--metrics", "psnr,lpips_vgg")[0] == 1


def test_a_table_for_a_file_is_not_cut_to_the_terminal(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    code, out, _ = run("evaluate", *NETWORK, "--pairs", "pairs", "--metrics", "psnr,ssim_gray")
    assert code == 0
    for whole in ("lightness", "GT-mean", "SSIM gray", "truth's"):
        assert whole in out


def test_results_may_be_scored_at_exactly_the_lightness_of_the_truth(run):
    words = ["evaluate", *NETWORK, "--pairs", "pairs", "--metrics", "psnr"]
    for options, exact in (([], False), (["--exact-lightness"], True)):
        code, out, _ = run(*words, *options, "--json", "scores.json")
        assert code == 0
        assert ("exact lightness" in out) == exact
        scores = json.loads(Path("scores.json").read_text())
        assert scores["exact_lightness"] == exact
        off = [abs(one["lightness_asked"] - one["lightness_achieved"]) for one in scores["pictures"]]
        assert (max(off) < 2e-4) == exact


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluate", *NETWORK, "--pairs", "small", "--metrics", "ssim_rgb"], "needs 11 pixels"),
        (["evaluate", *NETWORK, "--pairs", "pairs", "--json", "s3://b/j"], "is a URL"),
        (["evaluate", *NETWORK, "--pairs", "pairs", "--metrics", "beauty"], "no metric 'beauty'"),
        (["evaluate", *NETWORK, "--pairs", "pairs", "--metrics", "niqe"], "--niqe-model"),
    ],
)  # fmt: skip
def test_an_evaluation_that_cannot_begin_is_refused_and_overwrites_nothing(refused, words, message):
    assert message in refused(*words)
