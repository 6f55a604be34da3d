"""`dimmagen manifest`: what two manifests do not have in common."""

import click
from rich.console import Console

from dimmagen.cli.command import Command
from dimmagen.dataset.compare import manifest_differences
from dimmagen.dataset.manifest import Manifest


@click.group()
def manifest() -> None:
    """Compare manifests."""


@manifest.command(cls=Command)
@click.argument("a")
@click.argument("b")
def diff(a: str, b: str) -> None:
    """Say in what the data sets A and B (folders or manifest.json files) differ, without their shards.

    Ends with 0 when they are the same data set, with 1 when they are not.
    """
    lines = manifest_differences(Manifest.find(a), Manifest.find(b))
    if not lines:
        click.echo(f"{a} and {b} are the same data set.")
        return
    console = Console(soft_wrap=True, highlight=False, markup=False)
    for line in lines:
        console.print(line)
    raise SystemExit(1)
