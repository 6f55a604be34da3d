"""What every command does beyond click's: options that were renamed, and errors in terms of options."""

import importlib
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import click

from dimmagen.core.errors import DimmagenError

_PARAMETER = re.compile(r"`([a-z][a-z_0-9]*)(?:=([^`]*))?`")
_CALL = re.compile(r"`([a-z][a-z_]*)\(([^`]*)\)`")
# Functions of the library that messages refer to, and the commands that do the same.
_COMMANDS = {
    "build_mixhq": "build-mixhq",
    "fit_profile": "profile fit",
    "make_dataset": "dim",
    "make_subset": "subset",
    "verify": "verify",
}


class Command(click.Command):
    """A click command.

    Args:
        former_names: options that were renamed: the former name to the present one. They are understood,
            with a notice on standard error, on the command line and in recipes.
    """

    def __init__(self, *args: Any, former_names: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.former_names = dict(former_names or {})

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self.with_present_names(args))

    def with_present_names(self, args: list[str]) -> list[str]:
        """Words of a command line, with options by their present names."""
        renamed: list[str] = []
        for number, word in enumerate(args):
            if word == "--":
                return [*renamed, *args[number:]]
            name, separator, value = word.partition("=")
            renamed.append(f"{self.present_name(name)}{separator}{value}" if name.startswith("--") else word)
        return renamed

    def present_name(self, option: str) -> str:
        """An option's present name, with a notice where the given one was renamed."""
        present = self.former_names.get(option, option)
        if present != option:
            click.echo(f"Note: {option} is now {present}; the former name will be removed.", err=True)
        return present

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DimmagenError as error:
            if not hasattr(error, "command_message"):
                error.command_message = in_options(str(error), self)  # type: ignore[attr-defined]
            raise


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


def command(*args: Any, **kwargs: Any) -> Callable[[Callable], Command]:
    """As :func:`click.command`, with :class:`Command`."""
    return click.command(*args, cls=kwargs.pop("cls", Command), **kwargs)


def message(error: DimmagenError) -> str:
    """An error's text for a terminal."""
    return getattr(error, "command_message", None) or in_options(str(error), None)


def in_options(text: str, of: click.Command | None) -> str:
    """A library's message with options and commands in place of arguments and functions in backticks.

    Example:
        >>> in_options('give fewer `workers`, or `device="cpu"`; check it with `verify(out)`', None)
        'give fewer workers, or device cpu; check it with dimmagen verify out'
    """
    text = _CALL.sub(_as_command, text)
    options: dict[str | None, click.Parameter] = {one.name: one for one in of.params} if of else {}
    return _PARAMETER.sub(partial(_in_option, options), text)


def _as_command(match: re.Match) -> str:
    name, arguments = match.groups()
    words = [_in_flag(word.strip()) for word in arguments.split(",") if word.strip()]
    return " ".join(["dimmagen", _COMMANDS.get(name, name.replace("_", "-")), *words])


def _in_flag(argument: str) -> str:
    name, separator, value = argument.partition("=")
    return (
        f"--{name.replace('_', '-')}" + ("" if value in ("", "True") else f" {value}")
        if separator
        else argument
    )


def _in_option(options: Mapping[str | None, click.Parameter], match: re.Match) -> str:
    name, value = match.group(1), (match.group(2) or "").strip("\"'")
    parameter = options.get(name)
    if isinstance(parameter, click.Option):
        name = next(option for option in parameter.opts if option.startswith("--"))
    elif parameter is not None:
        name = parameter.make_metavar(click.Context(click.Command("")))
    is_flag = isinstance(parameter, click.Option) and parameter.is_flag
    return name if is_flag or not value else f"{name} {value}"
