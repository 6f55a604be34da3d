"""`--recipe FILE`: options of a command from a YAML file; what stands on the command line wins.

The file holds the options of one command, or is a recipe of several steps, of which this command's is taken.
"""

from pathlib import Path
from typing import Any

import click

from dimmagen.cli.recipes import as_recipe, is_recipe, read_yaml
from dimmagen.core.errors import UsageError


def _load(context: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
    if path is None:
        return None
    values = read_yaml(path)
    if is_recipe(values):
        command = context.command_path.removeprefix("dimmagen ")
        steps = as_recipe(path, values, {}).steps
        if command not in steps:
            raise UsageError(f"{path} has no step {command}", f"it has {', '.join(steps)}")
        values = steps[command]
    context.default_map = _as_defaults(path, values, context.command)
    return path


def _as_defaults(path: Path, values: dict, command: click.Command) -> dict[str, Any]:
    """Option names of the recipe to parameter names of the command."""
    options = {
        name.removeprefix("--"): option
        for option in command.params
        if isinstance(option, click.Option) and option.name != "recipe"
        for name in option.opts
        if name.startswith("--")
    }
    defaults: dict[str, Any] = {}
    for name, value in values.items():
        option = options.get(str(name))
        if option is None or option.name is None:
            raise UsageError(
                f"{path}: there is no option {name!r}", f"known are {', '.join(sorted(options))}"
            )
        if isinstance(value, dict) or (isinstance(value, list) and not option.multiple):
            raise UsageError(f"{path}: {name} takes one value, got {value!r}", "see --help")
        if option.multiple and not isinstance(value, list):
            value = [value]
        defaults[option.name] = value
    return defaults


recipe_option = click.option(
    "--recipe",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    is_eager=True,
    expose_value=False,
    callback=_load,
    help="YAML file with options by their names; the command line wins.",
)
