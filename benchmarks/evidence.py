"""Evidence: does a network that was trained on dimmed photos brighten the camera's real dark pictures?

Trains the same small network, for the same number of iterations, on eight kinds of data, and scores each on
real pairs that show other scenes. The kinds are those of the paper's Table 3, with this project's own dimmer:

    a  supervised      the 3 real pairs alone
    b  gamma           photos darkened by a plain gamma curve
    c  deterministic   photos dimmed by the mean of the paper's MDN
    d  mdn             photos dimmed by draws of the paper's MDN
    e  camera          photos dimmed by this project's camera model
    f  mdn, tuned      d, then fine-tuned on the 3 pairs
    g  camera, tuned   e, then fine-tuned on the 3 pairs
    h  camera-as-pairs e, but as dark as the 3 pairs: `--brightness as-pairs`
    h  camera, mixed   e, with a tenth of the crops of the 3 pairs

    python -m benchmarks.evidence --data ../shared/data --out evidence --minutes-per-run 1.5
    python -m benchmarks.evidence --data ../shared/data --out yardstick \\
        --against-real ../shared/data/lol/our485

What is complete is not done again when the command is repeated. Scores of a short training on a processor are
far below the paper's; what counts is their order. On a GPU, `--paper` trains the paper's network with the
paper's settings, for 3 and for 8 pairs, instead. `--against-real` compares with many real pairs:
:mod:`benchmarks.against_real`.
"""

import argparse
import json
import statistics
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks import against_real
from benchmarks.evidence_runs import (
    calibrated_iterations,
    compact_config,
    device,
    make_mixhq,
    make_shards,
    spread,
    train_and_score,
    write_json,
)
from dimmagen.core import storage
from dimmagen.core.environment import environment
from dimmagen.core.processors import processor_count
from dimmagen.dimmers.real_pairs import load_pairs
from dimmagen.enhance.batch import EQUALISE
from dimmagen.enhance.checkpoints import load_network
from dimmagen.enhance.enhancer import Enhancer
from dimmagen.enhance.inputs import mean_lightness
from dimmagen.enhance.network import ARCHITECTURES
from dimmagen.enhance.state import TrainSettings
from dimmagen.enhance.training import TrainConfig

