"""Tables and lines of rich, without what rich would read into the names of strangers."""

from typing import Any

import rich.console
from rich.text import Text

from dimmagen.cli.output import echo, settings
from dimmagen.core.text import printable

_FILE_WIDTH = 80  # columns at least, where the output is not a terminal


class Console(rich.console.Console):
    """A console that takes every text as it is: no markup, no emoji codes, control characters escaped.

    What should be bold or dim is given as a :class:`rich.text.Text`. On standard output it prints results,
    which `--json` replaces; on standard error messages about the work and bars, which `--quiet` omits.
    """

    def __init__(self, *, stderr: bool = False, **options: Any) -> None:
        omitted = settings().quiet if stderr else settings().as_json
        super().__init__(stderr=stderr, quiet=omitted, **options)
        if not self.is_terminal and "width" not in options:
            self.width = max(self.width, _FILE_WIDTH)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does, but a plain text in the way of all other messages: see :mod:`.output`."""
        if objects and all(type(one) is str for one in objects):
            echo(" ".join(objects), err=self.stderr)
        else:
            super().print(*objects, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """The text as rich renders it; see the class."""
        return super().render_str(printable(text), **{**options, "markup": False, "emoji": False})
