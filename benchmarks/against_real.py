"""The yardstick: the camera model's pairs from 3 real ones against many real pairs, as training data.

    python -m benchmarks.evidence --data ../shared/data --out yardstick \\
        --against-real ../shared/data/lol/our485

One network, one number of iterations, on two kinds of data: `real` trains on the real pairs of the folders
of `--against-real`, `camera` on MixHQ dimmed by the profile of 3 pairs (LOL's 2, 5 and 6), `camera-undrawn`
without the white balance and the noise level that are drawn for each image. All are scored on real pairs
whose scenes none of them saw: lol/dev15, and the held-out pairs of those folders (LOL
numbers its pairs by scene: those from 57 to 74 by default). What is complete is not done again.
"""

import argparse
import csv
import io
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from benchmarks.evidence_runs import (
    calibrated_iterations,
    compact_config,
    make_mixhq,
    make_shards,
    spread,
    train_and_score,
    write_json,
)
from dimmagen.core import storage
from dimmagen.core.environment import environment
from dimmagen.dimmers.pair_layouts import pairs_of_folder
from dimmagen.dimmers.pair_matching import PairPaths
from dimmagen.dimmers.real_pairs import load_pairs
from dimmagen.enhance.training import TrainConfig

HELD_OUT = tuple(str(number) for number in range(57, 75))  # six scenes of LOL
SCORED_SIDE = 256  # pixels: held-out pairs that are smaller are left out and not scored


@dataclass(frozen=True, slots=True)
class Way:
    """One row of the table: what a network is trained on.

    Attributes:
        label: as in the table.
        profile: of the dimmer; None trains on the real pairs.
        options: of `dimmagen dim`.
        variants: of each photo.
    """

    label: str
    profile: str | None = None
    options: tuple[str, ...] = ()
    variants: int = 2


WAYS = (
    Way("real"),
    Way("camera", "lol3"),
    Way("camera-undrawn", "lol3", ("--without", "white-balance-spread", "--without", "noise-spread")),
)


@dataclass(frozen=True, slots=True)
class Work:
    """Where everything is, and what the runs have in common."""

    data: Path
    real: tuple[Path, ...]
    held_out: frozenset[str]
    out: Path
    base: TrainConfig
    real_pairs: int | None = None  # to train on; None for all

    @property
    def dev15(self) -> Path:
        return self.data / "lol" / "dev15"

    @property
    def lists(self) -> tuple[Path, Path]:
        """Lists of the real pairs: those to train on, and those that are held out."""
        return self.out / "real.csv", self.out / "held-out.csv"


def run(arguments: argparse.Namespace) -> None:
    """Make the data, train and score every way with every seed, and write the table.

    Args:
        arguments: of `benchmarks.evidence`.
    """
    base = compact_config(arguments)
    held_out = frozenset(arguments.held_out or HELD_OUT)
    work = Work(
        arguments.data, tuple(arguments.against_real), held_out, arguments.out, base, arguments.real_pairs
    )
    ways = [way for way in WAYS if not arguments.kinds or way.label in arguments.kinds]
    make_data(work, ways)
    if not arguments.seeds:
        return
    iterations = arguments.iterations or calibrated_iterations(
        config_of(work, ways[0], 0), work.out, arguments.minutes_per_run
    )
    work = replace(work, base=replace(base, training=replace(base.training, iterations=iterations)))
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        for way in ways:
            one_run(work, way, seed)
    report(work)


def make_data(work: Work, ways: list[Way]) -> None:
    """The lists of real pairs; MixHQ, whose LOL part is the lights of the real pairs; the dimmed sets."""
    trained, held = divided(work.real, work.held_out)
    trained = spread_evenly(trained, work.real_pairs or len(trained))
    for path, pairs in zip(work.lists, (trained, held), strict=True):
        write_list(path, pairs)
    lights, away = work.out / "lights", work.out / "held-out"
    for folder, pairs in ((lights, trained), (away, held)):
        folder.mkdir(exist_ok=True)
        for name, (_, light) in pairs.items():
            copy = folder / f"{name}{light.suffix}"
            if not copy.exists():
                storage.atomic_write(copy, light.read_bytes())
    mixhq = work.out / "mixhq"
    make_mixhq(work.data, mixhq, [work.data / "lol" / "high_only", lights], [work.dev15, away])
    for way in ways:
        if way.profile is not None:
            folder = work.out / "shards" / way.label
            make_shards(mixhq, folder, way.profile, None, *way.options, variants=way.variants)


