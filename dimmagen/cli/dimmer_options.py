"""The options of the dimmer, for the commands that make pairs."""

from collections.abc import Callable
from functools import partial, wraps

import click

from dimmagen.cli.headings import DARK_IMAGES, headed_option
from dimmagen.cli.options import Number, Range, Rungs
from dimmagen.dimmers.dimmer import BRIGHTNESSES
from dimmagen.generate.pair import dimmer_builder

headed = partial(headed_option, heading=DARK_IMAGES)

_DIMMER = (
    headed("--variants", default=1, help="Number of dark images per photo; with --ladder, per rung."),
    headed("--seed", default=0, help="Random seed for all draws."),
    headed(
        "--gamma",
        type=Range(positive=True),
        show_default="the profile's",
        help="Range from which the brightness factor of each dark image is drawn.",
    ),
    headed(
        "--brightness",
        type=click.Choice(BRIGHTNESSES),
        default="wide",
        help="How bright the dark images are: `wide` draws gamma from its range, darker and brighter than "
        "the camera's own; `as-pairs` keeps it at 1, so that they are as dark as the pairs of the profile.",
    ),
    headed(
        "--ladder",
        type=Rungs(),
        default=(),
        help="Fixed brightness factors instead of drawn ones, such as 0.3,1,2: each variant is made once "
        "per factor, with the same noise.",
    ),
    headed(
        "--group-by",
        type=click.Choice(["clip"]),
        help="Draw gamma, exposure, white balance and noise level once per video clip, not per frame.",
    ),
    headed(
        "--temperature",
        type=Number(0),
        show_default="the profile's",
        help="Scale factor of the noise.",
    ),
    headed(
        "--model",
        metavar="NAME",
        show_default="the profile's",
        help="Kind of dimmer model in the profile, such as camera, mdn or deterministic.",
    ),
    headed(
        "--without",
        multiple=True,
        metavar="PART",
        help="Part of the dimmer model to disable, for ablations. The parts of camera are response, toe, "
        "balance, intensity, noise-by-luma, correlation, tails, skew, spatial, banding, jpeg, "
        "white-balance-spread, fine-chroma, highlights and noise-spread. Repeatable.",
    ),
    headed(
        "--compat",
        type=click.Choice(["default", "reference"]),
        default="default",
        help="Transform of the mdn model: `reference` follows the code of the paper's authors.",
    ),
)


def dimmer_options(function: Callable) -> Callable:
    """Add the options of the dimmer to a command, all but `--profile`; see :func:`with_dimmer`."""
    with_options = with_dimmer(function)
    for one in reversed(_DIMMER):
        with_options = one(with_options)
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
