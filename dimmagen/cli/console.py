"""Tables and lines of rich, without what rich would read into the names of strangers."""

from typing import Any

import rich.console
from rich.text import Text

from dimmagen.core.text import printable


class Console(rich.console.Console):
    """A console that takes every text as it is: no markup, no emoji codes, control characters escaped.

    What shall be bold or dim is given as a :class:`rich.text.Text`.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        """The text as rich renders it; see the class."""
        return super().render_str(printable(text), **{**options, "markup": False, "emoji": False})
