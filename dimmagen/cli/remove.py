"""`dimmagen remove`: photos are taken out of a data set or a MixHQ."""

from dataclasses import asdict
from typing import Any

import click

from dimmagen.cli.command import command
from dimmagen.cli.options import OutputPath
from dimmagen.cli.output import echo
from dimmagen.cli.progress import copied_with_bar
from dimmagen.core.text import pluralize
from dimmagen.generate.removing import remove_from_dataset
from dimmagen.sources.mixhq_reading import is_mixhq
from dimmagen.sources.mixhq_removal import remove_from_mixhq
from dimmagen.sources.photo_selection import read_names


@command()
@click.argument("dataset", type=OutputPath())
@click.option(
    "--list",
    "names",
    required=True,
    metavar="FILE",
    help="Text file with one photo per line: its key, the key of one of its pairs, or its name as in the "
    "catalog.",
)
@click.option(
    "--ignore-unknown", is_flag=True, help="Skip lines that match nothing in DATASET, and count them."
)
def remove(dataset: str, names: str, ignore_unknown: bool) -> dict[str, Any]:
    """Remove photos from DATASET, which is a data set or a MixHQ.

    \b
    Example:
      dimmagen remove out/ --list takedown.txt

    Only the shards that contain these photos are rewritten, under new names. Photos with the same bytes are
    removed as well, and --add does not bring them back. The manifest records counts and hashes, not the list.
    Run the command on the MixHQ, too, and on every data set made from the same photos.
    """
    lines = read_names(names)
    if is_mixhq(dataset):
        done = remove_from_mixhq(dataset, lines, ignore_unknown)
        what = "light image"
    else:
        done = copied_with_bar(
            lambda *progress: remove_from_dataset(dataset, lines, ignore_unknown, *progress)
        )
        what = "pair"
    if done.unknown:
        echo(f"{pluralize(len(done.unknown), 'line')} of {names} skipped: nothing of that name.")
    if not done.photos:
        echo(f"Nothing to remove: {dataset} is as it was.")
    else:
        echo(
            f"{pluralize(done.photos, 'photo')} removed from {dataset}: {pluralize(done.samples, what)} in "
            f"{pluralize(done.shards, 'shard')}, and {pluralize(done.rejected, 'rejected candidate')}."
        )
    return {"dataset": dataset, **asdict(done)}
