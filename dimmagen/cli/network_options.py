"""Options that the commands for enhancement networks share."""

import click

from dimmagen.cli.headings import EXECUTION, OPTIMISATION, headed_option
from dimmagen.cli.options import Number
from dimmagen.enhance.enhancer import MEMORY_GB

device_option = headed_option(
    "--device",
    default="auto",
    metavar="auto|cpu|cuda",
    help="Device that runs the network; auto takes a GPU if there is one.",
    heading=EXECUTION,
)
exact_lightness_option = click.option(
    "--exact-lightness",
    is_flag=True,
    help="Scale each result to exactly the requested lightness, which the network only approximates, by a "
    "factor of at most 2.",
)
lpips_weights_option = headed_option(
    "--lpips-weights",
    metavar="DIR|FILE",
    show_default="those of the lpips package",
    help="LPIPS weights: a file, or the folder that holds it.",
    heading=OPTIMISATION,
)
memory_option = click.option(
    "--memory",
    type=Number(0),
    default=MEMORY_GB,
    help="Maximum memory for running the network, in GB; larger images are processed in tiles.",
)
network_option = click.option(
    "--network",
    "network_path",
    required=True,
    metavar="DIR|FILE",
    help="Trained network: the folder of a training run, or a network file.",
)
