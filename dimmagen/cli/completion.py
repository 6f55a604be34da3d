"""Completion in a shell: commands, options, and the names of profiles, layouts, models, recipes and others.

A shell asks at every press of the tab key, so no command is imported, and with it no torch, Ray or pyarrow:
the commands are described in completion.json, which docs/make_command_pages.py writes; names of the user's
own profiles and of plug-ins are added here.
"""

import json
import os
import re
from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem, shell_complete

from dimmagen.cli.command import LazyGroup

VARIABLE = "_DIMMAGEN_COMPLETE"
"""The environment variable by which a shell asks; click's name for it."""
TREE = Path(__file__).with_name("completion.json")
_GROUPS = {
    "layouts": "dimmagen.layouts",
    "models": "dimmagen.dimmers",
    "sources": "dimmagen.sources",
    "metrics": "dimmagen.metrics",
    "architectures": "dimmagen.networks",
}
# What the options and arguments take whose value is a name; the kinds are those of _names.
_OPTIONS = {
    "--profile": "profiles",
    "--layout": "layouts",
    "--check": "layouts",
    "--model": "models",
    "--architecture": "architectures",
    "--metrics": "metrics",
    "--recipe": "recipes",
    "--without": "parts",
    "--labels": "label formats",
}
_ARGUMENTS = {"profile show": "profiles", "profile evaluate": "profiles", "run": "recipes"}
_SOURCE_COMMANDS = ("build-mixhq", "dim", "plan", "reproduce")  # whose --source may begin with NAME=
_ENDINGS = {"label formats": "=", "sources": "="}  # of names behind which more follows
_HELP_END = re.compile(r"[.:;](?:\s|$)")  # of the part of an option's help that a shell shows


def complete() -> int:
    """Answer a shell that asks for completions; returns the exit code."""
    instruction = os.environ[VARIABLE]
    return shell_complete(command_tree(), {}, "dimmagen", VARIABLE, instruction)


def command_tree() -> click.Command:
    """All commands with their options, which can be completed and do nothing."""
    return _command("dimmagen", json.loads(TREE.read_text(encoding="utf-8")))


def described_command(command: click.Command, context: click.Context, text: str = "") -> dict[str, Any]:
    """A command, and those below it, as completion.json has them.

    Args:
        text: its line in the help of its group.
    """
    params = [param for param in command.get_params(context) if param.name != "help"]
    found: dict[str, Any] = {
        "help": text,
        "options": [_described(param) for param in params if isinstance(param, click.Option)],
        "arguments": [[param.human_readable_name, param.nargs] for param in params if _is_argument(param)],
    }
    if isinstance(command, LazyGroup):
        found["commands"] = {
            name: described_command(one, click.Context(one, context, info_name=name), line)
            for name, (_, line) in command.commands_at.items()
            if (one := command.get_command(context, name)) is not None
        }
    return found


def _is_argument(param: click.Parameter) -> bool:
    return isinstance(param, click.Argument)


def _described(option: click.Option) -> dict[str, Any]:
    found: dict[str, Any] = {
        "names": [*option.opts, *option.secondary_opts],
        "help": _HELP_END.split(option.help or "")[0],
    }
    if option.is_flag:
        return found | {"flag": True}
    if isinstance(option.type, click.Choice) and "--architecture" not in option.opts:
        found["choices"] = list(option.type.choices)
    return found | ({"multiple": True} if option.multiple else {})


def names_by_kind() -> dict[str, list[str]]:
    """The names of each kind that the package has, as completion.json has them; imports all of it."""
    from dimmagen.dimmers.base import DIMMERS
    from dimmagen.dimmers.camera.model import PARTS
    from dimmagen.dimmers.profile import formulas
    from dimmagen.enhance.network import ARCHITECTURES
    from dimmagen.export.layouts import LAYOUTS
    from dimmagen.export.readers import READERS
    from dimmagen.metrics.base import METRICS
    from dimmagen.sources import SOURCES
    from dimmagen.sources.labels.index import LABEL_FORMATS

    names: dict[str, Iterable[str]] = {
        "profiles": formulas(),
        "layouts": dict.fromkeys([*READERS, *LAYOUTS]),
        "models": DIMMERS,
        "architectures": ARCHITECTURES,
        "metrics": METRICS,
        "sources": SOURCES,
        "parts": PARTS,
        "label formats": LABEL_FORMATS,
    }
    return {kind: sorted(known) for kind, known in names.items()}


def _command(path: str, values: dict[str, Any]) -> click.Command:
    name = path.split()[-1]
    below = path.removeprefix("dimmagen").strip()
    params: list[click.Parameter] = [_option(below, one) for one in values["options"]]
    params += [
        click.Argument([name.lower()], nargs=nargs, shell_complete=_completer(_ARGUMENTS.get(below, "")))
        for name, nargs in values["arguments"]
    ]
    if "commands" not in values:
        return click.Command(name, params=params, short_help=values["help"])
    group = click.Group(name, params=params, short_help=values["help"])
    for inner, one in values["commands"].items():
        group.add_command(_command(f"{path} {inner}", one))
    return group


def _option(command: str, values: dict[str, Any]) -> click.Option:
    names, text = values["names"], values["help"]
    if values.get("flag"):
        return click.Option([*names, "value"], is_flag=True, help=text)
    if "choices" in values:
        return click.Option([*names, "value"], type=click.Choice(values["choices"]), help=text)
    kind = next((_OPTIONS[name] for name in names if name in _OPTIONS), "")
    if "--source" in names and command in _SOURCE_COMMANDS:
        kind = "sources"
    multiple = bool(values.get("multiple"))
    return click.Option([*names, "value"], multiple=multiple, shell_complete=_completer(kind), help=text)


def _completer(kind: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Completes a name of a kind, and where there is none a path; in a list, its last part."""

    def of(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",") if kind == "metrics" else ("", "", incomplete)
        found = [name + _ENDINGS.get(kind, "") for name in _names(kind) if name.startswith(last)]
        if kind in ("metrics", "models", "parts", "architectures"):
            return [CompletionItem(before + comma + name) for name in found]
        return [*map(CompletionItem, found), CompletionItem(incomplete, type="file")]

    return of


def _names(kind: str) -> list[str]:
    """All names of a kind, with the user's own and those of plug-ins."""
    if not kind:
        return []
    if kind == "recipes":
        return sorted(path.stem for path in (Path(__file__).parent / "bundled").glob("*.yaml"))
    known = list(json.loads(TREE.read_text(encoding="utf-8"))["names"][kind])
    if kind == "profiles":
        from dimmagen.dimmers.profile_folders import saved_profile_names

        known += saved_profile_names()
    if kind in _GROUPS:
        known += [point.name for point in entry_points(group=_GROUPS[kind])]
    return sorted(set(known))
