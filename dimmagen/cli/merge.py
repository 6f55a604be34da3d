"""`dimmagen merge`: several data sets merged into one."""

import click

from dimmagen.cli.command import command
from dimmagen.cli.progress import copied_with_bar, print_copied
from dimmagen.dataset.reader import open_pairs
from dimmagen.generate.derive import write_merge


@command(former_names={"--to": "--out"})
@click.argument("datasets", nargs=-1, required=True, metavar="DATASET...")
@click.option("--out", required=True, metavar="DIR|URL", help="Folder or URL of the data set to make.")
def merge(datasets: tuple[str, ...], out: str) -> None:
    """Merge the pairs of several data sets, shuffled, into one data set with a manifest.

    \b
    Example:
      dimmagen merge lol3-out/ phone-out/ --out merged/

    Identical pairs are kept once; different pairs with the same key (two profiles, one photo) are both kept.
    """
    opened = [open_pairs(one) for one in datasets]
    manifest = copied_with_bar(lambda *progress: write_merge(opened, out, *progress))
    print_copied(manifest, out, f" of {sum(map(len, opened))}")
