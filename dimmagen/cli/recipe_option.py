"""`--recipe` of every command: its options, and its arguments by their names, from a YAML file."""

from pathlib import Path
from typing import Any

import click

from dimmagen.cli.home import expand_home
from dimmagen.core.errors import UsageError
from dimmagen.core.registry import did_you_mean

RECIPE = "dimmagen.recipe"  # in the meta of a context: the file that its defaults are from


def recipe_option() -> click.Option:
    """A new option."""
    return click.Option(
        ["--recipe"],
        type=click.Path(dir_okay=False, path_type=Path),
        is_eager=True,
        expose_value=False,
        callback=_load,
        metavar="NAME|FILE",
        help="YAML file, or name of a bundled recipe (see `dimmagen run --help`), with values of these "
        "options; the command line takes precedence.",
    )


def _load(context: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
    if path is None:
        return None
    from dimmagen.cli.recipe_files import read_yaml  # shell completion waits for no yaml
    from dimmagen.cli.recipes import as_recipe, is_recipe

    values = read_yaml(path)
    if is_recipe(values):
        command = context.command_path.removeprefix("dimmagen ")
        steps = as_recipe(path, values, {}).steps
        if command not in steps:
            raise UsageError(
                f"{path} has no step {command}",
                f"{did_you_mean(command, steps)}it has {', '.join(steps)}",
                code="unknown-name",
                name=command,
            )
        values = steps[command]
    context.meta[RECIPE] = path
    context.default_map = _as_defaults(path, values, context.command)
    return path


def _as_defaults(path: Path, values: dict, command: click.Command) -> dict[str, Any]:
    """The recipe's values by the command's parameter names.

    Raises:
        UsageError: there is no such option, it takes one value, or it is there under two names.
    """
    known: dict[str, click.Parameter] = {
        name.removeprefix("--"): option
        for option in command.params
        if isinstance(option, click.Option) and option.name != "recipe"
        for name in option.opts
        if name.startswith("--")
    }
    known |= {one.name: one for one in command.params if isinstance(one, click.Argument) and one.name}
    present_name = getattr(command, "present_name", str)
    defaults: dict[str, Any] = {}
    names: dict[str, str] = {}
    for name, value in values.items():
        if value is None:  # as in the steps of `run`
            continue
        one = known.get(present_name(f"--{name}").removeprefix("--"))
        if one is None or one.name is None:
            raise UsageError(
                f"{path}: there is no option {name!r}",
                f"{did_you_mean(name, known)}choose one of {', '.join(sorted(known))}",
                code="unknown-name",
                name=name,
            )
        if one.name in names:
            raise UsageError(
                f"{path}: {names[one.name]} and {name} are one option", "omit one", code="conflict", name=name
            )
        names[one.name] = name
        is_multiple = one.multiple or one.nargs != 1
        if isinstance(value, dict) or (isinstance(value, list) and not is_multiple):
            raise UsageError(
                f"{path}: {name} takes one value, got {value!r}", "see --help", code="wrong-format", name=name
            )
        if is_multiple and not isinstance(value, list):
            value = [value]
        defaults[one.name] = list(map(_in_home, value)) if isinstance(value, list) else _in_home(value)
    return defaults


def _in_home(value: Any) -> Any:
    return expand_home(value) if isinstance(value, str) else value
