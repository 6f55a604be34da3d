"""`dimmagen replay`: make one pair of a data set again and compare it."""

from typing import Any

from dimmagen.cli.command import command
from dimmagen.cli.options import pair_of_dataset, profile_option, source_option
from dimmagen.cli.output import echo
from dimmagen.core.errors import DimmagenError
from dimmagen.dataset.reader import open_pairs
from dimmagen.generate.replay import environment_note, replayer


@command(former_names={"--from": "--data"})
@pair_of_dataset(needs_key=True)
@source_option
@profile_option
def replay(dataset: str, key: str, sources: tuple[str, ...], profile: str | None) -> dict[str, Any]:
    """Make a pair of the data set in DATASET again from its manifest and source, and compare it.

    \b
    Examples:
      dimmagen replay out/ sample-596aa1e7cb875eb7-v0
      dimmagen replay sample-596aa1e7cb875eb7-v0 --data out/ --source photos/

    KEY is the key of a pair, or its beginning if that is unique. The command reports that the pair is
    identical, or the first stage that differs: source bytes, decoded pixels, draws, dark pixels or encoded
    bytes. The exit code is 1 if a stage differs.
    """
    pairs = open_pairs(dataset, ("key",))
    row = pairs.find(key)
    result = replayer(pairs, sources, profile)(row)
    if not result.identical:
        note = environment_note(pairs.manifest)
        raise DimmagenError(
            f"{row['key']} differs first in its {result.stage} ({result.detail}){note}",
            code="other-environment" if note else "failed",
            stage=result.stage,
            key=row["key"],
        )
    echo(f"{row['key']} is identical to that of {dataset}: source, pixels, draws and bytes.")
    if not sources and row["transform"] != "verbatim":
        echo("This started from the light image in the shard; give --source to start from the photo.")
    return {"key": row["key"], "dataset": dataset, "identical": True}
