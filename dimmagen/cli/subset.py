"""`dimmagen subset`: some pairs of a data set as a data set."""

from typing import TextIO

import click

from dimmagen.cli.command import command
from dimmagen.cli.options import Range
from dimmagen.cli.progress import copied_with_bar, print_copied
from dimmagen.core.errors import UsageError
from dimmagen.dataset.reader import open_pairs
from dimmagen.generate.derive import Selection, write_subset


@command(former_names={"--to": "--out"})
@click.argument("dataset")
@click.option("--out", required=True, help="Folder or URL of the data set to make.")
@click.option("--source", "sources", multiple=True, help="Pairs of this source; may be repeated.")
@click.option("--licence", default="", help="Pairs whose source has these words in its terms.")
@click.option("--gamma", type=Range(), help="Pairs with a gamma in this range.")
@click.option("--lightness", type=Range(), help="Pairs whose dark picture's mean, 0 to 1, is in this range.")
@click.option(
    "--min-side",
    type=click.IntRange(0),
    default=0,
    help="Pairs whose shorter side has at least so many pixels.",
)
@click.option(
    "--keys", type=click.File(), help="File with a pair's or a photo's key a line; - is the standard input."
)
def subset(dataset: str, out: str, keys, **wanted) -> None:
    """Write the pairs of the data set DATASET that fit everything asked for, as a data set that verifies.

    Example: dimmagen subset out/ --out very-dark/ --lightness 0:0.03 --source coco
    """
    listed = _keys(keys) if keys else ()
    selection = Selection(**wanted, keys=listed)
    pairs = open_pairs(dataset)
    manifest = copied_with_bar(lambda *progress: write_subset(pairs, selection, out, *progress))
    print_copied(manifest, out, f" of {len(pairs)}")


def _keys(file: TextIO) -> tuple[str, ...]:
    try:
        listed = tuple(line.strip() for line in file if line.strip())
    except UnicodeDecodeError as error:
        raise UsageError(f"--keys {file.name} is no text ({error.reason})", "give a key a line") from None
    if not listed:
        raise UsageError(f"--keys {file.name} names no key", "give a key a line, or leave --keys away")
    return listed
