"""`dimmagen train`: train the enhancement network on pair shards."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from dimmagen.cli.command import command
from dimmagen.cli.console import Console
from dimmagen.cli.execution_options import address_option
from dimmagen.cli.headings import EXECUTION, TRAINING_DATA, VALIDATION, headed_option
from dimmagen.cli.humanize import duration
from dimmagen.cli.messages import results_alone_on_stdout
from dimmagen.cli.options import (
    PAIRS_HELP,
    Integer,
    Number,
    names_option,
    split_names,
)
from dimmagen.cli.output import echo, echo_next
from dimmagen.cli.progress import TrainingProgress
from dimmagen.cli.training_options import FORMER_NAMES, make_config, note_idle_options, shared_options
from dimmagen.core.errors import UsageError
from dimmagen.core.outputs import ResumeMode
from dimmagen.core.text import pluralize, shell_word
from dimmagen.enhance.checkpoints import BEST, CHECKPOINT
from dimmagen.enhance.config import CACHE_GB, MIX_SHARE, TrainConfig
from dimmagen.enhance.distributed import run_distributed
from dimmagen.enhance.estimate import estimate_training
from dimmagen.enhance.network import ARCHITECTURES
from dimmagen.enhance.run_folder import RunFolder
from dimmagen.enhance.training import run_training


@command(former_names={"--shards": "--data", "--model": "--architecture", **FORMER_NAMES})
@click.option("--data", metavar="DATASET", help="Data set to train on: folder or URL.")
@click.option(
    "--pairs",
    metavar="DIR|FILE|PATTERN",
    help=f"Real pairs to train on instead of --data: {PAIRS_HELP}",
)
@headed_option(
    "--mix-pairs",
    metavar="DIR|FILE|PATTERN",
    help="Real pairs to mix into the batches of --data, chosen by --names and --hold-out.",
    heading=TRAINING_DATA,
)
@headed_option(
    "--mix-share",
    type=Number(0, 1, min_open=True, max_open=True),
    default=MIX_SHARE,
    help="Share of the crops that come from --mix-pairs.",
    heading=TRAINING_DATA,
)
@names_option
@click.option(
    "--architecture", type=click.Choice(list(ARCHITECTURES)), default="compact", help="Network architecture."
)
@click.option("--iterations", type=Integer(1), default=5000, help="Number of training iterations.")
@headed_option(
    "--validation-photos",
    type=Integer(0),
    show_default="16, or a quarter of fewer than 64",
    help="Number of photos of --data to select the best network on, if there is no --validate; they are not "
    "trained on.",
    heading=VALIDATION,
)
@headed_option(
    "--loaders",
    type=Integer(0),
    default=0,
    help="Number of processes that read the data; 0 reads it in the training process.",
    heading=TRAINING_DATA,
)
@headed_option(
    "--cache",
    "cache_gb",
    type=Number(0),
    default=CACHE_GB,
    help="Maximum memory for keeping decoded images between epochs, in GB.",
    heading=TRAINING_DATA,
)
@headed_option(
    "--workers",
    type=Integer(1),
    default=1,
    help="Number of Ray Train workers, each on one GPU or processor.",
    heading=EXECUTION,
)
@address_option("use", "none; train on this machine")
@shared_options
def train(
    data: str | None,
    pairs: str | None,
    names: str | None,
    architecture: str,
    out: Path,
    resume: ResumeMode,
    learning_rate: float | None,
    workers: int,
    address: str | None,
    dry_run: bool,
    **options: Any,
) -> dict[str, Any]:
    """Train the enhancement network on dark/light pairs.

    \b
    Example, for a computer without a GPU:
      dimmagen train --data out/ --out run/ --perceptual none --crop 128

    With --mix-pairs, some of the crops come from the camera's real pairs.

    Running the same command again resumes an interrupted run, with the same losses.
    """
    if (data is None) == (pairs is None):
        raise UsageError(
            "train needs either a data set or real pairs", "give --data, or --pairs", code="missing-argument"
        )
    note_idle_options(options, data, options["mix_pairs"])
    rate = learning_rate or ARCHITECTURES[architecture].learning_rate
    config = make_config(
        options, rate, data=data, pairs=pairs, names=split_names(names), architecture=architecture
    )
    if dry_run:
        return say_what_it_takes(config, workers)
    return train_and_report(config, out, resume, workers, address)


def train_and_report(
    config: TrainConfig, out: Path, resume: ResumeMode, workers: int = 1, address: str | None = None
) -> dict[str, Any]:
    """Train, print the result and the next commands, and return the result for programs."""
    console = Console(stderr=True)
    if workers > 1 or address is not None:
        with results_alone_on_stdout(), TrainingProgress(console, "the start of Ray", workers) as progress:
            run_distributed(config, out, resume, workers, address, progress)
    else:
        with TrainingProgress(console, " and ".join(["the data", *config.loggers])) as progress:
            run_training(config, out, resume, progress)
    outcome = RunFolder(out).header(CHECKPOINT)
    on = f" on {outcome['validated_on']}" if "validated_on" in outcome else ""
    early = " (stopped early)" if outcome["iteration"] < config.training.iterations else ""
    echo(
        f"{out} is trained: {pluralize(outcome['iteration'], 'iteration')}{early}, best PSNR "
        f"{outcome['best_psnr']:.2f} dB{on} at iteration {outcome['best_iteration']}, in {out / BEST}."
    )
    word = shell_word(out)
    echo_next(f"dimmagen evaluate --network {word} --pairs DIR", f"dimmagen enhance PHOTO --network {word}")
    return {
        "run": str(out),
        "network": str(out / BEST),
        "iterations": outcome["iteration"],
        "stopped_early": bool(early),
        "best_psnr": outcome["best_psnr"],
        "best_iteration": outcome["best_iteration"],
        "validated_on": outcome.get("validated_on", ""),
    }


def say_what_it_takes(config: TrainConfig, workers: int = 1) -> dict[str, Any]:
    """Print what a run will take, from a few iterations that are not kept; the same as JSON values."""
    found = estimate_training(config, workers)
    share = f" by each of {pluralize(workers, 'worker')}" if workers > 1 else ""
    echo(
        f"{config.architecture} on {found.device}: {found.iterations_per_second:.2f} iterations/s{share}, "
        f"measured over {pluralize(found.measured, 'iteration')} with their data.\n"
        f"Memory: {found.memory_gb:.1f} GB.\n"
        f"Time: {duration(found.seconds)} for {pluralize(config.training.iterations, 'iteration')}, of which "
        f"{duration(found.validation_seconds)} for {pluralize(found.validations, 'validation')}.\n"
        "Nothing was written."
    )
    return asdict(found)
