"""`dimmagen finetune`: go on training on the camera's real pairs."""

import click

from dimmagen.cli.command import command
from dimmagen.cli.options import split_names
from dimmagen.cli.train import make_config, run, shared_options
from dimmagen.enhance.checkpoints import load_network
from dimmagen.enhance.network import ARCHITECTURES


@command(former_names={"--from": "--network"})
@click.option("--network", required=True, help="The run to go on from, or a network file.")
@click.option("--pairs", required=True, help="Real pairs: a folder with low/ and high/, or a CSV.")
@click.option("--names", help="Only these pairs, by file name without extension: 2,5,6.")
@click.option("--iterations", type=click.IntRange(1), default=2000, show_default=True)
@shared_options
def finetune(network, pairs, names, out, resume, learning_rate, **options) -> None:
    """Fine-tune a trained network on real pairs, best those that its profile was made from.

    Without --validate the network is chosen by these pairs themselves.
    Example: dimmagen finetune --network run/ --pairs LOL/our485 --names 2,5,6 --out tuned/ --flip
    """
    architecture = str(load_network(network)[0].architecture_name)
    rate = learning_rate or ARCHITECTURES[architecture].finetuning_rate
    config = make_config(
        options, rate, pairs=pairs, names=split_names(names), network=network, architecture=architecture
    )
    run(config, out, resume)
