"""`dimmagen run`: the steps of a recipe, one command after another."""

import shlex
from pathlib import Path

import click

from dimmagen.errors import UsageError
from dimmagen.recipes import command_words, load_recipe


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "--set", "places", multiple=True, metavar="NAME=VALUE", help="Instead of a place in the recipe."
)
@click.option("--only", multiple=True, help="Only this step, such as train; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Print the commands, and run none.")
def run(recipe: Path, places: tuple[str, ...], only: tuple[str, ...], dry_run: bool) -> None:
    """Run a recipe: profile, dim, train, finetune, evaluate, each as its command does it.

    A step that was stopped goes on when the recipe is run again; what is complete is not made again.
    Example: dimmagen run pipelines/lol3.yaml --set pairs=LOL/our485 --set test=LOL/eval15
    """
    from dimmagen.cli import cli

    steps = load_recipe(recipe, _places(places)).steps
    missing = [name for name in only if name not in steps]
    if missing:
        raise UsageError(f"{recipe} has no step {missing[0]}", f"it has {', '.join(steps)}")
    for command, options in steps.items():
        if only and command not in only:
            continue
        words = command_words(command, options)
        click.secho(f"dimmagen {shlex.join(words)}", bold=True)
        if dry_run:
            continue
        if command == "profile fit" and (Path(options.get("out", "")) / "profile.json").is_file():
            click.echo(f"{options['out']} is there already.")
            continue
        cli.main(words, prog_name="dimmagen", standalone_mode=False)


def _places(given: tuple[str, ...]) -> dict[str, str]:
    for one in given:
        if "=" not in one:
            raise UsageError(f"--set {one} is not of the form NAME=VALUE", "write --set pairs=PATH")
    return dict(one.split("=", 1) for one in given)
