"""Recipes: one experiment as a YAML file, its steps in order, each a command with its options.

    variables:                    # what differs from one user to another: `dimmagen run --set pairs=PATH`
      pairs: LOL/our485
      out: runs/lol3
    dim:
      profile: lol3
      shards: ${out}/shards
    train:
      shards: ${out}/shards
      out: ${out}/network

Every other key is a command: its words as on the command line, its options by their long names. One of these
is changed by its step's name as well: `--set train.iterations=100`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import click
import yaml

from dimmagen.core.errors import UsageError

VARIABLES = "variables"
FORMER_VARIABLES = "places"  # still understood
COMMANDS = ("build-mixhq", "profile fit", "dim", "train", "finetune", "evaluate")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe as read.

    Attributes:
        path: where it was read.
        steps: options by command, in order; variables are filled in.
    """

    path: Path
    steps: dict[str, dict[str, Any]]


class _Loader(yaml.SafeLoader):
    """YAML whose plain values are words, as on a command line: 1:1 and 012 are no numbers of other bases.

    Only `true`, `false`, `null`, `~` and nothing at all keep their meaning.
    """


_Loader.yaml_implicit_resolvers = {}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(true|false)$"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(null|~|)$"), ["n", "~", ""])


def is_recipe(values: Mapping) -> bool:
    """Whether the contents of a YAML file are steps, and not the options of one command."""
    return any(name in (VARIABLES, FORMER_VARIABLES, *COMMANDS) for name in values)


def read_yaml(path: Path) -> dict:
    """The mapping in a YAML file.

    Raises:
        UsageError: it is missing, not YAML, or something else than a mapping.
    """
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader) or {}
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror})", "check the path") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not YAML ({' '.join(str(error).split())})", "mend it") from None
    if not isinstance(values, dict):
        raise UsageError(f"{path} holds no options", "write a line `option: value` for each option")
    return values


def load_recipe(path: Path, changes: Mapping[str, str] | None = None) -> Recipe:
    """Read a recipe.

    Args:
        path: of the YAML file.
        changes: in place of the recipe's own: variables by their names, options as `step.option`. The value
            is YAML; an empty one takes the option away.

    Raises:
        UsageError: it cannot be read, names an unknown command or variable, or a variable or step is not in
            it.
    """
    return as_recipe(path, read_yaml(path), changes or {})


def as_recipe(path: Path, values: dict, changes: Mapping[str, str]) -> Recipe:
    """The recipe that a YAML file's contents are; see :func:`load_recipe`."""
    if FORMER_VARIABLES in values:
        click.echo(
            f"Note: {path}: {FORMER_VARIABLES}: is now {VARIABLES}:; the former name will be removed.",
            err=True,
        )
        values = {VARIABLES if name == FORMER_VARIABLES else name: value for name, value in values.items()}
    variables = values.get(VARIABLES) or {}
    steps = {name: options for name, options in values.items() if name != VARIABLES}
    unknown = [str(name) for name in steps if name not in COMMANDS]
    if unknown:
        raise UsageError(f"{path}: there is no step {unknown[0]}", f"known are {', '.join(COMMANDS)}")
    if not isinstance(variables, dict) or not all(isinstance(options, dict) for options in steps.values()):
        raise UsageError(f"{path}: variables and steps must have lines `name: value`", "mend it")
    filled = dict(variables)
    for name, value in changes.items():
        step, _, option = name.rpartition(".")
        if name in variables:
            filled[name] = value
        elif not step:
            advice = f"it has {', '.join(variables)}; an option is set as STEP.OPTION"
            raise UsageError(f"{path} has no variable {name}", advice)
        elif step not in steps:
            raise UsageError(f"{path} has no step {step}", f"it has {', '.join(steps)}")
        else:
            steps[step] = {**steps[step], option: _parsed(name, value)}
    try:
        return Recipe(path, {name: _filled(options, filled) for name, options in steps.items()})
    except KeyError as error:
        raise UsageError(f"{path}: there is no variable {error}", f"define it under {VARIABLES}") from None
    except ValueError:
        raise UsageError(
            f"{path}: a $ begins a variable, as ${{out}}", "write $$ for the sign itself"
        ) from None


def _parsed(name: str, value: str) -> Any:
    try:
        return yaml.load(value, _Loader)
    except yaml.YAMLError:
        raise UsageError(
            f"--set {name}={value} is not a value as YAML has them", "put it in quotes"
        ) from None


def _filled(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(inner, variables) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, variables) for inner in value]
    return Template(value).substitute(variables) if isinstance(value, str) else value


def command_words(command: str, options: Mapping[str, Any]) -> list[str]:
    """A step as the words of a command line: lists repeat their option, `true` and `false` are flags."""
    words = command.split()
    for name, value in options.items():
        if isinstance(value, bool):
            words += [f"--{name}"] if value else []
            continue
        if value is None:
            continue
        for one in value if isinstance(value, list) else [value]:
            words += [f"--{name}", str(one)]
    return words
