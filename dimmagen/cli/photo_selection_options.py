"""The options that choose among photos, for all commands that read them."""

from collections.abc import Callable
from functools import wraps

import click

from dimmagen.cli.options import Integer, Number
from dimmagen.sources.photo_selection import PhotoSelection, read_names
from dimmagen.sources.rules import MIN_LIGHTNESS, MIN_SIDE

_PHOTO_SELECTION = (
    click.option(
        "--min-lightness",
        type=Number(0, 1),
        default=MIN_LIGHTNESS,
        show_default=True,
        help="Mean lightness, 0 to 1, that a photo must have: a darker one is not taken as a light image.",
    ),
    click.option(
        "--follow-links",
        is_flag=True,
        help="Also read photos behind links that lead out of the folder of their source.",
    ),
    click.option(
        "--resize",
        type=Integer(MIN_SIDE),
        metavar="PIXELS",
        help="Reduce photos until their short side has this length; smaller photos keep their size.",
    ),
    click.option(
        "--crop",
        type=Integer(MIN_SIDE),
        metavar="PIXELS",
        help="Keep the central square of this side, after --resize; smaller photos are rejected.",
    ),
    click.option(
        "--limit",
        type=Integer(1),
        metavar="N",
        help="Use at most N photos. Which ones depends on their contents alone, and a larger N only adds to "
        "them; all candidates are checked nevertheless.",
    ),
    click.option(
        "--list",
        "names",
        metavar="FILE",
        help="Text file with one photo per line, by its path or its path below the source: only these are "
        "candidates.",
    ),
)


def photo_selection_options(function: Callable) -> Callable:
    """Add the options of :class:`~dimmagen.sources.photo_selection.PhotoSelection` to a command.

    The command's function receives one argument for them, `selection`.
    """

    @wraps(function)
    def with_selection(*args, follow_links, min_lightness, resize, crop, limit, names, **kwargs):
        listed = read_names(names) if names else None
        selection = PhotoSelection(min_lightness, resize, crop, limit, listed, follow_links)
        return function(*args, selection=selection, **kwargs)

    for option in reversed(_PHOTO_SELECTION):
        with_selection = option(with_selection)
    return with_selection
