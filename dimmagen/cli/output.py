"""Lines that commands print: what strangers wrote into names and settings reaches no terminal as it is."""

import click

from dimmagen.core.text import printable


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print a text, with its control characters escaped.

    Args:
        text: may have several lines.
        err: to standard error.
        nl: end the line.
    """
    click.echo(printable(text), err=err, nl=nl)
