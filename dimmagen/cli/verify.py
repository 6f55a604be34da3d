"""`dimmagen verify`: is a finished data set what its manifest says?"""

import click
from rich.console import Console
from rich.progress import Progress

from dimmagen import verification
from dimmagen.errors import DimmagenError

_MOST_TOLD = 20


@click.command()
@click.argument("out")
def verify(out: str) -> None:
    """Check every file, hash, count, sidecar and picture of the data set in OUT.

    Ends with 1 on any fault and names the file and the sample.
    """
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("checking pairs", total=None)
        result = verification.verify_dataset(
            out,
            on_start=lambda pairs: bar.update(task, total=pairs),
            on_shard=lambda pairs: bar.advance(task, pairs),
        )
    counts, faults = result.manifest.counts, result.faults
    for fault in faults[:_MOST_TOLD]:
        click.echo(str(fault))
    if len(faults) > _MOST_TOLD:
        click.echo(f"... and {len(faults) - _MOST_TOLD} more")
    if faults:
        raise DimmagenError(
            f"{out} has {len(faults)} {'fault' if len(faults) == 1 else 'faults'}",
            "run its `dimmagen dim` command again: damaged shards are made anew, or copy the set again",
        )
    click.echo(
        f"{out} is sound: {counts.pairs} pairs in {counts.shards} shards; every hash, sidecar and picture "
        f"fits the manifest.\nRoot hash {result.manifest.root_hash}"
    )
