"""Messages of the library with options and commands in the place of arguments and functions."""

import logging
import re
from collections.abc import Mapping
from copy import copy
from functools import partial
from typing import Any

import click

from dimmagen.core.errors import DimmagenError, Ways, sentence
from dimmagen.core.text import shell_word

_PARAMETER = re.compile(r"`([a-z][a-z_0-9]*)(?:=([^`]*))?`")
_CALL = re.compile(r"`([a-z][a-z_]*)\(([^`]*)\)`")
# Functions of the library that messages refer to, and the commands for them.
_COMMANDS = {
    "build_mixhq": "build-mixhq",
    "fit_profile": "profile fit",
    "make_dataset": "dim",
    "make_subset": "subset",
    "verify": "verify",
    "verify_mixhq": "verify",
}


def message(error: DimmagenError) -> str:
    """The text of an error for a terminal."""
    return getattr(error, "command_message", None) or command_message(error, None)


def command_message(error: DimmagenError, of: click.Command | None) -> str:
    """The text of an error of a command; other arguments as for :func:`in_options`."""
    return sentence(*_parts(error, of))


def error_fields(error: DimmagenError) -> dict[str, Any]:
    """An error for programs: code, message, hint, and the values that it is about."""
    what, todo = _parts(error, getattr(error, "command", None))
    return {"code": error.code, "message": what, "hint": todo, **error.fields}


def _parts(error: DimmagenError, of: click.Command | None) -> tuple[str, str]:
    """What is wrong, and what to do about it in the ways that a command has."""
    todo = error.todo
    if of is not None and isinstance(todo, Ways):
        todo = todo.only(partial(_has_options, of))
    return in_options(error.what, of), in_options(todo, of)


def _has_options(command: click.Command, advice: str) -> bool:
    return named_arguments(advice) <= {one.name for one in command.params}


def named_arguments(text: str) -> set[str | None]:
    """The arguments that a message names, other than those of calls."""
    return {match[1] for match in _PARAMETER.finditer(_CALL.sub("", text))}


def in_options(text: str, of: click.Command | None) -> str:
    """A message of the library, with options and commands in place of its arguments and functions.

    Args:
        text: message that names arguments and calls in backticks.
        of: command whose options are meant; None leaves the arguments' names.

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
        f"--{name.replace('_', '-')}" + ("" if value in ("", "True") else f" {_bare(value)}")
        if separator
        else shell_word(argument)
    )


def _bare(value: str) -> str:
    """A value of Python without its quotes."""
    return value.strip("\"'")


def _in_option(options: Mapping[str | None, click.Parameter], match: re.Match) -> str:
    name, value = match.group(1), _bare(match.group(2) or "")
    parameter = options.get(name)
    if isinstance(parameter, click.Option):
        name = next(option for option in parameter.opts if option.startswith("--"))
    elif parameter is not None:
        name = parameter.make_metavar(click.Context(click.Command("")))
    is_flag = isinstance(parameter, click.Option) and parameter.is_flag
    return name if is_flag or not value else f"{name} {value}"


def worded(record: logging.LogRecord) -> logging.LogRecord:
    """A log record with the options of the command that is running; what is filled in stays as it is.

    Advice after a semicolon at the end is left out if it is an option that the command does not have.
    """
    context = click.get_current_context(silent=True)
    command = context.command if context else None
    record, text = copy(record), str(record.msg)
    what, _, advice = text.rpartition("; ")
    if what and command and not _has_options(command, advice):
        text = what
    record.msg = in_options(text, command)
    return record
