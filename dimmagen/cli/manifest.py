"""`dimmagen manifest`: differences between two manifests."""

from typing import Any

import click

from dimmagen.cli.command import LazyGroup, command
from dimmagen.cli.console import Console
from dimmagen.cli.output import echo, report
from dimmagen.dataset.compare import manifest_differences
from dimmagen.dataset.manifest import Manifest

_DIFF = "List the differences between two data sets."


@click.group(cls=LazyGroup, commands_at={"Commands": {"diff": ("dimmagen.cli.manifest:diff", _DIFF)}})
def manifest() -> None:
    """Compare manifests.

    \b
    Example:
      dimmagen manifest diff out/ theirs/manifest.json
    """


@command()
@click.argument("a")
@click.argument("b")
def diff(a: str, b: str) -> dict[str, Any]:
    """List the differences between the data sets A and B.

    \b
    Example:
      dimmagen manifest diff out/ theirs/manifest.json

    A and B are folders, URLs or manifest.json files; the shards are not read. A line such as
    `settings.seed: 0 → 3` has the value of A, then that of B. The exit code is 0 if they are
    the same data set, and 1 if they are not.
    """
    lines = manifest_differences(Manifest.find(a), Manifest.find(b))
    if not lines:
        echo(f"{a} and {b} are the same data set.")
        return {"same": True, "differences": []}
    console = Console(soft_wrap=True, highlight=False)
    for line in lines:
        console.print(line)
    report({"same": False, "differences": lines})
    raise SystemExit(1)