def divided(
    folders: tuple[Path, ...], held_out: frozenset[str]
) -> tuple[dict[str, PairPaths], dict[str, PairPaths]]:
    """The real pairs to train on and the held-out ones, by the folder's name and their own."""
    trained, held = {}, {}
    for folder in folders:
        for name, paths in pairs_of_folder(folder).files.items():
            part = held if name in held_out else trained
            part[f"{folder.name}-{name}"] = paths
    return trained, held


def spread_evenly(pairs: dict[str, PairPaths], count: int) -> dict[str, PairPaths]:
    """`count` of the pairs, or all if there are not so many; every k-th, where k need not be whole."""
    names = list(pairs)
    kept = {names[index * len(names) // count] for index in range(min(count, len(names)))}
    return {name: paths for name, paths in pairs.items() if name in kept}


def write_list(path: Path, pairs: dict[str, PairPaths]) -> None:
    """A list of pairs, as `load_pairs` reads it."""
    lines = io.StringIO()
    rows = csv.writer(lines)
    rows.writerow(("name", "dark", "light"))
    rows.writerows((name, dark.resolve(), light.resolve()) for name, (dark, light) in pairs.items())
    storage.atomic_write(path, lines.getvalue().encode())


def config_of(work: Work, way: Way, seed: int) -> TrainConfig:
    base = replace(work.base, seed=seed)
    if way.profile is None:
        return replace(base, pairs=str(work.lists[0]), loaders=0)
    return replace(base, data=str(work.out / "shards" / way.label))


def one_run(work: Work, way: Way, seed: int) -> None:
    """Train one network and score it, unless that was done before."""
    name = f"{way.label}-{work.base.crop}-{work.base.equalise}-{seed}"
    result = work.out / "results" / f"{name}.json"
    if result.exists():
        return
    print(f"{name} ...", flush=True)
    held = [pair for pair in load_pairs(work.lists[1]) if min(pair.light.shape[:2]) >= SCORED_SIDE]
    tests = {"dev15": load_pairs(work.dev15), "held-out": held}
    taken = train_and_score(config_of(work, way, seed), work.out / "networks" / name, tests)
    shown = {"way": asdict(way), "crop": work.base.crop, "batch": work.base.batch}
    shown["inputs_of"] = work.base.equalise
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    write_json(result, {**shown, **taken, "environment": environment(), "gpu": gpu})


def report(work: Work) -> None:
    """`against-real.md` from all results that are there."""
    results = [json.loads(path.read_text()) for path in sorted((work.out / "results").glob("*.json"))]
    text = table(results, len(load_pairs(work.lists[0])))
    storage.atomic_write(work.out / "against-real.md", text.encode())
    print(text)


def table(results: list[dict], real: int) -> str:
    """One row for each way and size of crop.

    Args:
        results: of the runs.
        real: how many real pairs `real` is trained on.
    """
    rows: dict[tuple, list[dict]] = {}
    for result in results:
        key = (result["crop"], result["inputs_of"], result["iterations"], result["way"]["label"])
        rows.setdefault(key, []).append(result)
    lines = [
        f"{real} real pairs, or photos dimmed by the profile of 3; compact, batch {results[0]['batch']}; "
        "lightness of the truth; mean ± standard deviation over the seeds.",
        "",
        "| crop | inputs of | iterations | trained on | seeds | dev15 | exact | of luma | GT-mean | SSIM RGB "
        "| held-out | exact | of luma | GT-mean | SSIM RGB |",
        "|--:|---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for (crop, inputs_of, iterations, label), runs in sorted(rows.items()):
        cells = [
            cell for name in ("dev15", "held-out") for cell in columns([run["scores"][name] for run in runs])
        ]
        lines.append(f"| {crop} | {inputs_of} | {iterations} | {label} | {len(runs)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def columns(scores: list[dict]) -> list[str]:
    """PSNR, at exactly the requested lightness, of luma, with GT-mean, and SSIM, over the seeds."""
    means = [score["mean"] for score in scores]
    return [
        spread([mean["truth"]["psnr"] for mean in means], 2),
        spread([score["exact"]["mean"]["truth"]["psnr"] for score in scores], 2),
        spread([score["colour"]["psnr_luma"] for score in scores], 2),
        spread([mean["truth+gt-mean"]["psnr"] for mean in means], 2),
        spread([mean["truth"]["ssim_rgb"] for mean in means], 3),
    ]
