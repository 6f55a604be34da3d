"""Do the pairs feed networks of others? Trained by BasicSR on our LMDB, and on one of as many real pairs.

    python -m benchmarks.other_networks --data ../shared/data --out other-networks \\
        --real ../shared/data/lol/our485 ../shared/data/lol/crops96

Small sizes of two networks, Real-ESRGAN's SRVGGNetCompact and NAFNet, see three kinds of data: `real`, the
real pairs of the folders of `--real`; `camera`, as many photos dimmed by the profile of 3 of these pairs and
exported by `dimmagen export --layout basicsr-lmdb`; `camera-as-pairs`, these with `--brightness as-pairs`.
Reading, cropping, training and saving are BasicSR's own (:mod:`benchmarks.basicsr_run`). Each network is
scored on real pairs whose scenes no kind has: lol/dev15, and the held-out pairs. What is complete is not done
again.

Needs `pip install --no-deps basicsr-fixed==1.4.2 spandrel==0.4.2` and `pip install einops`.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks import against_real
from benchmarks.against_real import HELD_OUT, Way, Work
from benchmarks.evidence_runs import dimmagen, spread
from dimmagen.core import storage
from dimmagen.dimmers.real_pairs import load_pairs
from dimmagen.enhance.training import TrainConfig
from dimmagen.export.lmdb import write_lmdb
from dimmagen.images.codec import encode_png

WAYS = (
    Way("real"),
    Way("camera", "lol3", variants=4),
    Way("camera-as-pairs", "lol3", ("--brightness", "as-pairs"), variants=4),
)


@dataclass(frozen=True, slots=True)
class Other:
    """A network of somebody else.

    Attributes:
        network: `network_g` of BasicSR's options.
        optimizer: `optim_g`.
    """

    network: dict
    optimizer: dict


OTHERS = {
    "SRVGGNetCompact": Other(
        {"type": "SRVGGNetCompact", "num_feat": 16, "num_conv": 8, "upscale": 1},
        {"type": "Adam", "lr": 2e-3, "betas": [0.9, 0.99]},
    ),
    "NAFNet": Other(
        {
            "type": "NAFNet",
            "width": 8,
            "middle_blk_num": 1,
            "enc_blk_nums": [1, 1, 1],
            "dec_blk_nums": [1, 1, 1],
        },
        {"type": "AdamW", "lr": 2e-3, "betas": [0.9, 0.9], "weight_decay": 0.0},
    ),
}


def main() -> None:
    arguments = parse()
    ways = [way for way in WAYS if way.label in arguments.kinds]
    work = Work(
        arguments.data, tuple(arguments.real), frozenset(HELD_OUT), arguments.out.resolve(), TrainConfig()
    )
    against_real.make_data(work, ways)
    make_databases(work, ways, arguments.fit)
    for seed in range(arguments.seeds):
        for name in arguments.networks:
            for way in ways:
                one_run(work, name, way, seed, arguments)
    report(work)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with lol/ and sources/")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--real", type=Path, nargs="+", required=True, metavar="DIR", help="real pairs")
    labels = [way.label for way in WAYS]
    parser.add_argument("--kinds", nargs="+", choices=labels, default=labels)
    parser.add_argument("--networks", nargs="+", choices=[*OTHERS], default=[*OTHERS])
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--crop", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3, help="number of them")
    parser.add_argument("--fit", default="256x256", help="what is kept of a dimmed photo, for quick reading")
    return parser.parse_args()


def make_databases(work: Work, ways: list[Way], fit: str) -> None:
    """An LMDB of the real pairs, and one export of as many pairs for each dimmer; once."""
    real = load_pairs(work.lists[0])
    for way in ways:
        folder = work.out / "lmdb" / way.label
        if way.profile is not None:
            words = ["export", str(work.out / "shards" / way.label), "--layout", "basicsr-lmdb"]
            words += ["--count", str(len(real)), "--validation", "0", "--fit", fit]
            dimmagen(*words, "--out", str(folder))
            continue
        for name, pixels in (("lq", [pair.dark for pair in real]), ("gt", [pair.light for pair in real])):
            to = folder / "train" / f"{name}.lmdb"
            if to.exists():
                continue
            to.parent.mkdir(parents=True, exist_ok=True)
            entries = [
                (f"{number:05}", encode_png(image), image.shape[:2]) for number, image in enumerate(pixels)
            ]
            write_lmdb(to, entries, sum(len(data) for _, data, _ in entries))


def one_run(work: Work, name: str, way: Way, seed: int, arguments: argparse.Namespace) -> None:
    """Train one network in a process of its own and score it, unless that was done before."""
    run = f"{name}-{way.label}-{arguments.iterations}-{seed}"
    result = work.out / "results" / f"{run}.json"
    if result.exists():
        return
    print(f"{run} ...", flush=True)
    options = basicsr_options(OTHERS[name], work.out / "lmdb" / way.label / "train", arguments)
    options |= {"name": run, "manual_seed": seed}
    file = work.out / "options" / f"{run}.yml"
    storage.atomic_write(file, yaml.safe_dump(options).encode())
    tests = {"dev15": work.dev15, "held-out": work.lists[1]}
    asked = {
        "options": str(file),
        "root": str(work.out),
        "result": str(result),
        "tests": {test: str(path) for test, path in tests.items()},
        "told": {"network": name, "way": way.label, "seed": seed, "pairs": len(load_pairs(work.lists[0]))},
    }
    command = [sys.executable, "-m", "benchmarks.basicsr_run", json.dumps(asked)]
    with (work.out / "options" / f"{run}.log").open("wb") as log:
        subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT)


def basicsr_options(other: Other, data: Path, arguments: argparse.Namespace) -> dict:
    """Options as BasicSR's `train.py` reads them from a file."""
    train = {
        "name": "pairs",
        "type": "PairedImageDataset",
        "dataroot_lq": str(data / "lq.lmdb"),
        "dataroot_gt": str(data / "gt.lmdb"),
        "io_backend": {"type": "lmdb"},
        "gt_size": arguments.crop,
        "use_hflip": True,
        "use_rot": True,
        "num_worker_per_gpu": 0,
        "batch_size_per_gpu": arguments.batch,
        "dataset_enlarge_ratio": 100,
    }
    scheduler = {"type": "CosineAnnealingRestartLR", "periods": [arguments.iterations]}
    return {
        "model_type": "SRModel",
        "scale": 1,
        "num_gpu": 0,
        "datasets": {"train": train},
        "network_g": other.network,
        "path": {"pretrain_network_g": None, "strict_load_g": True, "resume_state": None},
        "train": {
            "ema_decay": 0.995,
            "optim_g": dict(other.optimizer),
            "scheduler": {**scheduler, "restart_weights": [1], "eta_min": 1e-7},
            "total_iter": arguments.iterations,
            "warmup_iter": -1,
            "pixel_opt": {"type": "L1Loss", "loss_weight": 1.0, "reduction": "mean"},
        },
        "logger": {"print_freq": 100, "save_checkpoint_freq": 10**9, "use_tb_logger": False},
    }


def report(work: Work) -> None:
    """`other-networks.md` from all results that are there."""
    results = [json.loads(path.read_text()) for path in sorted((work.out / "results").glob("*.json"))]
    text = table(results)
    storage.atomic_write(work.out / "other-networks.md", text.encode())
    print(text)


def table(results: list[dict]) -> str:
    """One row for each network, number of iterations and kind of data."""
    rows: dict[tuple, list[dict]] = {}
    for result in results:
        key = (result["network"], result["iterations"], result["pairs"], result["way"])
        rows.setdefault(key, []).append(result)
    lines = [
        "| network | iterations | pairs | trained on | seeds | dev15 | GT-mean | of luma | SSIM "
        "| held-out | GT-mean | of luma | SSIM |",
        "|---|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for key, runs in sorted(rows.items()):
        cells = [
            spread([run["scores"][test][score] for run in runs], 3 if score == "ssim_rgb" else 2)
            for test in ("dev15", "held-out")
            for score in ("psnr", "gt_mean", "gt_mean_luma", "ssim_rgb")
        ]
        lines.append(f"| {' | '.join(map(str, key))} | {len(runs)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
