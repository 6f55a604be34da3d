"""`dimmagen train`: the brightening network from pair shards."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console

from dimmagen.cli.command import command
from dimmagen.cli.messages import results_alone_on_stdout
from dimmagen.cli.options import LocalPath, Number, recipe_option, split_names
from dimmagen.cli.progress import TrainingProgress
from dimmagen.core.errors import UsageError
from dimmagen.enhance.checkpoints import BEST, CHECKPOINT, LOG, ResumeMode, RunFolder
from dimmagen.enhance.distributed import run_distributed
from dimmagen.enhance.network import ARCHITECTURES
from dimmagen.enhance.state import TrainSettings
from dimmagen.enhance.training import CACHE_GB, VALIDATION_PHOTOS, TrainConfig, run_training

# Options that train and finetune share, in the order of their help.
_SHARED = [
    click.option("--out", required=True, type=LocalPath(path_type=Path), help="Folder of the run."),
    click.option("--validate", help="Real pairs to choose the best network by (a folder or a CSV)."),
    click.option(
        "--hold-out", help="Of --pairs, not to train on: without --validate they choose the best network."
    ),
    click.option("--crop", type=click.IntRange(8), default=256, show_default=True, help="Side, pixels."),
    click.option("--batch", type=click.IntRange(1), default=4, show_default=True, help="Crops a worker."),
    click.option("--learning-rate", type=Number(0, 10, min_open=True), help="[default: the architecture's]"),
    click.option(
        "--perceptual",
        type=click.Choice(["vgg", "none"]),
        default="vgg",
        show_default=True,
        help="LPIPS in the loss; none is many times faster without a GPU.",
    ),
    click.option("--perceptual-weight", type=Number(0), default=0.1, show_default=True),
    click.option("--lpips-weights", help="File or folder of LPIPS weights.  [default: the lpips package's]"),
    click.option(
        "--validate-every", type=click.IntRange(1), default=100, show_default=True, help="Iterations."
    ),
    click.option("--checkpoint-every", type=click.IntRange(1), default=100, show_default=True),
    click.option(
        "--patience",
        type=click.IntRange(0),
        default=0,
        show_default="no end",
        help="Validations without a new best before stopping.",
    ),
    click.option(
        "--average",
        type=Number(0, 1, max_open=True),
        default=0.0,
        show_default="none",
        help="Decay of the weights' running average.",
    ),
    click.option(
        "--clip",
        type=Number(0),
        default=0.0,
        show_default="none",
        help="Largest norm of the gradient.",
    ),
    click.option(
        "--bf16", is_flag=True, help="Run the network in bfloat16; for GPUs, and processors that have it."
    ),
    click.option("--flip/--no-flip", help="Mirror half of the crops."),
    click.option("--seed", default=0, show_default=True),
    click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda."),
    click.option("--tensorboard", is_flag=True, help="Write TensorBoard's files as well."),
    click.option(
        "--resume",
        type=click.Choice(["if-possible", "always", "never"]),
        default="if-possible",
        show_default=True,
        help="Go on with the run that is in the folder; `never` discards it.",
    ),
    recipe_option,
]


def shared_options(command: Callable) -> Callable:
    for option in reversed(_SHARED):
        command = option(command)
    return command


@command(former_names={"--shards": "--data", "--model": "--architecture"})
@click.option("--data", help="A data set made by `dimmagen dim`: folder or URL.")
@click.option("--pairs", help="Train on real pairs alone instead (a folder or a CSV).")
@click.option("--names", help="Only these of the pairs, by file name without extension: 2,5,6.")
@click.option("--architecture", type=click.Choice(list(ARCHITECTURES)), default="compact", show_default=True)
@click.option("--iterations", type=click.IntRange(1), default=5000, show_default=True)
@click.option(
    "--validation-photos",
    type=click.IntRange(0),
    default=VALIDATION_PHOTOS,
    show_default=True,
    help="Photos of the shards to choose the best network by, where there is no --validate.",
)
@click.option("--loaders", type=click.IntRange(0), default=0, show_default=True, help="Processes that read.")
@click.option(
    "--cache",
    "cache_gb",
    type=Number(0),
    default=CACHE_GB,
    show_default=True,
    help="GB of decoded pictures to keep from pass to pass.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Train on so many GPUs or processors, by Ray Train.",
)
@click.option("--address", help="Of a Ray cluster to join.")
@shared_options
def train(data, pairs, names, architecture, out, resume, learning_rate, workers, address, **options) -> None:
    """Train the brightening network on dark/light pairs from shards.

    A run that was stopped goes on when the same command is given again, with the same losses.
    Example: dimmagen train --data out/ --out run/ --perceptual none --crop 128 --iterations 2000
    """
    if (data is None) == (pairs is None):
        raise UsageError("train needs one thing to train on", "give --data, or --pairs")
    if data is not None and options["hold_out"]:
        raise UsageError("--hold-out names real pairs, and there are none", "give --validation-photos")
    rate = learning_rate or ARCHITECTURES[architecture].learning_rate
    config = make_config(
        options, rate, data=data, pairs=pairs, names=split_names(names), architecture=architecture
    )
    run(config, out, resume, workers, address)


def make_config(options: dict, learning_rate: float, **given) -> TrainConfig:
    """A config of the shared options: those of the loop apart from the others."""
    given["hold_out"] = split_names(options.pop("hold_out")) or ()
    fields = TrainSettings.__dataclass_fields__
    loop = TrainSettings(**{name: options.pop(name) for name in list(options) if name in fields})
    return TrainConfig(**options, **given, training=replace(loop, learning_rate=learning_rate))


def run(
    config: TrainConfig, out: Path, resume: ResumeMode, workers: int = 1, address: str | None = None
) -> None:
    console = Console(stderr=True)
    if workers > 1 or address is not None:
        console.print(f"{workers} workers train; {out / LOG} tells how they go on", highlight=False)
        with results_alone_on_stdout():
            run_distributed(config, out, resume, workers, address)
    else:
        with TrainingProgress(console) as progress:
            run_training(config, out, resume, progress)
    outcome = RunFolder(out).header(CHECKPOINT)
    early = " (stopped early)" if outcome["iteration"] < config.training.iterations else ""
    click.echo(
        f"{out} is trained: {outcome['iteration']} iterations{early}, best PSNR "
        f"{outcome['best_psnr']:.2f} dB at iteration {outcome['best_iteration']}, in {out / BEST}.\n"
        f"Next: dimmagen evaluate --network {out} --pairs DIR\n"
        f"      dimmagen enhance PHOTO --network {out}"
    )
