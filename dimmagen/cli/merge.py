"""`dimmagen merge`: several data sets as one."""

import click

from dimmagen.cli.command import command
from dimmagen.cli.progress import copied_with_bar, print_copied
from dimmagen.dataset.reader import open_pairs
from dimmagen.generate.derive import write_merge


@command(former_names={"--to": "--out"})
@click.argument("datasets", nargs=-1, required=True, metavar="DATASET...")
@click.option("--out", required=True, help="Folder or URL of the data set to make.")
def merge(datasets: tuple[str, ...], out: str) -> None:
    """Write the pairs of several data sets, shuffled, as one data set that verifies.

    Equal pairs are kept once; different pairs of one key (two profiles, one photo) are both kept.
    Example: dimmagen merge lol3-out/ phone-out/ --out both/
    """
    opened = [open_pairs(one) for one in datasets]
    manifest = copied_with_bar(lambda *progress: write_merge(opened, out, *progress))
    print_copied(manifest, out, f" of {sum(map(len, opened))}")