LADDER = (0.2, 0.35, 0.5, 0.65)
LADDER_IMAGES = 5
PAPER_ITERATIONS = 5000


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table: what a network is trained on.

    Attributes:
        label: as in the table.
        profile, model: of the dimmer; no profile trains on the real pairs alone.
        tuned_from: label of the kind that is fine-tuned.
        options: further words of `dimmagen dim`.
        mixed_into: label of the kind whose data set the real pairs are mixed into.
    """

    label: str
    profile: str | None = None
    model: str | None = None
    tuned_from: str | None = None
    options: tuple[str, ...] = ()
    mixed_into: str | None = None


def kinds(shots: int) -> list[Kind]:
    lol = f"lol{shots}"
    return [
        Kind("supervised"),
        Kind("gamma", "gamma"),
        Kind("deterministic", lol, "deterministic"),
        Kind("mdn", lol, "mdn"),
        Kind("camera", lol, "camera"),
        Kind("mdn-tuned", tuned_from="mdn"),
        Kind("camera-tuned", tuned_from="camera"),
        Kind("camera-as-pairs", lol, "camera", options=("--brightness", "as-pairs")),
        Kind("camera-mixed", mixed_into="camera"),
    ]


@dataclass(frozen=True, slots=True)
class Work:
    """Where everything is, and what the runs have in common."""

    data: Path
    out: Path
    names: tuple[str, ...]
    base: TrainConfig
    tuning_share: float

    @property
    def pairs(self) -> Path:
        return self.data / "lol" / "our485"

    @property
    def test(self) -> Path:
        return self.data / "lol" / "dev15"


def main() -> None:
    arguments = parse()
    if arguments.against_real:
        against_real.run(arguments)
        return
    base = paper_config(arguments) if arguments.paper else compact_config(arguments)
    names = tuple(json.loads(SPLITS.read_text())["experiments"]["1"][: arguments.shots])
    work = Work(arguments.data, arguments.out, names, base, 0.4)
    rows = [kind for kind in kinds(arguments.shots) if not arguments.kinds or kind.label in arguments.kinds]
    make_data(work, rows)
    iterations = arguments.iterations or (PAPER_ITERATIONS if arguments.paper else None)
    iterations = iterations or calibrated_iterations(
        replace(base, data=str(work.out / "shards" / "camera")), work.out, arguments.minutes_per_run
    )
    work = replace(work, base=replace(base, training=replace(base.training, iterations=iterations)))
    for seed in range(arguments.seeds):
        for kind in rows:
            one_run(work, kind, seed)
    report(work, rows, arguments.seeds)


SPLITS = Path(__file__).parents[1] / "manifests" / "splits" / "table4.json"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with lol/ and sources/")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes-per-run", type=float, default=1.5)
    parser.add_argument("--seeds", type=int, default=3, help="number of them; 0 only makes the data")
    parser.add_argument("--shots", type=int, choices=(3, 8), default=3)
    labels = [kind.label for kind in kinds(3)] + [way.label for way in against_real.WAYS]
    labels = list(dict.fromkeys(labels))
    parser.add_argument("--kinds", nargs="+", choices=labels, help="only these; tuned ones need their first")
    parser.add_argument("--crop", type=int, default=128)
    parser.add_argument("--loaders", type=int, default=1)
    parser.add_argument("--paper", action="store_true", help="the paper's network and settings, for a GPU")
    parser.add_argument("--iterations", type=int, help="instead of --minutes-per-run; with --paper 5000")
    parser.add_argument("--lpips-weights", help="with --paper: file of the VGG's weights, as dimmagen train")
    parser.add_argument(
        "--against-real", type=Path, nargs="+", metavar="DIR", help="folders of real pairs to compare with"
    )
    parser.add_argument("--real-pairs", type=int, metavar="N", help="train on N of them, spread evenly")
    parser.add_argument("--held-out", nargs="+", metavar="NAME", help="real pairs that no way sees")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument(
        "--inputs-of",
        choices=EQUALISE,
        default="crop",
        help="whose histogram and change of lightness the networks are given in training",
    )
    return parser.parse_args()


def paper_config(arguments: argparse.Namespace) -> TrainConfig:
    training = TrainSettings(bf16=torch.cuda.is_available())
    return TrainConfig(
        architecture="paper",
        loaders=min(4, processor_count()),
        equalise=arguments.inputs_of,
        condition=arguments.inputs_of,
        validation_photos=16,
        lpips_weights=arguments.lpips_weights,
        training=training,
    )


def make_data(work: Work, rows: list[Kind]) -> None:
    """MixHQ of the sources that are there, without the test's scenes; then one data set for each dimmer."""
    mixhq = work.out / "mixhq"
    make_mixhq(work.data, mixhq, [work.data / "lol" / "high_only"], [work.test])
    for kind in rows:
        if kind.profile is not None:
            folder = work.out / "shards" / kind.label
            make_shards(mixhq, folder, kind.profile, kind.model, *kind.options)


def one_run(work: Work, kind: Kind, seed: int) -> None:
    """Train one network and score it, unless that was done before."""
    result = work.out / "results" / f"{kind.label}-{seed}.json"
    if result.exists():
        return
    print(f"{kind.label}, seed {seed} ...", flush=True)
    folder, pairs = network_folder(work, kind.label, seed), load_pairs(work.test)
    taken = train_and_score(config_of(work, kind, seed), folder, {"test": pairs})
    scores = taken.pop("scores")["test"]
    enhancer = Enhancer(load_network(folder, device())[0])
    ladder = {
        level: [mean_lightness(enhancer.enhance(pair.dark, level)) for pair in pairs[:LADDER_IMAGES]]
        for level in LADDER
    }
    achieved = [[asked, statistics.mean(values)] for asked, values in ladder.items()]
    write_json(result, {"kind": asdict(kind), **taken, "ladder": achieved, **scores})


