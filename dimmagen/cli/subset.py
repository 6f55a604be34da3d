"""`dimmagen subset`: selected pairs of a data set as a new data set."""

from typing import Any, BinaryIO

import click

from dimmagen.cli.command import command
from dimmagen.cli.options import Integer, Range, new_dataset_option
from dimmagen.cli.progress import copied_with_bar, print_copied
from dimmagen.cli.results import dataset_result
from dimmagen.core.errors import UsageError
from dimmagen.core.text import decoded
from dimmagen.dataset.reader import open_pairs
from dimmagen.generate.subset import CRITERIA, Selection, write_subset


@command(former_names={"--to": "--out"})
@click.argument("dataset")
@new_dataset_option
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="NAME",
    show_default="all sources",
    help="Keep pairs of this source, such as coco. Repeatable.",
)
@click.option(
    "--licence",
    default="",
    metavar="WORDS",
    show_default="any",
    help="Keep pairs whose source has this text in its terms of use.",
)
@click.option("--gamma", type=Range(), show_default="any", help="Keep pairs with a gamma in this range.")
@click.option(
    "--lightness",
    type=Range(),
    show_default="any",
    help="Keep pairs whose dark image has a mean lightness (0 to 1) in this range.",
)
@click.option(
    "--min-side",
    type=Integer(0),
    default=0,
    help="Minimum length of the shorter side of an image, in pixels.",
)
@click.option(
    "--keys",
    metavar="FILE",
    type=click.File("rb"),
    help="Keep pairs whose key, or the key of their photo, is in this file, one per line; - reads the keys "
    "from standard input.",
)
@click.option(
    "--without-keys",
    metavar="FILE",
    type=click.File("rb"),
    help="Leave out pairs whose key, or the key of their photo, is in this file, such as the one that "
    "`dimmagen leaks --keys` writes.",
)
def subset(
    dataset: str, out: str, keys: BinaryIO | None, without_keys: BinaryIO | None, **criteria: Any
) -> dict[str, Any]:
    """Write the pairs of the data set DATASET that meet all criteria as a new data set with a manifest.

    \b
    Example:
      dimmagen subset out/ --out very-dark/ --lightness 0:0.03
    """
    listed = _keys(keys, "--keys") if keys else ()
    left_out = _keys(without_keys, "--without-keys") if without_keys else ()
    selection = Selection(**criteria, keys=listed, without_keys=left_out)
    pairs = open_pairs(dataset, CRITERIA)
    manifest = copied_with_bar(lambda *progress: write_subset(pairs, selection, out, *progress))
    print_copied(manifest, out, f" of {len(pairs)}")
    return dataset_result(out, manifest, of_pairs=len(pairs))


def _keys(file: BinaryIO, option: str) -> tuple[str, ...]:
    try:
        listed = tuple(filter(None, map(str.strip, decoded(file.read()).splitlines())))
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{option} {file.name} is not a text file ({error.reason})",
            "give one key per line",
            code="wrong-format",
            path=file.name,
        ) from None
    if not listed:
        raise UsageError(
            f"{option} {file.name} contains no key",
            "give one key per line, or omit the option",
            code="missing-argument",
            path=file.name,
        )
    return listed
