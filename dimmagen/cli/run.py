"""`dimmagen run`: the steps of a recipe, one command after another."""

import shlex
from pathlib import Path

import click

from dimmagen.cli.recipes import command_words, load_recipe
from dimmagen.core.errors import UsageError


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    help="Instead of a place in the recipe, or of an option: train.iterations=100.",
)
@click.option("--only", multiple=True, help="Only this step, such as train; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Print the commands, and run none.")
def run(recipe: Path, changes: tuple[str, ...], only: tuple[str, ...], dry_run: bool) -> None:
    """Run a recipe: profile, dim, train, finetune, evaluate, each as its command does it.

    A step that was stopped goes on when the recipe is run again; what is complete is not made again.
    Example: dimmagen run pipelines/lol3.yaml --set pairs=LOL/our485 --set test=LOL/eval15
    """
    from dimmagen.cli import cli

    steps = load_recipe(recipe, _by_name(changes)).steps
    missing = [name for name in only if name not in steps]
    if missing:
        raise UsageError(f"{recipe} has no step {missing[0]}", f"it has {', '.join(steps)}")
    chosen = {
        name: command_words(name, options) for name, options in steps.items() if not only or name in only
    }
    for words in chosen.values():
        _check(words)
    for words in chosen.values():
        click.secho(f"dimmagen {shlex.join(words)}", bold=True)
        if not dry_run:
            cli.main(words, prog_name="dimmagen", standalone_mode=False)


def _check(words: list[str]) -> None:
    """Tell of a step's mistakes before the steps above it have run for hours.

    That is, of an option that the command does not have, cannot read, or misses. Whether a file is there is
    left to the step itself: an earlier one may make it.
    """
    from dimmagen.cli import cli

    command: click.Command | None = cli
    context = click.Context(cli, info_name="dimmagen")
    while isinstance(command, click.Group):
        name, command, words = command.resolve_command(context, words)
        if command is not None:
            context = click.Context(command, parent=context, info_name=name)
    given, _, _ = context.command.make_parser(context).parse_args(list(words))
    for parameter in context.command.get_params(context):
        if parameter.name not in given:
            if parameter.required:
                raise click.MissingParameter(ctx=context, param=parameter)
        elif not (isinstance(parameter.type, click.Path) and parameter.type.exists):
            parameter.type_cast_value(context, given[parameter.name])


def _by_name(changes: tuple[str, ...]) -> dict[str, str]:
    for one in changes:
        if "=" not in one:
            raise UsageError(f"--set {one} is not of the form NAME=VALUE", "write --set pairs=PATH")
    return dict(one.split("=", 1) for one in changes)
