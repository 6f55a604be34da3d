"""The options of the dimmer, for the commands that make pairs."""

from collections.abc import Callable
from functools import wraps

import click

from dimmagen.cli.options import Number, Range, Rungs
from dimmagen.dimmers.dimmer import BRIGHTNESSES
from dimmagen.generate.pair import dimmer_builder

_DIMMER = (
    click.option("--variants", default=1, help="Number of dark images per photo; with --ladder, per rung."),
    click.option("--seed", default=0, help="Random seed for all draws."),
    click.option(
        "--gamma",
        type=Range(positive=True),
        show_default="the profile's",
        help="Range from which the brightness factor of each dark image is drawn.",
    ),
    click.option(
        "--brightness",
        type=click.Choice(BRIGHTNESSES),
        default="wide",
        help="How bright the dark images are: `wide` draws gamma from its range, darker and brighter than "
        "the camera's own; `as-pairs` keeps it at 1, so that they are as dark as the pairs of the profile.",
    ),
    click.option(
        "--ladder",
        type=Rungs(),
        default=(),
        help="Fixed brightness factors in place of drawn ones, such as 0.3,1,2: each variant is made once "
        "per factor, with the same noise.",
    ),
    click.option(
        "--group-by",
        type=click.Choice(["clip"]),
        help="Draw gamma, exposure, white balance and noise level once per video clip, not per frame.",
    ),
    click.option(
        "--temperature",
        type=Number(0),
        show_default="the profile's",
        help="Scale factor of the noise.",
    ),
    click.option(
        "--model",
        metavar="NAME",
        show_default="the profile's",
        help="Kind of dimmer model in the profile, such as camera, mdn or deterministic.",
    ),
    click.option(
        "--without",
        multiple=True,
        metavar="PART",
        help="Part of the dimmer model to leave out, for ablations. Those of camera are response, toe, "
        "balance, intensity, correlation, tails, skew, spatial, banding, jpeg, white-balance-spread, "
        "fine-chroma, highlights and noise-spread. Repeatable.",
    ),
    click.option(
        "--compat",
        type=click.Choice(["default", "reference"]),
        default="default",
        help="Transform of the mdn model: `reference` follows the code of the paper's authors.",
    ),
)


def dimmer_options(function: Callable) -> Callable:
    """Add the options of the dimmer to a command, all but `--profile`; see :func:`with_dimmer`."""
    with_options = with_dimmer(function)
    for option in reversed(_DIMMER):
        with_options = option(with_options)
    return with_options


def with_dimmer(function: Callable) -> Callable:
    """Give the function of a command `build_dimmer` in place of the options of the dimmer and its profile.

    Its `variants` are those of all rungs of a ladder together.
    """

    @wraps(function)
    def with_built(*args, profile, variants, gamma, ladder, group_by, **kwargs):
        names = ("brightness", "temperature", "model", "without", "compat")
        options = {name: kwargs.pop(name) for name in names}
        build_dimmer = dimmer_builder(profile, gamma, ladder, group_by=group_by or "", **options)
        return function(*args, build_dimmer=build_dimmer, variants=variants * (len(ladder) or 1), **kwargs)

    return with_built
