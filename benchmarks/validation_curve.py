"""Does a network get better on real pairs the longer it is trained? The PSNR of each validation, by setting.

    python -m benchmarks.validation_curve --data SHARDS --validate PAIRS --out DIR --architecture paper

Each setting is trained on the same pair data set for the same iterations. At each validation the network
is scored on real pairs of other scenes: on whole pictures, and in windows of the training size that overlap,
each equalised like the whole picture or like a crop. `DIR/SETTING-SEED.csv` grows by a line at each
validation; what is complete is not done again. `--architecture normed` is a small network for a processor.
"""

import argparse
import csv
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from benchmarks import normed_network
from benchmarks.evidence_runs import Stopwatch, write_json
from dimmagen.core.environment import environment
from dimmagen.core.processors import processor_count
from dimmagen.dimmers.real_pairs import RealPair, load_pairs
from dimmagen.enhance import loop
from dimmagen.enhance.enhancer import Enhancer
from dimmagen.enhance.inputs import mean_lightness
from dimmagen.enhance.network import ARCHITECTURES, EnhancementNetwork
from dimmagen.enhance.state import TrainSettings
from dimmagen.enhance.training import TrainConfig, run_training
from dimmagen.metrics.image import psnr

ARCHITECTURE_FOR_PROCESSORS = normed_network.NAME

SETTINGS: dict[str, dict] = {
    "crop": {"equalise": "crop", "condition": "crop"},
    "image-equalised": {"equalise": "image", "condition": "crop"},
    "image": {"equalise": "image", "condition": "image"},
    "crop-mse": {"equalise": "crop", "condition": "crop", "perceptual": "none"},
    "image-mse": {"equalise": "image", "condition": "image", "perceptual": "none"},
}


@dataclass(frozen=True, slots=True)
class Pairs:
    """What is scored: at each validation, and at the end."""

    validation: Sequence[RealPair]
    test: Sequence[RealPair]


def main() -> None:
    arguments = parse()
    pairs = Pairs(
        load_pairs(arguments.validate)[: arguments.pictures],
        load_pairs(arguments.test) if arguments.test else [],
    )
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        for name in arguments.settings:
            one_curve(config_of(arguments, name, seed), name, arguments.out, pairs)
    print(table(arguments.out))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="pair data set, of `dimmagen dim`")
    parser.add_argument("--validate", required=True, help="real pairs")
    parser.add_argument("--test", help="more real pairs, scored at the end")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=["crop", "image"])
    parser.add_argument("--architecture", choices=list(ARCHITECTURES), default="paper")
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--iterations", type=int, default=2500)
    parser.add_argument("--every", type=int, default=250)
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument("--average", type=float, default=0.995)
    parser.add_argument("--no-lpips", action="store_true")
    parser.add_argument("--lpips-weights")
    parser.add_argument("--loaders", type=int, default=min(4, processor_count()))
    parser.add_argument("--pictures", type=int, help="validate on so many pairs only")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1)
    return parser.parse_args()


def config_of(arguments: argparse.Namespace, name: str, seed: int) -> TrainConfig:
    training = TrainSettings(
        iterations=arguments.iterations,
        learning_rate=arguments.learning_rate,
        validate_every=arguments.every,
        checkpoint_every=arguments.iterations,
        average=arguments.average,
        clip=1.0,
        bf16=torch.cuda.is_available(),
    )
    config = TrainConfig(
        data=arguments.data,
        validate=arguments.validate,
        architecture=arguments.architecture,
        crop=arguments.crop,
        batch=arguments.batch,
        flip=True,
        seed=seed,
        perceptual="none" if arguments.no_lpips else "vgg",
        loaders=arguments.loaders,
        lpips_weights=arguments.lpips_weights,
        training=training,
    )
    return replace(config, **SETTINGS[name])


def one_curve(config: TrainConfig, name: str, out: Path, pairs: Pairs) -> None:
    """Train, and write a line at each validation, unless that was done before."""
    out.mkdir(parents=True, exist_ok=True)
    end = out / f"{name}-{config.seed}.json"
    if end.exists():
        return
    print(f"{name}, seed {config.seed} ...", flush=True)
    rows = out / f"{name}-{config.seed}.csv"
    rows.unlink(missing_ok=True)
    watch = Stopwatch()
    networks: list[EnhancementNetwork] = []

    def validate(network: EnhancementNetwork, *_: object, **__: object) -> float:
        scores = scores_of(network, pairs.validation, config.crop)
        networks.append(network)
        iteration = min(len(networks) * config.training.validate_every, config.training.iterations)
        add_row(rows, {"iteration": iteration, **{way: round(value, 3) for way, value in scores.items()}})
        return scores["whole"]

    kept, loop.validate = loop.validate, validate
    try:
        run_training(config, out / "networks" / f"{name}-{config.seed}", "never", watch)
    finally:
        loop.validate = kept
    last = {"test": scores_of(networks[-1], pairs.test, config.crop)} if pairs.test else {}
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    shown = {"setting": name, "config": asdict(config), "environment": environment(), "gpu": gpu}
    write_json(end, {**shown, "seconds_per_iteration": watch.seconds_per_iteration, **last})


def scores_of(network: EnhancementNetwork, pairs: Sequence[RealPair], window: int) -> dict[str, float]:
    """Mean PSNR, at the truth's lightness, by the way of enhancing.

    Args:
        network: to score.
        pairs: at least one.
        window: side of the windows, pixels.
    """
    enhancers: Mapping[str, Enhancer] = {
        "whole": Enhancer(network),
        "windows": Enhancer(network, window=window),
        "windows, equalised": Enhancer(network, window=window, equalise="crop"),
    }
    return {
        way: statistics.mean(
            psnr(enhancer.enhance(pair.dark, mean_lightness(pair.light)), pair.light) for pair in pairs
        )
        for way, enhancer in enhancers.items()
    }


def add_row(path: Path, row: Mapping[str, float]) -> None:
    """Append to a CSV file, with a header if it is new."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def table(out: Path) -> str:
    """The curves side by side, on whole pictures, and the end's scores."""
    curves = {path.stem: list(csv.DictReader(path.open())) for path in sorted(out.glob("*.csv"))}
    iterations = sorted({int(row["iteration"]) for rows in curves.values() for row in rows})
    lines = [f"| iteration | {' | '.join(curves)} |", f"|--:|{'--:|' * len(curves)}"]
    for iteration in iterations:
        found = ({int(row["iteration"]): row["whole"] for row in rows} for rows in curves.values())
        lines.append(f"| {iteration} | {' | '.join(values.get(iteration, '') for values in found)} |")
    ends = {path.stem: json.loads(path.read_text()) for path in sorted(out.glob("*-[0-9]*.json"))}
    for name, end in ends.items():
        scores = ", ".join(f"{way} {value:.2f}" for way, value in end.get("test", {}).items())
        lines.append(f"\n{name}: {1 / max(1e-9, end['seconds_per_iteration']):.1f} steps/s; test: {scores}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
