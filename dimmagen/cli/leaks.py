"""`dimmagen leaks`: find scenes of an evaluation split in the training data."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from dimmagen.cli.command import command
from dimmagen.cli.humanize import shorten
from dimmagen.cli.options import LocalPath, threads_option
from dimmagen.cli.output import echo
from dimmagen.cli.progress import steps_bar
from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError
from dimmagen.core.processors import processor_count
from dimmagen.core.text import pluralize, shell_word
from dimmagen.dataset.leaks import COMPARED, find_leaks
from dimmagen.dataset.reader import open_pairs


@command()
@click.argument("dataset")
@click.argument("evaluation", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--keys",
    "keys_file",
    type=LocalPath(path_type=Path, dir_okay=False, is_result=True),
    metavar="FILE",
    help="Write the keys of these light images to this text file, for `dimmagen subset --without-keys`.",
)
@threads_option
def leaks(
    dataset: str, evaluation: tuple[str, ...], keys_file: Path | None, workers: int | None
) -> dict[str, Any]:
    """Find light images of the data set DATASET that show a scene of the evaluation images in PATH.

    \b
    Examples:
      dimmagen leaks out/ LOL/eval15/high
      dimmagen leaks out/ LOL/eval15/high --keys leaks.txt

    PATH is a folder or archive of images; for pairs, give the folder of their light images. The exit code is
    1 if a scene is found.
    """
    pairs = open_pairs(dataset, COMPARED)
    with steps_bar("comparing photos") as steps:
        found = find_leaks(
            pairs, evaluation, workers or processor_count(), on_start=steps.begin, on_photo=steps
        )
    if keys_file:
        storage.write_result(keys_file, "".join(f"{leak.light_key}\n" for leak in found).encode())
    if found:
        file = keys_file or "FILE"
        words = " ".join(map(shell_word, (dataset, *evaluation)))
        first = "" if keys_file else f"dimmagen leaks {words} --keys {file} and "
        lines = [
            f"{leak.light_key}  {leak.source} {leak.name}  {leak.bits} of 256 bits differ" for leak in found
        ]
        echo("\n".join(shorten(lines)))
        raise DimmagenError(
            f"scenes of {' '.join(evaluation)} are in {pluralize(len(found), 'photo')} of {dataset}",
            "make the data set again with --exclude, or leave them out by "
            f"{first}dimmagen subset {shell_word(dataset)} --out DIR --without-keys {shell_word(file)}",
            code="failed",
            keys=[leak.light_key for leak in found],
            leaks=[asdict(leak) for leak in found],
        )
    echo(f"{dataset} shows no scene of {' '.join(evaluation)}.")
    return {"dataset": dataset, "evaluation": evaluation, "leaks": []}
