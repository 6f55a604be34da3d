"""evaluate, as a user types it."""

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.quick_training import QUICK

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


def test_scores_on_pairs_that_the_network_was_trained_on_are_told(run):
    """LOL v1's training pairs are among LOL v2's evaluation pairs, under other names."""
    tune = ["finetune", "--pairs", "pairs", "--iterations", 1, *QUICK]
    assert run(*tune, *NETWORK, "--out", "tuned", "--hold-out", "1")[0] == 0
    shutil.copytree("pairs", "renamed")
    for side in ("low", "high"):
        Path(f"renamed/{side}/0.png").rename(f"renamed/{side}/00690.png")
    for network, pairs, said in (
        ("network", "pairs", None),
        ("tuned", "pairs", "0, 2"),
        ("tuned", "renamed", "2, 00690"),
    ):
        words = ["evaluate", "--network", network, "--pairs", pairs, "--metrics", "psnr", "--json", "s.json"]
        code, _, err = run(*words)
        assert code == 0
        trained_on = json.loads(Path("s.json").read_text())["trained_on"]
        assert trained_on == (said.split(", ") if said else [])
        assert (f"Note: the network was trained on {said}: its scores are optimistic" in err) == bool(said)
    again = ["finetune", "--pairs", "pairs", "--names", "1", "--iterations", 1, *QUICK]
    assert run(*again, "--network", "tuned", "--out", "again")[0] == 0  # what it was tuned from counts, too
    _, _, err = run("evaluate", "--network", "again", "--pairs", "pairs", "--metrics", "psnr")
    assert "Note: the network was trained on all of these pairs" in err
    mixed = ["train", "--data", "shards", "--mix-pairs", "pairs", "--names", "2", "--iterations", 1, *QUICK]
    assert run(*mixed, "--out", "mixed", "--validation-photos", 2)[0] == 0
    _, _, err = run("evaluate", "--network", "mixed", "--pairs", "pairs", "--metrics", "psnr")
    assert "Note: the network was trained on 2: " in err
