"""`dimmagen finetune`: fine-tune a trained network on the camera's real pairs."""

from pathlib import Path
from typing import Any

import click

from dimmagen.cli.command import command
from dimmagen.cli.options import Integer, names_option, pairs_option, split_names
from dimmagen.cli.train import say_what_it_takes, train_and_report
from dimmagen.cli.training_options import FORMER_NAMES, make_config, note_idle_options, shared_options
from dimmagen.core.outputs import ResumeMode
from dimmagen.enhance.checkpoints import load_network
from dimmagen.enhance.network import ARCHITECTURES


@command(former_names={"--from": "--network", **FORMER_NAMES})
@click.option(
    "--network",
    required=True,
    metavar="DIR|FILE",
    help="Trained network to start from: the folder of a training run, or a network file.",
)
@pairs_option
@names_option
@click.option("--iterations", type=Integer(1), default=2000, help="Number of training iterations.")
@shared_options
def finetune(
    network: str,
    pairs: str,
    names: str | None,
    out: Path,
    resume: ResumeMode,
    learning_rate: float | None,
    dry_run: bool,
    **options: Any,
) -> dict[str, Any]:
    """Fine-tune a trained network on real pairs, preferably those that its profile was fitted to.

    \b
    Example:
      dimmagen finetune --network run/ --pairs my-phone/ --out tuned/ --flip

    Without --validate and --hold-out the best network is selected on the training pairs themselves. Running
    the same command again resumes an interrupted run.
    """
    note_idle_options(options, None)
    architecture = str(load_network(network)[0].architecture_name)
    rate = learning_rate or ARCHITECTURES[architecture].finetuning_rate
    config = make_config(
        options, rate, pairs=pairs, names=split_names(names), network=network, architecture=architecture
    )
    return say_what_it_takes(config) if dry_run else train_and_report(config, out, resume)
