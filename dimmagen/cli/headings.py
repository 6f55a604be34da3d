"""Headings in the help of commands with many options."""

from collections.abc import Sequence
from typing import Any

import click

PHOTOS = "Selection of photos"
DARK_IMAGES = "Dark images"
FILES = "Files of the data set"
TRAINING_DATA = "Training data"
OPTIMISATION = "Network and optimisation"
VALIDATION = "Validation, checkpoints and logs"
EXECUTION = "Execution"

_IN_ORDER = (PHOTOS, DARK_IMAGES, FILES, TRAINING_DATA, OPTIMISATION, VALIDATION, EXECUTION)
_FEW = 15  # options, which need no headings


class HeadedOption(click.Option):
    """An option that `--help` lists under a heading.

    Args:
        heading: one of this module.
    """

    def __init__(self, *words: Any, heading: str, **given: Any) -> None:
        super().__init__(*words, **given)
        self.heading = heading


def headed_option(*words: str, heading: str, **given: Any) -> Any:
    """Like :func:`click.option`, under a heading."""
    return click.option(*words, cls=HeadedOption, heading=heading, **given)


def by_heading(options: Sequence[click.Option]) -> dict[str, list[click.Option]]:
    """A command's options by heading; those without one come first, under `Options`.

    A command with few options has all of them there.
    """
    if len(options) <= _FEW:
        return {"Options": list(options)} if options else {}
    found: dict[str, list[click.Option]] = {heading: [] for heading in ("Options", *_IN_ORDER)}
    for one in options:
        found[getattr(one, "heading", "Options")].append(one)
    return {heading: listed for heading, listed in found.items() if listed}