def config_of(work: Work, kind: Kind, seed: int) -> TrainConfig:
    base = replace(work.base, seed=seed)
    if kind.profile is not None:
        return replace(base, data=str(work.out / "shards" / kind.label))
    if kind.mixed_into is not None:
        data = str(work.out / "shards" / kind.mixed_into)
        return replace(base, data=data, mix_pairs=str(work.pairs), names=work.names)
    base = replace(base, pairs=str(work.pairs), names=work.names, flip=True, loaders=0)
    if kind.tuned_from is None:
        return base
    rate = ARCHITECTURES[base.architecture].finetuning_rate
    iterations = max(1, round(work.tuning_share * base.training.iterations))
    tuning = replace(base.training, iterations=iterations, learning_rate=rate)
    return replace(base, network=str(network_folder(work, kind.tuned_from, seed)), training=tuning)


def network_folder(work: Work, label: str, seed: int) -> Path:
    return work.out / "networks" / f"{label}-{seed}"


def report(work: Work, rows: list[Kind], seeds: int) -> None:
    """`evidence.json`, `evidence.md` and `lightness.png` from the results of all runs."""
    results = {
        kind.label: [
            json.loads((work.out / "results" / f"{kind.label}-{seed}.json").read_text())
            for seed in range(seeds)
        ]
        for kind in rows
    }
    setup = {
        "pairs": list(work.names),
        "session": {**asdict(work.base), "training": asdict(work.base.training)},
        "environment": environment(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": torch.get_num_threads(),
    }
    write_json(work.out / "evidence.json", {"setup": setup, "results": results})
    text = table(results, setup)
    storage.atomic_write(work.out / "evidence.md", text.encode())
    plot(results, work.out / "lightness.png")
    print(text)


def table(results: dict[str, list[dict]], setup: dict) -> str:
    training = setup["session"]["training"]
    lines = [
        f"Trained on {len(setup['pairs'])} real pairs ({', '.join(setup['pairs'])}), or on photos dimmed by "
        f"their profile; scored on lol/dev15 (15 pairs of other scenes). Architecture "
        f"{setup['session']['architecture']}, {training['iterations']} iterations, "
        f"crop {setup['session']['crop']}, batch {setup['session']['batch']}; mean ± standard deviation over "
        "the seeds.",
        "",
        "| trained on | PSNR | of luma | balanced | GT-mean | fixed lightness | SSIM RGB | s an iteration |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for label, runs in results.items():
        columns = [
            [run["mean"]["truth"]["psnr"] for run in runs],
            [run["colour"]["psnr_luma"] for run in runs],
            [run["colour"]["psnr_balanced"] for run in runs],
            [run["mean"]["truth+gt-mean"]["psnr"] for run in runs],
            [run["mean"]["fixed"]["psnr"] for run in runs],
            [run["mean"]["truth"]["ssim_rgb"] for run in runs],
        ]
        digits = (2, 2, 2, 2, 2, 3)
        cells = [spread(values, places) for values, places in zip(columns, digits, strict=True)]
        seconds = statistics.mean(run["seconds_per_iteration"] for run in runs)
        lines.append(f"| {label} | {' | '.join(cells)} | {seconds:.2f} |")
    return "\n".join(lines) + "\n"


def plot(results: dict[str, list[dict]], path: Path) -> None:
    """Lightness asked for against lightness achieved, mean over a few test pictures and the seeds."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5, 5), layout="constrained")
    axes.plot(LADDER, LADDER, color="black", linewidth=1, linestyle=":", label="as asked")
    for label, runs in results.items():
        achieved = np.mean([[got for _, got in run["ladder"]] for run in runs], axis=0)
        axes.plot(LADDER, achieved, marker="o", label=label)
    axes.set(xlabel="lightness asked for", ylabel="lightness achieved")
    axes.legend()
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
