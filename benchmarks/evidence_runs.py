"""What the comparisons of training data share: a network is trained, timed and scored on real pairs."""

import argparse
import json
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import torch

from dimmagen.cli import cli
from dimmagen.core import storage
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.enhance.checkpoints import load_network
from dimmagen.enhance.enhancer import Enhancer
from dimmagen.enhance.inputs import FIXED_LIGHTNESS
from dimmagen.enhance.state import TrainSettings
from dimmagen.enhance.training import TrainConfig, run_training
from dimmagen.evaluation.protocol import Scored, load_metrics, score, scores_as_json
from dimmagen.metrics.base import MetricFiles
from dimmagen.metrics.image import gray, psnr

METRICS = ("psnr", "ssim_rgb")
CALIBRATION_ITERATIONS = 16
TOGETHER = 2e-3  # seconds
SOURCES = ("coco", "clic", "imagenet", "inter4k")


class Stopwatch:
    """Says nothing; knows how long an iteration takes, without validations and what comes before them all.

    On a GPU the iterations are reported some at a time: those that come within :data:`TOGETHER` of each other
    share the time since the last ones.
    """

    def __init__(self) -> None:
        self._last = 0.0
        self._reports: list[list[float]] = []  # seconds since the last report, iterations, validations

    @property
    def seconds_per_iteration(self) -> float:
        """The median; 0 where too few iterations were seen, as of a run that was complete before."""
        plain = [seconds / count for seconds, count, validations in self._reports[1:] if not validations]
        return statistics.median(plain) if plain else 0.0

    def note(self, text: str) -> None: ...

    def begin(self, done: int, total: int) -> None: ...

    def iteration(self, values: dict[str, float]) -> None:
        now = time.perf_counter()
        if not self._reports or now - self._last > TOGETHER:
            self._reports.append([now - self._last, 0, 0])
        self._reports[-1][1] += 1
        self._reports[-1][2] += "psnr" in values
        self._last = now


def make_mixhq(data: Path, out: Path, lol: Sequence[Path], test: Sequence[Path]) -> None:
    """MixHQ of the sources that are there, without the scenes of the test's pairs; once.

    Args:
        data: folder with sources/.
        out: folder of the MixHQ.
        lol: folders with light images for its source `lol`.
        test: folders whose scenes must not be in it.
    """
    if (out / "manifest.json").exists():
        return
    words = ["build-mixhq", "--out", str(out)]
    folders = [(name, data / "sources" / name) for name in SOURCES] + [("lol", folder) for folder in lol]
    for name, folder in folders:
        words += ["--source", f"{name}={folder}"] if folder.is_dir() else []
    dimmagen(*words, *(word for folder in test for word in ("--exclude", str(folder))))


def make_shards(
    mixhq: Path, out: Path, profile: str, model: str | None = None, *more: str, variants: int = 2
) -> None:
    """A pair data set of all photos of a MixHQ; once.

    Args:
        mixhq, out: folders.
        profile, model: of the dimmer; no model takes the profile's.
        more: options of `dimmagen dim`.
        variants: of each photo.
    """
    if (out / "manifest.json").exists():
        return
    words = ["dim", "--profile", profile, "--source", str(mixhq), "--shards", str(out), *more]
    words += ["--variants", str(variants), "--samples-per-shard", "20"]
    words += ["--model", model] if model else []
    dimmagen(*words, *([] if find_spec("ray") else ["--executor", "serial"]))


def dimmagen(*words: str) -> None:
    cli.main(list(words), prog_name="dimmagen", standalone_mode=False)


def compact_config(arguments: argparse.Namespace) -> TrainConfig:
    """The small network that is compared, without validation: it is the last weights that are scored."""
    training = TrainSettings(learning_rate=2e-3, clip=1.0, validate_every=10**9, checkpoint_every=50)
    return TrainConfig(
        crop=arguments.crop,
        perceptual="none",
        validation_photos=4,
        flip=True,
        equalise=arguments.inputs_of,
        condition=arguments.inputs_of,
        loaders=arguments.loaders,
        training=training,
    )


def calibrated_iterations(config: TrainConfig, out: Path, minutes: float) -> int:
    """Iterations that take about so many minutes here; measured once, then the same for every run.

    Args:
        config: of a run.
        out: folder that keeps the answer.
        minutes: of a run.
    """
    path = out / "calibration.json"
    if not path.exists():
        folder = out / "calibration"
        training = replace(config.training, iterations=CALIBRATION_ITERATIONS)
        watch = Stopwatch()
        run_training(replace(config, training=training), folder, "never", watch)
        seconds = watch.seconds_per_iteration
        shutil.rmtree(folder)
        iterations = max(CALIBRATION_ITERATIONS, round(minutes * 60 / seconds / 10) * 10)
        write_json(path, {"seconds_per_iteration": seconds, "iterations": iterations})
    return json.loads(path.read_text())["iterations"]


def train_and_score(config: TrainConfig, folder: Path, tests: Mapping[str, Sequence[RealPair]]) -> dict:
    """Train one network, and score it on each set of pairs.

    Args:
        config: of the run.
        folder: of the run, which is resumed if it was stopped.
        tests: pairs by the name of the set.

    Returns:
        What the run took, and `scores` by the name of the set: those of the protocol, PSNR without colour,
        and the protocol's with results scaled to the requested lightness.
    """
    watch = Stopwatch()
    run_training(config, folder, "if-possible", watch)
    network = load_network(folder, device())[0]
    enhancer, exact = Enhancer(network), Enhancer(network, exact_lightness=True)
    metrics = load_metrics(METRICS, MetricFiles())[0]
    scores = {}
    for name, pairs in tests.items():
        scored = list(score(enhancer, pairs, metrics))
        scores[name] = {**scores_as_json(scored, FIXED_LIGHTNESS), "colour": colour_apart(scored)}
        scored = list(score(exact, pairs, metrics))
        scores[name]["exact"] = scores_as_json(scored, FIXED_LIGHTNESS, exact_lightness=True)
    return {
        "seed": config.seed,
        "seconds_per_iteration": watch.seconds_per_iteration,
        "iterations": config.training.iterations,
        "gpu_memory_gb": torch.cuda.max_memory_allocated() / 1e9 if torch.cuda.is_available() else 0.0,
        "scores": scores,
    }


def colour_apart(scored: Sequence[Scored]) -> dict[str, float]:
    """PSNR without the colour, on luma, and without a cast: with each channel's mean that of the truth."""
    balanced = [one.output * (one.truth.mean((0, 1)) / one.output.mean((0, 1))) for one in scored]
    return {
        "psnr_luma": statistics.mean(psnr(gray(one.output), gray(one.truth)) for one in scored),
        "psnr_balanced": statistics.mean(
            psnr(output.clip(0, 255), one.truth) for output, one in zip(balanced, scored, strict=True)
        ),
    }


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def spread(values: list[float], places: int) -> str:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.{places}f} ± {deviation:.{places}f}"


def write_json(path: Path, values: dict) -> None:
    storage.atomic_write(path, json.dumps(values, indent=1).encode() + b"\n")
