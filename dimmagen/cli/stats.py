"""`dimmagen stats`: statistics of a data set."""

from typing import Any

import click
from rich.table import Column, Table

from dimmagen.cli.command import command
from dimmagen.cli.console import Console
from dimmagen.core.text import pluralize
from dimmagen.dataset.manifest import Manifest
from dimmagen.dataset.pair_tables import pair_tables
from dimmagen.dataset.statistics import COUNTED, NUMBERS, DatasetSummary, bars, short


@command()
@click.argument("dataset")
def stats(dataset: str) -> dict[str, Any]:
    """Show the pair counts of the data set in DATASET and the distribution of draws, lightness and sizes.

    \b
    Example:
      dimmagen stats out/
    """
    manifest, summary = Manifest.load(dataset), DatasetSummary()
    for _ in summary.adding(pair_tables(dataset, manifest, (*COUNTED, *NUMBERS))):
        pass
    numbers = summary.result(manifest)
    console = Console()
    pairs, photos = pluralize(numbers["pairs"], "pair"), pluralize(numbers["photos"], "photo")
    console.print(f"{pairs} of {photos}, {numbers['bytes'] / 1e6:.1f} MB")
    counts = Table("by", "", "pairs", title_justify="left")
    for column, values in numbers["counts"].items():
        for name, count in values.items():
            counts.add_row(column, name, str(count))
    console.print(counts)
    table = Table("", "minimum", "5 %", "median", "95 %", "maximum", Column("histogram", no_wrap=True))
    for name, spread in numbers["numbers"].items():
        table.add_row(name.replace("_", " "), *map(short, spread["quantiles"]), bars(spread["histogram"]))
    console.print(table)
    return numbers
