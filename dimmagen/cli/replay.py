"""`dimmagen replay`: one pair of a data set made anew, and what replaying commands share."""

from collections.abc import Callable, Sequence

import click

from dimmagen.cli.command import command
from dimmagen.cli.options import profile_option, source_option
from dimmagen.core.environment import environment
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dataset.manifest import Manifest, Run, changes
from dimmagen.dataset.reader import PairSet, open_pairs
from dimmagen.generate.from_manifest import dimmer_from_manifest
from dimmagen.generate.replay import Replay, originals, replay_pair


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
    row = _row(pairs, key)
    result = replayer(pairs, sources, profile)(row)
    if not result.identical:
        raise DimmagenError(
            f"{key} differs first in its {result.stage} ({result.detail}){class_note(pairs.manifest)}"
        )
    click.echo(f"{key} is identical to that of {dataset}: source, pixels, draws and bytes.")
    if not sources and row["transform"] != "verbatim":
        click.echo("It was begun at the light picture in the shard; give --source to begin at the photo.")


def replayer(pairs: PairSet, sources: Sequence[str], profile: str | None) -> Callable[[dict], Replay]:
    """Replays pairs of a data set by their rows; what is wrong with source or profile is told now."""
    dimmer = dimmer_from_manifest(pairs.manifest.settings, profile)()
    original_of = originals(pairs, sources)
    return lambda row: replay_pair(pairs, row, dimmer, original_of)


def class_note(manifest: Manifest) -> str:
    """How this machine differs from the one that made a data set; empty when it does not."""
    differences = changes(manifest.run, Run(manifest.settings, environment()))
    if not differences:
        return ""
    return "\nThis machine is of another class than the one that made it:\n    " + "\n    ".join(differences)


def _row(pairs: PairSet, key: str) -> dict:
    rows = pairs.rows()
    for row in rows:
        if row["key"] == key:
            return row
    of_light = [row["key"] for row in rows if row["light_key"] == key]
    todo = f"give one of {', '.join(of_light)}" if of_light else f"its keys are like {rows[0]['key']}"
    raise UsageError(f"{pairs.out} holds no pair {key}", todo)
