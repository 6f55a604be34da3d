"""train and finetune, as a user types them, up to the scores of what they trained."""

import json
import shutil
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from dimmagen import __version__
from dimmagen.cli import train as command
from dimmagen.core.errors import DimmagenError
from dimmagen.core.threads import torch_threads
from dimmagen.enhance import loop, training
from dimmagen.enhance.checkpoints import load_tensors
from dimmagen.enhance.state import TrainSettings
from dimmagen.enhance.step import Step
from dimmagen.enhance.training import TrainConfig, run_training
from dimmagen.images.codec import decode_rgb8
from tests.cli.quick_training import QUICK

VGG = ("--crop", "32", "--validation-photos", "2", "--perceptual", "vgg")
NETWORK = ("--network", "network")
PAIRS = ("--pairs", "pairs", "--out", "new")
NO_PHOTOS, FEW = (*QUICK, "--validation-photos", "0"), (*QUICK, "--validation-photos", "2")


def image(path):
    return decode_rgb8(Path(path).read_bytes())[0]


def test_shards_to_a_network_to_scores(run, place):
    code, out, _ = run("finetune", *NETWORK, "--pairs", "pairs", "--out", "tuned", "--iterations", 4, *QUICK)
    assert code == 0
    assert "tuned is trained: 4 iterations, best PSNR" in out

    code, out, err = run(
        "evaluate", "--network", "tuned", "--pairs", "pairs", "--names", "0,2", "--json", "scores.json",
        "--sheet", "sheet.png", "--metrics", "psnr,ssim_gray",
    )  # fmt: skip
    assert code == 0, err
    assert "2 images, protocol dimmagen-1" in out
    scores = json.loads((place / "scores.json").read_text())
    assert [one["name"] for one in scores["pictures"]] == ["0", "2"]
    assert f"{scores['mean']['truth']['psnr']:.2f}" in out
    assert image("sheet.png").shape[1] > 3 * 320


def test_pairs_held_out_choose_the_network_and_are_not_trained_on(run, monkeypatch):
    seen = {"trained": set(), "validated": set()}

    def optimise(forward, state, loss, batch, *_):
        seen["trained"] |= set(batch.keys)
        return Step(state.iteration, batch.keys, 0.0, ("loss", "gradient"), torch.zeros(2))

    def validate(network, pairs, see):
        seen["validated"] |= {pair.name for pair in pairs}
        return 1.0

    monkeypatch.setattr("dimmagen.enhance.loop.optimise", optimise)
    monkeypatch.setattr("dimmagen.enhance.loop.validate", validate)
    monkeypatch.setattr("dimmagen.enhance.state.TrainState.save", lambda *_: None)
    monkeypatch.setattr("dimmagen.cli.train.RunFolder.header", lambda *_: {"iteration": 4, "best_psnr": 1.0,
                                                                          "best_iteration": 4})  # fmt: skip
    words = [
        "finetune",
        "--network",
        "network",
        "--pairs",
        "pairs",
        "--out",
        "held",
        "--iterations",
        4,
        *QUICK,
    ]
    assert run(*words, "--hold-out", "1, 2")[0] == 0
    assert seen == {"trained": {"0"}, "validated": {"1", "2"}}


class Distance(torch.nn.Module):
    """Takes the place of LPIPS."""

    def __init__(self, weight):
        super().__init__()
        self.weight = weight

    def use_memory_format(self, channels_last):
        pass

    def sha256(self):
        return str(self.weight)

    def forward(self, first, second):
        return self.weight * (first - second).abs().mean((1, 2, 3))


MIX = ("--mix-pairs", "pairs", "--mix-share", 0.5)


def test_real_pairs_are_mixed_into_the_batches_of_a_data_set(run, place, monkeypatch):
    seen = []
    optimise = loop.optimise

    def see(forward, state, loss, batch, *rest):
        seen.extend(batch.keys)
        return optimise(forward, state, loss, batch, *rest)

    monkeypatch.setattr("dimmagen.enhance.loop.optimise", see)
    words = [
        "train",
        "--data",
        "shards",
        "--out",
        "mixed",
        "--iterations",
        4,
        *QUICK,
        *MIX,
        "--hold-out",
        "1",
    ]
    code, out, err = run(*words)
    assert code == 0, err
    assert sorted(key for key in seen if len(key) == 1) == ["0"] * 4 + ["2"] * 4
    assert "dB on 1 pair held out from training" in out
    stored = json.loads((place / "mixed" / "run.json").read_text())
    assert stored["mix_share"] == 0.5

    code, _, err = run(*words, *MIX[:2], "--mix-share", 0.25)
    assert code == 2
    assert "mix_share was 0.5, is 0.25" in err
    shutil.copy(place / "pairs" / "low" / "0.png", place / "kept.png")
    (place / "pairs" / "low" / "0.png").write_bytes((place / "pairs" / "low" / "2.png").read_bytes())
    code, _, err = run(*words, *MIX)
    shutil.move(place / "kept.png", place / "pairs" / "low" / "0.png")
    assert code == 2
    assert "mix_sha256 was" in err


