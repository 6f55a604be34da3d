"""What every command adds to click's: former names of options, and advice about wrong values."""

import importlib
import os
import re
from collections.abc import Callable, Mapping
from itertools import takewhile
from typing import Any

import click
from click.core import ParameterSource

from dimmagen.cli.home import expand_home
from dimmagen.cli.output import configure, echo, report
from dimmagen.cli.output_options import EveryCommand, OutputOption, note_variables, variables
from dimmagen.cli.recipe_option import RECIPE, recipe_option
from dimmagen.cli.wording import command_message
from dimmagen.core.errors import DimmagenError
from dimmagen.core.registry import did_you_mean, unknown_name

_STRAY_PATHS = (
    "Each path needs a --source of its own; put a pattern in quotes, so that the shell leaves it as it is: "
    "--source 'photos/*.jpg'"
)
_PATHS = ("DIR", "FILE", "PATH", "URL")  # in the metavar of an option
STEP = "step"  # object of the context of a step of a recipe


class Command(EveryCommand):
    """A click command. What its function returns, a mapping, is its result as JSON.

    Args:
        former_names: present name of each renamed option by its former name. Former names are accepted on
            the command line and in recipes, with a notice on standard error.
        takes_recipe: whether the options can be in a file; not those of a command that runs recipes.
    """

    def __init__(
        self,
        *args: Any,
        former_names: Mapping[str, str] | None = None,
        takes_recipe: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        if takes_recipe:  # before the options of every command, which may be in it
            own = sum(not isinstance(one, OutputOption) for one in self.params)
            self.params.insert(own, recipe_option())
        self.former_names = dict(former_names or {})

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        args = self.with_present_names(args)
        flags = [one for one in self.get_params(ctx) if isinstance(one, OutputOption) and one.name == "json"]
        if flags and "--json" in args and not ctx.resilient_parsing:
            configure(as_json=True)  # for errors in what stands before it
        if not ctx.resilient_parsing:
            self._refuse_empty_paths(ctx, args)
        words = list(args)  # the parser empties `args`
        try:
            rest = super().parse_args(ctx, args)
        except click.BadParameter as error:
            text = f"{_with_nearest(error)}{_whence(ctx, error.param)}"
            if text == error.message:
                raise
            raise click.BadParameter(text, error.ctx, error.param, error.param_hint) from None
        except click.UsageError as error:
            if error.message.startswith("Got unexpected extra") and any(map(_is_source, self.params)):
                raise click.UsageError(f"{error.message}. {_STRAY_PATHS}", error.ctx) from None
            raise
        if not ctx.resilient_parsing:
            self._tell_repeated_paths(ctx, words)
            note_variables(ctx)
        return rest

    def _refuse_empty_paths(self, ctx: click.Context, args: list[str]) -> None:
        """Refuse an empty path, as a variable that is not set leaves it: it would be the working directory.

        Raises:
            click.UsageError: naming the option.
        """
        known = {name: one for one in self.get_params(ctx) for name in (*one.opts, *one.secondary_opts)}
        options = {
            name: one
            for name, one in known.items()
            if name.startswith("-") and isinstance(one, click.Option) and not one.is_flag
        }
        for before, word in zip(["", *args], args, strict=False):
            name = "" if word else before
            if word.startswith("--") and word.endswith("="):
                name = word[:-1]
            elif word:
                continue
            if name.startswith("-") and name not in known:
                continue  # there is no such option: the parser says so
            is_path = name not in options or _takes_path(options[name])
            if is_path and name != "--source":  # which says more itself
                what = name if name in options else "an argument"
                raise click.UsageError(f"{what} is empty: give a path; . is this folder", ctx)

    def _tell_repeated_paths(self, ctx: click.Context, args: list[str]) -> None:
        """Say that only the last of several paths counts for an option that takes one."""
        _, _, given = self.make_parser(ctx).parse_args(list(args))
        for one in dict.fromkeys(given):
            takes_one = isinstance(one, click.Option) and not one.is_flag and not one.multiple
            if takes_one and _takes_path(one) and given.count(one) > 1:
                name = one.opts[0]
                echo(f"Note: {name} is given {given.count(one)} times: only the last one counts.", err=True)

    def with_present_names(self, args: list[str]) -> list[str]:
        """Words of a command line, with the present names of its options and the home folder in place of
        `~`."""
        renamed: list[str] = []
        for number, word in enumerate(args):
            if word == "--":
                return [*renamed, *args[number:]]
            name, separator, value = word.partition("=")
            present = f"{self.present_name(name)}{separator}{value}" if name.startswith("--") else word
            renamed.append(expand_home(present))
        return renamed

    def present_name(self, option: str) -> str:
        """The present name of an option, with a notice if the given one is a former name."""
        present = self.former_names.get(option, option)
        if present != option:
            echo(f"Note: {option} is now {present}; the former name will be removed.", err=True)
        return present

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            if not _is_step(ctx):
                report(result if isinstance(result, Mapping) else {})
            return result
        except DimmagenError as error:
            if not hasattr(error, "command_message"):
                error.command_message = command_message(error, self)  # type: ignore[attr-defined]
                error.command = self  # type: ignore[attr-defined]
            raise


def _takes_path(option: click.Parameter) -> bool:
    return any(kind in (option.metavar or "") for kind in _PATHS)


def _is_source(option: click.Parameter) -> bool:
    return option.name == "sources"


def _with_nearest(error: click.BadParameter) -> str:
    """The message about a value that is none of an option's choices, with those that it may stand for."""
    value = re.match(r"'(.*)' is not one of ", error.message)
    if not value or not isinstance(getattr(error.param, "type", None), click.Choice):
        return error.message
    advice = did_you_mean(value[1], map(str, error.param.type.choices)).strip()  # type: ignore[union-attr]
    return f"{error.message} {advice[:1].upper()}{advice[1:]}".strip()


def _whence(context: click.Context, option: click.Parameter | None) -> str:
    """Where the value of an option is from, if it was not typed: ` This is from DIMMAGEN_DIM_WORKERS.`"""
    source = context.get_parameter_source(option.name) if option and option.name else None
    if isinstance(option, click.Option) and source is ParameterSource.ENVIRONMENT:
        found = next((name for name in variables(context, option) if name in os.environ), "the environment")
        return f" This is from {found}."
    recipe = context.meta.get(RECIPE)
    return f" This is from {recipe}." if recipe and source is ParameterSource.DEFAULT_MAP else ""


def _is_step(context: click.Context) -> bool:
    """Whether this is a step of a recipe, whose command reports the results of all steps."""
    return context.find_root().obj == STEP


class LazyGroup(EveryCommand, click.Group):
    """A click group whose commands are imported when they are used.

    Args:
        commands_at: headings of the help, each with `("module:attribute", one line of help)` by name.
    """

    def __init__(self, *args, commands_at: Mapping[str, Mapping[str, tuple[str, str]]], **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.sections = commands_at
        self.commands_at = {name: at for section in commands_at.values() for name, at in section.items()}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--json" in takewhile(lambda word: word.startswith("-"), args):
            configure(as_json=True)  # for --version, wherever it stands
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands_at)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.commands_at:
            return None
        module, attribute = self.commands_at[name][0].split(":")
        return getattr(importlib.import_module(module), attribute)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.commands_at and not ctx.resilient_parsing and not args[0].startswith("-"):
            if "--json" in args:
                configure(as_json=True)
            raise unknown_name(f"{ctx.command_path} command", args[0], self.commands_at)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, self.commands_at))  # one column for the texts of all sections
        for heading, commands in self.sections.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), text) for name, (_, text) in commands.items()])


def command(*args: Any, **kwargs: Any) -> Callable[[Callable], Command]:
    """Like :func:`click.command`, but makes a :class:`Command`."""
    return click.command(*args, cls=kwargs.pop("cls", Command), **kwargs)
