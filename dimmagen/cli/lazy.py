"""A group whose commands are imported when they are used: `--help` waits neither for torch nor for Ray."""

import importlib
from collections.abc import Mapping

import click


class LazyGroup(click.Group):
    """A click group over `name -> ("module:attribute", one line of help)`; pass it as `commands_at`."""

    def __init__(self, *args, commands_at: Mapping[str, tuple[str, str]], **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.commands_at = commands_at

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands_at)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.commands_at:
            return None
        module, attribute = self.commands_at[name][0].split(":")
        return getattr(importlib.import_module(module), attribute)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.commands_at.items()])
