"""`dimmagen run`: the steps of a recipe, one command after another."""

import shlex
from pathlib import Path
from typing import Any

import click

from dimmagen.cli.command import STEP, Command, command
from dimmagen.cli.output import echo
from dimmagen.cli.recipe_files import bundled_recipes, summary
from dimmagen.cli.recipes import command_words, load_recipe
from dimmagen.core.errors import UsageError
from dimmagen.core.registry import did_you_mean


class _RunCommand(Command):
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Recipes"):
            formatter.write_dl([(name, summary(path)) for name, path in bundled_recipes().items()])


@command(cls=_RunCommand, takes_recipe=False)
@click.argument("recipe", type=click.Path(path_type=Path), metavar="NAME|FILE")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    help="Set a variable of the recipe, or an option of a step, as in train.iterations=100. Repeatable.",
)
@click.option(
    "--only", multiple=True, metavar="STEP", show_default="all steps", help="Run only this step. Repeatable."
)
@click.option("--dry-run", is_flag=True, help="Print the commands, without running them.")
def run(recipe: Path, changes: tuple[str, ...], only: tuple[str, ...], dry_run: bool) -> dict[str, Any]:
    """Run the steps of a recipe, such as dim, train and evaluate, one after another.

    \b
    Examples:
      dimmagen run my-camera --set pairs=pairs/ --set photos=photos/
      dimmagen run lol3 --set pairs=LOL/our485 --dry-run

    A recipe is a YAML file, or the name of one that comes with the package (listed below).

    Each step is a command with its options. Running the recipe again resumes an interrupted step and keeps
    what is complete.
    """
    from dimmagen.cli import cli

    loaded = load_recipe(recipe, _by_name(changes))
    steps = loaded.steps
    missing = [name for name in only if name not in steps]
    if missing:
        raise UsageError(
            f"{recipe} has no step {missing[0]}",
            f"{did_you_mean(missing[0], steps)}it has {', '.join(steps)}",
            code="unknown-name",
            name=missing[0],
        )
    chosen = {
        name: command_words(name, options, _context(name.split())[0].command.params)
        for name, options in steps.items()
        if not only or name in only
    }
    for name, words in chosen.items():
        chosen[name] = _checked(words)
    if not dry_run:
        loaded.refuse_missing_inputs(chosen)
        for words in chosen.values():
            _refuse_missing_packages(words)
    results = []
    for words in chosen.values():
        echo(f"dimmagen {shlex.join(words)}", bold=True)
        result = None if dry_run else cli.main(words, prog_name="dimmagen", standalone_mode=False, obj=STEP)
        results.append({"command": words, "result": result})
    return {"recipe": str(recipe), "steps": results}


def _checked(words: list[str]) -> list[str]:
    """The words of a step with the present names of its options, checked before the first step runs.

    Every option must exist and have a valid value, and none may be missing. Whether a file exists is left to
    the step itself, because an earlier step may write it.
    """
    context, rest = _context(words)
    if isinstance(context.command, Command):
        rest = context.command.with_present_names(rest)
    given, _, _ = context.command.make_parser(context).parse_args(list(rest))
    for parameter in context.command.get_params(context):
        is_missing = parameter.name not in given
        is_missing |= parameter.nargs == -1 and not isinstance(given.get(parameter.name), tuple)
        if is_missing:
            if parameter.required:
                raise click.MissingParameter(ctx=context, param=parameter)
        elif not (isinstance(parameter.type, click.Path) and parameter.type.exists):
            parameter.type_cast_value(context, given[parameter.name])
    return [*words[: len(words) - len(rest)], *rest]


def _refuse_missing_packages(words: list[str]) -> None:
    """Refuse a step whose network or loggers need a package that is missing, before hours of other steps."""
    context, rest = _context(words)
    given, _, _ = context.command.make_parser(context).parse_args(list(rest))
    if "architecture" in given:
        from dimmagen.enhance.network import ARCHITECTURES

        if require := ARCHITECTURES[given["architecture"]].require_packages:
            require()
    if "loggers" in given:
        from dimmagen.enhance.loggers import require_loggers

        require_loggers(given["loggers"])


def _context(words: list[str]) -> tuple[click.Context, list[str]]:
    """The context of the command that words begin with, and the words behind its name."""
    from dimmagen.cli import cli

    command: click.Command | None = cli
    context, rest = click.Context(cli, info_name="dimmagen"), words
    while isinstance(command, click.Group):
        name, command, rest = command.resolve_command(context, rest)
        if command is not None:
            context = click.Context(command, parent=context, info_name=name)
    return context, rest


def _by_name(changes: tuple[str, ...]) -> dict[str, str]:
    for one in changes:
        if "=" not in one:
            raise UsageError(
                f"--set {one} is not of the form NAME=VALUE", "write --set pairs=PATH", code="wrong-format"
            )
    return dict(one.split("=", 1) for one in changes)
