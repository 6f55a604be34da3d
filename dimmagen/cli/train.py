"""`dimmagen train`: train the enhancement network on pair shards."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from dimmagen.cli.command import command
from dimmagen.cli.console import Console
from dimmagen.cli.execution_options import address_option
from dimmagen.cli.headings import EXECUTION, OPTIMISATION, TRAINING_DATA, VALIDATION, headed_option
from dimmagen.cli.humanize import duration
from dimmagen.cli.messages import results_alone_on_stdout
from dimmagen.cli.network_options import device_option, lpips_weights_option
from dimmagen.cli.options import (
    PAIRS_HELP,
    Integer,
    LocalPath,
    Number,
    names_option,
    split_names,
)
from dimmagen.cli.output import echo, echo_next
from dimmagen.cli.progress import TrainingProgress
from dimmagen.core.errors import UsageError
from dimmagen.core.text import pluralize, shell_word
from dimmagen.enhance.acceleration import COMPILE
from dimmagen.enhance.batch import CONDITION_OF, EQUALISE
from dimmagen.enhance.checkpoints import BEST, CHECKPOINT
from dimmagen.enhance.config import CACHE_GB, MIX_SHARE, VALIDATION_PICTURES, TrainConfig
from dimmagen.enhance.distributed import run_distributed
from dimmagen.enhance.estimate import estimate_training
from dimmagen.enhance.loggers import LOGGERS
from dimmagen.enhance.network import ARCHITECTURES
from dimmagen.enhance.run_folder import ResumeMode, RunFolder
from dimmagen.enhance.state import TrainSettings
from dimmagen.enhance.training import run_training

_INPUTS_OF = "image for compact, crop for small and paper"

# Options that train and finetune share, in the order of their help.
_SHARED = [
    click.option(
        "--out", required=True, metavar="DIR", type=LocalPath(path_type=Path), help="Folder of the run."
    ),
    headed_option(
        "--validate",
        metavar="DIR|FILE|PATTERN",
        help="Real pairs to select the best network on, as for --pairs.",
        heading=VALIDATION,
    ),
    headed_option(
        "--hold-out",
        metavar="NAME,...",
        show_default="none",
        help="Pairs of --pairs that are not trained on; without --validate, the best network is selected on "
        "them.",
        heading=VALIDATION,
    ),
    headed_option(
        "--crop",
        type=Integer(8),
        default=256,
        help="Side of the training crops, in pixels.",
        heading=OPTIMISATION,
    ),
    headed_option(
        "--batch",
        type=Integer(1),
        default=4,
        help="Batch size per worker, in crops.",
        heading=OPTIMISATION,
    ),
    headed_option(
        "--learning-rate",
        type=Number(0, 10, min_open=True),
        show_default="the architecture's",
        help="Initial learning rate, which falls to 0 along a cosine.",
        heading=OPTIMISATION,
    ),
    headed_option(
        "--perceptual",
        type=click.Choice(["auto", "vgg", "none"]),
        default="auto",
        help="Network of the LPIPS loss: `none` omits this loss and is much faster without a GPU; `auto` "
        "takes vgg where LPIPS weights are available.",
        heading=OPTIMISATION,
    ),
    headed_option(
        "--perceptual-weight",
        type=Number(0),
        default=0.1,
        help="Weight of the LPIPS loss.",
        heading=OPTIMISATION,
    ),
    lpips_weights_option,
    headed_option(
        "--validate-every",
        type=Integer(1),
        default=100,
        help="Number of iterations between two validations.",
        heading=VALIDATION,
    ),
    headed_option(
        "--checkpoint-every",
        type=Integer(1),
        default=100,
        help="Number of iterations between two checkpoints.",
        heading=VALIDATION,
    ),
    headed_option(
        "--patience",
        type=Integer(0),
        default=0,
        show_default="0, no early stopping",
        help="Number of validations without a new best network after which training stops.",
        heading=VALIDATION,
    ),
    headed_option(
        "--average",
        type=Number(0, 1, max_open=True),
        default=0.0,
        show_default="0, no average",
        help="Decay of an exponential moving average of the weights, such as 0.999.",
        heading=OPTIMISATION,
    ),
    headed_option(
        "--clip",
        type=Number(0),
        default=0.0,
        show_default="0, no clipping",
        help="Maximum norm of the gradient.",
        heading=OPTIMISATION,
    ),
    headed_option(
        "--bf16",
        is_flag=True,
        help="Run the network in bfloat16, for GPUs and for processors that support it.",
        heading=EXECUTION,
    ),
    headed_option(
        "--flip/--no-flip",
        help="Mirror half of the training crops.",
        heading=OPTIMISATION,
    ),
    headed_option(
        "--equalise",
        type=click.Choice(EQUALISE),
        show_default=_INPUTS_OF,
        help="Region whose histogram is equalised for the network's input: the crop, or the whole image, as "
        "in `enhance`.",
        heading=OPTIMISATION,
    ),
    headed_option(
        "--condition",
        type=click.Choice(CONDITION_OF),
        show_default=_INPUTS_OF,
        help="Region whose change in lightness conditions the network: the crop, or the whole image, as in "
        "`enhance`.",
        heading=OPTIMISATION,
    ),
    headed_option(
        "--seed",
        default=0,
        help="Random seed for all draws.",
        heading=OPTIMISATION,
    ),
    device_option,
    headed_option(
        "--compile",
        type=click.Choice(COMPILE),
        default="auto",
        help="Whether torch compiles the network, which takes minutes; `auto` compiles on GPUs, for long "
        "runs.",
        heading=EXECUTION,
    ),
    headed_option(
        "--logger",
        "loggers",
        multiple=True,
        type=click.Choice(list(LOGGERS)),
        show_default="none",
        help="Also log to TensorBoard, Weights & Biases or MLflow. Repeatable.",
        heading=VALIDATION,
    ),
    headed_option(
        "--tensorboard",
        is_flag=True,
        help="Same as --logger tensorboard.",
        heading=VALIDATION,
    ),
    headed_option(
        "--validation-pictures",
        type=Integer(0),
        default=VALIDATION_PICTURES,
        help="Number of validation pairs shown (dark, output, ground truth) in the images that are saved "
        "with validations.",
        heading=VALIDATION,
    ),
    click.option(
        "--dry-run",
        is_flag=True,
        help="Measure a few iterations and estimate the time and memory of the run, without writing "
        "anything.",
    ),
    click.option(
        "--resume",
        type=click.Choice(["if-possible", "always", "never"]),
        default="if-possible",
        help="Whether to continue the run in the folder: `always` requires one, `never` discards it.",
    ),
]


def shared_options(command: Callable) -> Callable:
    """Add the options that train and finetune share to a command."""
    for option in reversed(_SHARED):
        command = option(command)
    return command


@command(former_names={"--shards": "--data", "--model": "--architecture"})
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
    tell_idle_options(options, data, options["mix_pairs"])
    rate = learning_rate or ARCHITECTURES[architecture].learning_rate
    config = make_config(
        options, rate, data=data, pairs=pairs, names=split_names(names), architecture=architecture
    )
    if dry_run:
        return say_what_it_takes(config, workers)
    return run(config, out, resume, workers, address)


def tell_idle_options(options: Mapping[str, Any], data: str | None, mix_pairs: str | None = None) -> None:
    """Say which options of the command line change nothing beside the others.

    Args:
        options: values of the shared options by parameter name.
        data: data set to train on; None for real pairs.
        mix_pairs: real pairs that are mixed in.
    """
    context = click.get_current_context()
    without_lpips = "with --perceptual none" if options["perceptual"] == "none" else ""
    by_photos = "with --validate" if options["validate"] else "" if data else "without --data"
    reasons = {
        "lpips_weights": without_lpips,
        "perceptual_weight": without_lpips,
        "mix_share": "" if mix_pairs else "without --mix-pairs",
        "validation_photos": by_photos,
    }
    for name, reason in reasons.items():
        if reason and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            echo(f"Note: --{name.replace('_', '-')} has no effect {reason}.", err=True)


def make_config(options: dict, learning_rate: float, **given) -> TrainConfig:
    """The training configuration.

    Args:
        options: values of the shared options by parameter name; it is emptied of those of the loop.
        learning_rate: initial.
        given: other fields of :class:`TrainConfig`.
    """
    given["hold_out"] = split_names(options.pop("hold_out")) or ()
    loggers = (*options.pop("loggers"), *(["tensorboard"] if options.pop("tensorboard") else []))
    given["loggers"] = tuple(dict.fromkeys(loggers))
    fields = TrainSettings.__dataclass_fields__
    loop = TrainSettings(**{name: options.pop(name) for name in list(options) if name in fields})
    return TrainConfig(**options, **given, training=replace(loop, learning_rate=learning_rate))


def run(
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