def test_a_run_without_mixed_pairs_can_be_continued_by_what_knows_nothing_of_them(run, place):
    assert not [name for name in json.loads((place / "network" / "run.json").read_text()) if "mix" in name]


def test_as_typed_it_trains_without_weights_of_lpips_and_says_so(run, place, monkeypatch):
    monkeypatch.setitem(sys.modules, "lpips", None)
    words = ["train", "--data", "shards", "--out", "typed", "--iterations", 1, "--validation-photos", 1]
    code, out, err = run(*words, "--crop", 32)
    assert code == 0, err
    assert "perceptual loss: none, as the weights of LPIPS are not available" in out + err
    assert "dB on 1 photo kept back from training" in out
    assert json.loads((place / "typed" / "run.json").read_text())["perceptual"] == "none"


def test_weights_that_are_at_hand_are_used_as_typed(run, place, monkeypatch):
    monkeypatch.setattr("dimmagen.enhance.training.load_lpips", lambda *_: Distance(1))
    words = ["train", "--data", "shards", "--out", "lpips", "--iterations", 1, "--validation-photos", 1]
    code, out, err = run(*words, "--crop", 32)
    assert code == 0, err
    assert "perceptual loss: LPIPS with VGG16" in out + err
    stored = json.loads((place / "lpips" / "run.json").read_text())
    assert (stored["perceptual"], stored["lpips_sha256"]) == ("vgg", "1")
    code, _, err = run(*words, "--crop", 32, "--perceptual", "none")
    assert code == 2
    assert "perceptual was vgg, is none" in err


def test_weights_that_are_named_and_missing_are_an_error(run, tmp_path):
    words = ["train", "--data", "shards", "--out", "lpips-missing", "--iterations", 1, "--crop", 32]
    code, _, err = run(*words, "--validation-photos", 1, "--lpips-weights", tmp_path)
    assert code == 2
    assert "there are no LPIPS weights at" in err


def test_finetune_says_on_which_pairs_its_psnr_is(run):
    words = ["finetune", *NETWORK, "--pairs", "pairs", "--iterations", 1, *QUICK]
    _, out, _ = run(*words, "--out", "tuned-all")
    assert "dB on the 3 pairs it was trained on at iteration" in out
    _, out, _ = run(*words, "--out", "tuned-held", "--hold-out", "0,1")
    assert "dB on 2 pairs held out from training" in out
    _, out, _ = run(*words, "--out", "tuned-validate", "--validate", "small")
    assert "dB on the 1 pair of small" in out


@pytest.mark.parametrize(
    ("words", "notes"),
    [
        ("train --data gone --lpips-weights x --perceptual-weight 1 --perceptual none", 2),
        ("train --data gone --mix-share 0.2 --validation-photos 3 --validate pairs", 2),
        ("train --pairs gone --validation-photos 3 --lpips-weights x", 1),
        ("train --data gone --mix-share 0.2 --mix-pairs pairs --validation-photos 3 --lpips-weights x", 0),
        ("finetune --network gone --pairs pairs --perceptual-weight 1 --perceptual none", 1),
    ],
)
def test_an_option_that_changes_nothing_beside_the_others_is_told(run, words, notes):
    code, _, err = run(*words.split(), "--out", "new")
    assert (code, err.count("has no effect with")) == (2, notes)


def test_a_dry_run_says_what_training_takes_and_writes_nothing(run, place):
    before = set(place.rglob("*"))
    code, out, err = run("train", "--data", "shards", "--out", "dry", "--iterations", 500, *FEW, "--dry-run")
    assert code == 0, err
    assert "compact on cpu: " in out
    assert "iterations/s, measured over" in out
    assert "for 500 iterations, of which" in out
    assert "for 250 validations" in out
    assert set(place.rglob("*")) == before
    assert run("finetune", *NETWORK, "--pairs", "pairs", "--out", "dry", *QUICK, "--dry-run")[0] == 0
    assert set(place.rglob("*")) == before


