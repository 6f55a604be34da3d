"""Recipes: an experiment as a YAML file of steps, each of which is a command with its options.

    variables:                    # values that users change: `dimmagen run --set pairs=PATH`
      pairs: LOL/our485
      out: runs/lol3
    dim:
      profile: lol3
      shards: ${out}/shards
    train:
      data: ${out}/shards
      out: ${out}/network

Every other key is a command, written as on the command line, with its options by their long names and its
arguments by theirs (`dataset` of `export`). `--set` can change an option of a step as well:
`--set train.iterations=100`.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from string import Template
from typing import Any

import click

from dimmagen.cli.output import echo
from dimmagen.cli.recipe_files import option_value, read_yaml
from dimmagen.core import storage
from dimmagen.core.errors import UsageError
from dimmagen.core.registry import did_you_mean

VARIABLES = "variables"
FORMER_VARIABLES = "places"  # still accepted
COMMANDS = (
    *("build-mixhq", "profile fit", "profile evaluate", "dim", "verify", "subset", "merge", "remove"),
    *("export", "train", "finetune", "evaluate", "enhance"),
)
_READ = ("source", "exclude", "pairs", "data")  # options whose paths are there before
_PATTERN = re.compile(r"[*?\[{>]")  # of file names, or DARK -> LIGHT


@dataclass(frozen=True, slots=True)
class Recipe:
    """The contents of a recipe.

    Attributes:
        path: of the YAML file.
        steps: options by command, in order, with the values of the variables filled in.
        inputs: variables that are paths which no step writes, each with its value and the steps that read it.
    """

    path: Path
    steps: dict[str, dict[str, Any]]
    inputs: dict[str, tuple[str, set[str]]] = field(default_factory=dict)

    def refuse_missing_inputs(self, steps: Collection[str]) -> None:
        """Refuse, before the first step runs, variables that are paths of nothing.

        Args:
            steps: that are going to run.

        Raises:
            UsageError: naming all of them, with what is to be typed.
        """
        missing = {
            name: value
            for name, (value, readers) in self.inputs.items()
            if readers & {*steps} and _is_missing(value)
        }
        if missing:
            values = ", ".join(f"{value} ({name})" for name, value in missing.items())
            raise UsageError(
                f"{self.path} reads what does not exist: {values}",
                f"say where yours are: {' '.join(f'--set {name}=PATH' for name in missing)}",
                code="missing-path",
                variables=[*missing],
            )


def is_recipe(values: Mapping) -> bool:
    """Whether a YAML file contains steps, rather than the options of one command."""
    has_steps = any(name in COMMANDS and isinstance(value, dict) for name, value in values.items())
    return has_steps or VARIABLES in values or FORMER_VARIABLES in values


def load_recipe(path: Path, changes: Mapping[str, str] | None = None) -> Recipe:
    """Read a recipe.

    Args:
        path: of the YAML file, or the name of a bundled recipe.
        changes: values that replace those of the recipe: of variables by their names, and of options by
            `step.option`. A value is YAML; an empty one removes the option.

    Raises:
        UsageError: the file cannot be read, it names an unknown command or variable, or a change names a
            variable or step that it does not have.
    """
    return as_recipe(path, read_yaml(path), changes or {})


def as_recipe(path: Path, values: dict, changes: Mapping[str, str]) -> Recipe:
    """Make a recipe from the contents of a YAML file; see :func:`load_recipe`."""
    if FORMER_VARIABLES in values:
        echo(
            f"Note: {path}: {FORMER_VARIABLES}: is now {VARIABLES}:; the former name will be removed.",
            err=True,
        )
        values = {VARIABLES if name == FORMER_VARIABLES else name: value for name, value in values.items()}
    variables = values.get(VARIABLES) or {}
    steps = {name: options for name, options in values.items() if name != VARIABLES}
    _refuse_other_shapes(path, variables, steps)
    variables, steps = _changed(path, variables, steps, changes)
    try:
        filled = {name: _filled(options, variables) for name, options in steps.items()}
    except KeyError as error:
        raise UsageError(
            f"{path}: there is no variable {error}",
            f"{did_you_mean(error.args[0], variables)}define it under {VARIABLES}",
            code="unknown-name",
            name=error.args[0],
        ) from None
    except ValueError:
        raise UsageError(
            f"{path}: a $ begins a variable, as in ${{out}}",
            "write $$ for the character itself",
            code="wrong-format",
        ) from None
    return Recipe(path, filled, _inputs(variables, steps))


def _inputs(variables: Mapping[str, Any], steps: Mapping[str, dict]) -> dict[str, tuple[str, set[str]]]:
    """The variables that stand for paths which steps read and none writes; see :class:`Recipe`."""
    uses: dict[str, list[tuple[str, bool]]] = {}
    for step, options in steps.items():
        for option, value in options.items():
            for text in filter(_is_text, _as_list(value)):
                for name in Template(text).get_identifiers():
                    is_read = option in _READ and text.rpartition("=")[2] in (f"${{{name}}}", f"${name}")
                    uses.setdefault(name, []).append((step, is_read))
    return {
        name: (variables[name], {step for step, _ in used})
        for name, used in uses.items()
        if all(is_read for _, is_read in used) and _is_text(variables[name])
    }


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_missing(path: str) -> bool:
    """Whether a path is one of this machine, not a pattern or the name of a source, and leads to nothing."""
    from dimmagen.sources import SOURCES  # which every other command would wait for

    is_other = storage.is_url(path) or _PATTERN.search(path) or path.partition("=")[0] in SOURCES
    return not is_other and not Path(path).expanduser().exists()


def _refuse_other_shapes(path: Path, variables: object, steps: Mapping[str, Any]) -> None:
    """Refuse unknown commands, and variables or steps that are not names with values."""
    unknown = [str(name) for name in steps if name not in COMMANDS]
    if unknown:
        raise UsageError(
            f"{path}: there is no step {unknown[0]}",
            f"{did_you_mean(unknown[0], COMMANDS)}choose one of {', '.join(COMMANDS)}",
            code="unknown-name",
            name=unknown[0],
        )
    if not isinstance(variables, dict) or not all(isinstance(options, dict) for options in steps.values()):
        raise UsageError(
            f"{path}: variables and steps must have lines `name: value`",
            "correct the file",
            code="wrong-format",
            path=str(path),
        )


def _changed(
    path: Path, variables: Mapping[str, Any], steps: Mapping[str, dict], changes: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, dict]]:
    """The variables and steps of a recipe after the changes; see :func:`load_recipe`."""
    filled, changed = dict(variables), dict(steps)
    for name, value in changes.items():
        step, _, option = name.rpartition(".")
        if name in variables:
            filled[name] = value
        elif not step:
            known = f"it has {', '.join(variables)}; an option is set as STEP.OPTION"
            advice = did_you_mean(name, variables) + known
            raise UsageError(f"{path} has no variable {name}", advice, code="unknown-name", name=name)
        elif step not in steps:
            raise UsageError(
                f"{path} has no step {step}",
                f"{did_you_mean(step, steps)}it has {', '.join(steps)}",
                code="unknown-name",
                name=step,
            )
        else:
            changed[step] = {**changed[step], option: option_value(name, value)}
    return filled, changed


def _filled(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(inner, variables) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, variables) for inner in value]
    return Template(value).substitute(variables) if isinstance(value, str) else value


def command_words(
    command: str, options: Mapping[str, Any], parameters: Sequence[click.Parameter] = ()
) -> list[str]:
    """The words of a step's command line: an option is repeated for a list, and given alone for `true`.

    Args:
        command: written as on the command line.
        options: values of its options and arguments by their names.
        parameters: of the command, which distinguish arguments and options of several values from others.
    """
    words = command.split()
    arguments = [one.name for one in parameters if isinstance(one, click.Argument)]
    for name in arguments:
        words += map(str, _as_list(options.get(name or "")))
    joined = {name for one in parameters if one.nargs > 1 for name in one.opts}
    for name, value in options.items():
        if name in arguments:
            continue
        if isinstance(value, bool):
            words += [f"--{name}"] if value else []
        elif f"--{name}" in joined:
            words += [f"--{name}", *map(str, _as_list(value))]
        else:
            words += chain.from_iterable((f"--{name}", str(one)) for one in _as_list(value))
    return words


def _as_list(value: Any) -> list:
    return value if isinstance(value, list) else [] if value is None else [value]
