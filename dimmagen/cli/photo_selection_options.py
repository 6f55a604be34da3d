"""The options that choose among photos, for all commands that read them."""

from collections.abc import Callable
from functools import partial, wraps

from dimmagen.cli.headings import PHOTOS, headed_option
from dimmagen.cli.options import Integer, Number
from dimmagen.sources.photo_selection import PhotoSelection, read_names
from dimmagen.sources.rules import MIN_LIGHTNESS, MIN_SIDE

headed = partial(headed_option, heading=PHOTOS)

_PHOTO_SELECTION = (
    headed(
        "--min-lightness",
        type=Number(0, 1),
        default=MIN_LIGHTNESS,
        show_default=True,
        help="Minimum mean lightness of a photo, from 0 to 1; darker photos are rejected.",
    ),
    headed(
        "--follow-links",
        is_flag=True,
        help="Also follow links that lead out of a source's folder.",
    ),
    headed(
        "--resize",
        type=Integer(MIN_SIDE),
        metavar="PIXELS",
        help="Downscale photos so that their shorter side has this length; smaller photos keep their size.",
    ),
    headed(
        "--crop",
        type=Integer(MIN_SIDE),
        metavar="PIXELS",
        help="Keep the central square of this side, after --resize; smaller photos are rejected.",
    ),
    headed(
        "--limit",
        type=Integer(1),
        metavar="N",
        help="Use at most N photos. The choice depends on their contents alone, and a larger N only adds "
        "photos; all candidates are checked all the same.",
    ),
    headed(
        "--list",
        "names",
        metavar="FILE",
        help="Text file with the only candidates, one per line, by path or by path below the source.",
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

    for one in reversed(_PHOTO_SELECTION):
        with_selection = one(with_selection)
    return with_selection
