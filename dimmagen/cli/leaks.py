"""`dimmagen leaks`: is the evaluation split in the training data?"""

import click
from rich.console import Console
from rich.progress import Progress

from dimmagen.cli.command import command
from dimmagen.core.errors import DimmagenError
from dimmagen.core.processors import processor_count
from dimmagen.dataset.leaks import find_leaks
from dimmagen.dataset.reader import open_pairs

_MOST_TOLD = 20


@command()
@click.argument("dataset")
@click.argument("evaluation", nargs=-1, required=True)
@click.option("--workers", type=click.IntRange(1), help="Threads.  [default: one a processor]")
def leaks(dataset: str, evaluation: tuple[str, ...], workers: int | None) -> None:
    """Look in the data set DATASET for scenes of the EVALUATION folders (of pairs the well-lit side).

    Ends with 1 when there is one. Example: dimmagen leaks out/ LOL/eval15/high
    """
    pairs = open_pairs(dataset)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("comparing photos", total=None)
        found = find_leaks(
            pairs,
            evaluation,
            workers or processor_count(),
            on_start=lambda photos: bar.update(task, total=photos),
            on_photo=lambda: bar.advance(task),
        )
    for leak in found[:_MOST_TOLD]:
        click.echo(f"{leak.light_key}  {leak.source} {leak.name}  {leak.bits} of 256 bits differ")
    if len(found) > _MOST_TOLD:
        click.echo(f"... and {len(found) - _MOST_TOLD} more")
    if found:
        raise DimmagenError(
            f"{len(found)} photos of {dataset} show scenes of {' '.join(evaluation)}",
            "make the set again with --exclude, or leave them out with dimmagen subset",
        )
    click.echo(f"{dataset} shows no scene of {' '.join(evaluation)}.")
