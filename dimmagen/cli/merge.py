"""`dimmagen merge`: several data sets merged into one."""

from typing import Any

import click

from dimmagen.cli.command import command
from dimmagen.cli.light_format import light_format_notes
from dimmagen.cli.options import new_dataset_option
from dimmagen.cli.output import echo
from dimmagen.cli.progress import copied_with_bar, print_copied
from dimmagen.cli.results import dataset_result
from dimmagen.core.text import pluralize
from dimmagen.dataset.reader import ROWS_ALONE, open_pairs
from dimmagen.generate.light_format import AskedLightFormat, LightConversion
from dimmagen.generate.merge import write_merge


@command(former_names={"--to": "--out"})
@click.argument("datasets", nargs=-1, required=True, metavar="DATASET...")
@new_dataset_option
@click.option(
    "--light-format",
    type=click.Choice(["auto", "same", "png"]),
    default="auto",
    help="File format of the light images: `same` keeps the files, `png` converts them without loss. `auto` "
    "is `same` if all files have one format, and `png` otherwise.",
)
def merge(datasets: tuple[str, ...], out: str, light_format: AskedLightFormat) -> dict[str, Any]:
    """Merge the pairs of several data sets, shuffled, into one data set with a manifest.

    \b
    Example:
      dimmagen merge lol3-out/ phone-out/ --out merged/

    Identical pairs are kept once; different pairs with the same key (two profiles, one photo) are both kept.
    """
    opened = [open_pairs(one, ROWS_ALONE) for one in datasets]

    def on_conversion(conversion: LightConversion) -> None:
        for line in light_format_notes(conversion, 1):
            echo(line, err=True)

    manifest = copied_with_bar(
        lambda on_start, on_pair: write_merge(opened, out, on_start, on_pair, light_format, on_conversion)
    )
    given = sum(map(len, opened))
    print_copied(manifest, out, f" of {given}")
    if twice := given - manifest.counts.pairs:
        echo(f"Note: {pluralize(twice, 'pair')} left out: identical pairs are kept once.", err=True)
    return dataset_result(out, manifest, of_pairs=given)
