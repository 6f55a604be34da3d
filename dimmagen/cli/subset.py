"""`dimmagen subset` and `dimmagen merge`: data sets from data sets."""

from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import click
from rich.console import Console
from rich.progress import Progress

from dimmagen.cli.command import command
from dimmagen.cli.humanize import pluralize
from dimmagen.cli.options import Range
from dimmagen.core import storage
from dimmagen.core.errors import UsageError
from dimmagen.dataset.manifest import Manifest
from dimmagen.dataset.reader import open_pairs
from dimmagen.generate.derive import Selection, write_merge, write_subset


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
    manifest = _with_bar(lambda *progress: write_subset(pairs, selection, out, *progress))
    _tell(manifest, out, f" of {len(pairs)}")


@command(former_names={"--to": "--out"})
@click.argument("datasets", nargs=-1, required=True, metavar="DATASET...")
@click.option("--out", required=True, help="Folder or URL of the data set to make.")
def merge(datasets: tuple[str, ...], out: str) -> None:
    """Write the pairs of several data sets, shuffled, as one data set that verifies.

    Equal pairs are kept once; different pairs of one key (two profiles, one photo) are both kept.
    Example: dimmagen merge lol3-out/ phone-out/ --out both/
    """
    opened = [open_pairs(one) for one in datasets]
    manifest = _with_bar(lambda *progress: write_merge(opened, out, *progress))
    _tell(manifest, out, f" of {sum(map(len, opened))}")


def _keys(file: TextIO) -> tuple[str, ...]:
    try:
        listed = tuple(line.strip() for line in file if line.strip())
    except UnicodeDecodeError as error:
        raise UsageError(f"--keys {file.name} is no text ({error.reason})", "give a key a line") from None
    if not listed:
        raise UsageError(f"--keys {file.name} names no key", "give a key a line, or leave --keys away")
    return listed


def _with_bar(make: Callable[..., Manifest]) -> Manifest:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("copying pairs", total=None)
        return make(lambda pairs: bar.update(task, total=pairs), lambda: bar.advance(task))


def _tell(manifest: Manifest, out: str, of: str) -> None:
    counts = manifest.counts
    click.echo(
        f"{out} is complete: {counts.pairs}{of} pairs, {pluralize(counts.lights, 'photo')}, "
        f"{pluralize(counts.shards, 'shard')}.\n"
        f"Next: dimmagen verify {out if storage.is_url(out) else Path(out)}"
    )