def test_a_network_says_what_it_was_trained_on_and_by_what(run, place, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    manifest = json.loads((place / "shards" / "manifest.json").read_text())
    for path in ("network", "network/best.safetensors"):
        code, out, _ = run("inspect", path)
        assert code == 0
        for text in ("compact", "shards", manifest["root_hash"], manifest["settings"]["profile"],
                     f"dimmagen {__version__}", "photos kept back from training"):  # fmt: skip
            assert text in out, text
    stored = json.loads((place / "network" / "run.json").read_text())
    assert stored["made_by"]["data"]["root_hash"] == manifest["root_hash"]
    checkpoint = load_tensors(place / "network" / "checkpoint.safetensors").header
    assert checkpoint["data"] == stored["made_by"]["data"]
    assert checkpoint["made_by"]["dimmagen"] == __version__
    assert run("inspect", "network", "--sheet", "s.png")[0] == 2


def test_each_validation_leaves_a_strip_of_pictures(run, place):
    assert {path.name for path in (place / "network" / "validation").iterdir()} == {"2.png", "4.png"}
    words = ["train", "--data", "shards", "--out", "plain", "--iterations", 2, *FEW]
    assert run(*words, "--validation-images", 0)[0] == 0
    assert not (place / "plain" / "validation").exists()


def test_the_checkpoint_interval_does_not_make_another_run(run):
    words = ["train", "--data", "shards", "--out", "network", "--iterations", 4, "--validation-photos", 2]
    assert run(*words, *QUICK, "--checkpoint-every", 1)[0] == 0


def test_other_lpips_weights_make_another_run(run, place, monkeypatch):
    words = ["train", "--data", "shards", "--out", "distance", "--crop", 32, "--validation-photos", 1,
             "--iterations", 2]  # fmt: skip
    for weight, expected in ((1, 0), (1, 0), (2, 2)):
        monkeypatch.setattr("dimmagen.enhance.training.load_lpips", lambda *_, w=weight: Distance(w))
        code, _, err = run(*words)
        assert code == expected
    assert "lpips_sha256 was 1, is 2" in err


def test_a_command_that_failed_at_its_first_batch_may_be_corrected(run, monkeypatch):
    words = ["train", "--data", "shards", "--out", "corrected", "--iterations", 1, *FEW]
    with monkeypatch.context() as patch:
        patch.setattr("dimmagen.enhance.loop.optimise", _fail)
        assert run(*words)[0] == 1
    code, _, err = run(*words, "--seed", 5)
    assert code == 0, err


def _fail(*_):
    raise DimmagenError("no", "correct it")


def test_the_same_command_again_says_that_the_network_is_trained(run):
    code, out, _ = run(
        "train", "--data", "shards", "--out", "network", "--iterations", 4, "--validation-photos", 2, *QUICK
    )
    assert code == 0
    assert "network is trained: 4 iterations" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "--out", "new"], "give --data, or --pairs"),
        (["train", "--data", "nowhere", "--out", "new", *QUICK], "nowhere does not exist"),
        (["train", "--data", "shards", "--out", "new", *NO_PHOTOS], "no pairs to validate"),
        (["train", "--data", "shards", "--out", "new", *QUICK, "--crop", "1000"], "too small for crops"),
        (["train", "--data", "shards", "--out", "network", *FEW, "--batch", "2"], "batch was 4, is 2"),
        (["train", "--data", "shards", "--out", "new", *FEW, "--crop", "36"], "give 32 or 40"),
        (["train", "--data", "shards", "--out", "new", *VGG, "--crop", "8"], "too small for LPIPS"),
        (["train", "--data", "shards", "--out", "s3://bucket/new", *FEW], "is a URL; give a local"),
        (["train", "--data", "shards", "--out", "new", *FEW, "--hold-out", "1"], "none are given"),
        (["train", "--data", "shards", "--out", "new", *FEW, "--names", "1"], "none are given"),
        (["train", "--out", "new", *FEW, "--pairs", "pairs", *MIX], "give --data"),
        (["train", "--data", "shards", "--out", "new", *FEW, *MIX, "--names", "7"], "no pair named 7"),
        (["train", "--data", "shards", "--out", "new", *FEW, *MIX, "--hold-out", "0,1,2"], "all pairs are"),
        (["train", "--data", "shards", "--out", "new", *FEW, *MIX, "--crop", "72"], "too small for crops"),
        (["train", "--data", "shards", "--out", "new", *FEW, "--mix-pairs", "pairs", "--mix-share", "1"],
         "--mix-share"),
        (["train", "--data", "shards", "--out", "new", *FEW, "--logger", "wandb"], "'dimmagen[wandb]'"),
        (["train", "--data", "shards", "--out", "new", *FEW, "--logger", "mlflow"], "'dimmagen[mlflow]'"),
        (["finetune", *NETWORK, *PAIRS, *QUICK, "--hold-out", "7"], "no pair named 7"),
        (["finetune", *NETWORK, *PAIRS, *QUICK, "--hold-out", "0,1,2"], "all pairs are held out"),
        (["train", "--data", "shards", "--out", "new", *VGG], "--perceptual none"),
        (["train", "--data", "shards", "--out", "new", *QUICK, "--device", "cuda"], "torch sees no GPU"),
        (["train", "--data", "shards", "--out", "new", *FEW, "--tensorboard"], "'dimmagen[tensorboard]'"),
        (["finetune", "--network", "nowhere", "--pairs", "pairs", "--out", "new"], "no trained network"),
        (["finetune", *NETWORK, "--pairs", "nowhere", "--out", "new", *QUICK], "no file or folder nowhere"),
    ],
)  # fmt: skip
def test_training_that_cannot_begin_is_refused_and_overwrites_nothing(refused, words, message):
    assert message in refused(*words)


