"""`dimmagen replay`: one pair of a data set, made again and compared."""

import click

from dimmagen.cli.command import command
from dimmagen.cli.options import profile_option, source_option
from dimmagen.core.errors import DimmagenError
from dimmagen.dataset.reader import open_pairs
from dimmagen.generate.replay import environment_note, find_row, replayer


@command(former_names={"--from": "--data"})
@click.argument("key")
@click.option("--data", "dataset", required=True, help="Folder or URL of the data set that holds the pair.")
@source_option
@profile_option
def replay(key: str, dataset: str, sources: tuple[str, ...], profile: str | None) -> None:
    """Make the pair KEY anew from the manifest and its source, and compare.

    Says identical, or which stage differs first: source bytes, decoded pixels, draws, dark pixels, encoded
    bytes. Ends with 1 when one does. Example: dimmagen replay coco-0123456789abcdef-v0 --data out/
    """
    pairs = open_pairs(dataset)
    row = find_row(pairs, key)
    result = replayer(pairs, sources, profile)(row)
    if not result.identical:
        note = environment_note(pairs.manifest)
        raise DimmagenError(f"{key} differs first in its {result.stage} ({result.detail}){note}")
    click.echo(f"{key} is identical to that of {dataset}: source, pixels, draws and bytes.")
    if not sources and row["transform"] != "verbatim":
        click.echo("It was begun at the light picture in the shard; give --source to begin at the photo.")
