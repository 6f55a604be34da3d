"""What train and finetune share: options, and the settings of a run that are made of them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from dimmagen.cli.headings import EXECUTION, OPTIMISATION, VALIDATION, headed_option
from dimmagen.cli.network_options import device_option, lpips_weights_option
from dimmagen.cli.options import Integer, LocalPath, Number, split_names
from dimmagen.cli.output import echo
from dimmagen.enhance.acceleration import COMPILE
from dimmagen.enhance.batch import CONDITION_OF, EQUALISE
from dimmagen.enhance.config import VALIDATION_IMAGES, TrainConfig
from dimmagen.enhance.loggers import LOGGERS
from dimmagen.enhance.state import TrainSettings

_INPUTS_OF = "image for compact, crop for small and paper"

FORMER_NAMES = {"--validation-pictures": "--validation-images"}  # of the options below
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
        "--validation-images",
        type=Integer(0),
        default=VALIDATION_IMAGES,
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


def note_idle_options(options: Mapping[str, Any], data: str | None, mix_pairs: str | None = None) -> None:
    """Say which options of the command line have no effect because of others.

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
