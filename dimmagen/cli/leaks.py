"""`dimmagen leaks`: find scenes of an evaluation split in the training data."""

import click
from rich.progress import Progress

from dimmagen.cli.command import command
from dimmagen.cli.console import Console
from dimmagen.cli.humanize import shorten
from dimmagen.cli.options import threads_option
from dimmagen.cli.output import echo
from dimmagen.core.errors import DimmagenError
from dimmagen.core.processors import processor_count
from dimmagen.dataset.leaks import find_leaks
from dimmagen.dataset.reader import open_pairs


@command()
@click.argument("dataset")
@click.argument("evaluation", nargs=-1, required=True, metavar="PATH...")
@threads_option
def leaks(dataset: str, evaluation: tuple[str, ...], workers: int | None) -> None:
    """Find light images of the data set DATASET that show a scene of the evaluation images in PATH.

    \b
    Example:
      dimmagen leaks out/ LOL/eval15/high

    PATH is a folder or archive; of pairs, give the folder of light images. The exit code is 1 if a scene is
    found.
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
    if found:
        lines = [
            f"{leak.light_key}  {leak.source} {leak.name}  {leak.bits} of 256 bits differ" for leak in found
        ]
        echo("\n".join(shorten(lines)))
        raise DimmagenError(
            f"{len(found)} photos of {dataset} show scenes of {' '.join(evaluation)}",
            "make the data set again with --exclude, or leave them out with dimmagen subset",
            code="failed",
            keys=[leak.light_key for leak in found],
        )
    echo(f"{dataset} shows no scene of {' '.join(evaluation)}.")