@pytest.mark.slow
@pytest.mark.ray
def test_two_workers_train_one_network(run, place):
    code, out, err = run(
        "train", "--data", "shards", "--out", "both", "--iterations", 3, "--validation-photos", 1,
        "--workers", 2, *QUICK,
    )  # fmt: skip
    assert code == 0, err
    assert "both is trained: 3 iterations" in out
    assert len((place / "both" / "log.csv").read_text().splitlines()) == 4


class StoppedAfter:
    """A progress that stops the run after so many iterations, and notes the threads of each one."""

    def __init__(self, iterations):
        self.left, self.threads = iterations, set()

    def begin(self, done, total): ...

    def iteration(self, values):
        self.threads.add(torch.get_num_threads())
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


@pytest.fixture
def train_with(place):
    """Trains a little in so many threads, into a folder; returns the threads of its iterations."""
    config = TrainConfig(
        data=str(place / "shards"), crop=64, perceptual="none", validation_photos=2, device="cpu",
        training=TrainSettings(iterations=4, validate_every=2, checkpoint_every=2),
    )  # fmt: skip

    def train(threads, out, stop_after=99):
        progress = StoppedAfter(stop_after)
        with torch_threads(threads), suppress(KeyboardInterrupt):
            run_training(config, out, "if-possible", progress)
        return progress.threads

    return train


def test_a_run_goes_on_with_the_threads_that_it_was_begun_with(train_with, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(training, "processor_count", lambda: 2)
    assert train_with(2, tmp_path / "whole") == {2}
    assert train_with(2, tmp_path / "stopped", 3) == {2}
    before = torch.get_num_threads()
    with caplog.at_level("INFO", "dimmagen"):
        assert train_with(1, tmp_path / "stopped") == {2}
    assert "computing with 2 threads, as the run was begun" in caplog.text
    assert torch.get_num_threads() == before
    for name in ("log.csv", "best.safetensors", "checkpoint.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "stopped" / name).read_bytes(), name


def test_a_run_that_was_begun_with_more_threads_than_there_are_processors_says_what_differs(
    train_with, tmp_path, monkeypatch, caplog
):
    assert train_with(3, tmp_path / "run", 3) == {3}
    monkeypatch.setattr(training, "processor_count", lambda: 1)
    assert train_with(1, tmp_path / "run") == {1}
    assert "begun with 3 threads, and this machine has 1 processor" in caplog.text
    assert "will differ by rounding" in caplog.text


def test_a_run_that_waits_for_a_logger_says_so(tmp_path, monkeypatch):
    waited_for = []
    monkeypatch.setattr(command, "TrainingProgress", lambda console, what: waited_for.append(what) or 1 / 0)
    for loggers in ((), ("mlflow", "wandb")):
        with pytest.raises(ZeroDivisionError):
            command.train_and_report(TrainConfig(data="out", loggers=loggers), tmp_path / "run", "never")
    assert waited_for == ["the data", "the data and mlflow and wandb"]
