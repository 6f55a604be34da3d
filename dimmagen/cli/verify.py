"""`dimmagen verify`: check a data set against its manifest, or a MixHQ against its catalog."""

import math
from collections.abc import Sequence
from typing import Any

import click

from dimmagen.cli.command import command
from dimmagen.cli.humanize import shorten
from dimmagen.cli.options import profile_option, source_option
from dimmagen.cli.output import echo
from dimmagen.cli.progress import steps_bar
from dimmagen.cli.results import dataset_result
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.lock import STATE
from dimmagen.core.text import pluralize
from dimmagen.dataset.checking import Fault
from dimmagen.dataset.verify import verify_dataset
from dimmagen.dataset.verify_mixhq import verify_mixhq
from dimmagen.sources.mixhq_reading import has_mixhq_manifest, is_mixhq


class _Percent(click.ParamType):
    name = "PERCENT"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> float:
        try:
            share = float(str(value).removesuffix("%"))
        except ValueError:
            share = math.nan
        if not 0 < share <= 100:
            self.fail(f"{value!r} is not a percentage, such as 1% or 100%", param, context)
        return share


@command()
@click.argument("dataset")
@click.option(
    "--reproduce",
    "percent",
    type=_Percent(),
    help="Make this share of the pairs again, such as 1%, and compare them.",
)
@source_option
@profile_option
def verify(
    dataset: str, percent: float | None, sources: tuple[str, ...], profile: str | None
) -> dict[str, Any]:
    """Check every file, hash, count, sidecar and image of the data set or MixHQ in DATASET.

    \b
    Examples:
      dimmagen verify out/
      dimmagen verify mixhq/
      dimmagen verify out/ --reproduce 1% --source photos/

    With --reproduce it also makes some pairs again (see `dimmagen replay`): from the light images in the
    shards, or from the photos if --source is given. The exit code is 1 if there is a fault; the file and the
    sample are reported.
    """
    if percent is None and (sources or profile):
        raise UsageError(
            "--source and --profile need --reproduce", "add --reproduce 100%, or omit them", code="conflict"
        )
    if is_mixhq(dataset) or has_mixhq_manifest(dataset):
        if percent is not None:
            raise UsageError("--reproduce is for a data set of pairs", "omit it for a MixHQ", code="conflict")
        return _verify_mixhq(dataset)
    with steps_bar("checking pairs") as steps:
        result = verify_dataset(dataset, on_start=steps.begin, on_shard=steps)
    counts = result.manifest.counts
    _refuse_faults(
        dataset,
        result.faults,
        "run the command again that made it, which replaces damaged shards, or copy the data set again",
    )
    echo(
        f"{dataset} is sound: {pluralize(counts.pairs, 'pair')} in {pluralize(counts.shards, 'shard')}; "
        f"every hash, sidecar and image matches the manifest.\nRoot hash {result.manifest.root_hash}"
    )
    if result.unfinished == [STATE]:
        echo(f"{STATE}/ was left by a run that was killed, or on a disk that keeps it; nothing needs it.")
    else:
        _tell_unfinished(result.unfinished)
    made_again = _reproduce(dataset, percent, sources, profile) if percent is not None else 0
    return dataset_result(dataset, result.manifest, made_again=made_again)


def _verify_mixhq(mixhq: str) -> dict[str, Any]:
    with steps_bar("checking light images") as steps:
        result = verify_mixhq(mixhq, on_start=steps.begin, on_shard=steps)
    # A build goes by the manifest of what is finished, and reads no light image again.
    _refuse_faults(mixhq, result.faults, "copy it again, or build it again into another folder")
    echo(
        f"{mixhq} is sound: {pluralize(result.light_images, 'light image')} in "
        f"{pluralize(result.shards, 'shard')}; every hash, sidecar and image matches the catalog."
    )
    _tell_unfinished(result.unfinished)
    return {"mixhq": mixhq, "light_images": result.light_images, "shards": result.shards}


def _refuse_faults(path: str, faults: Sequence[Fault], todo: str) -> None:
    if not faults:
        return
    echo("\n".join(shorten([str(fault) for fault in faults])))
    strangers = [fault for fault in faults if fault.is_stranger]
    advice = ["move the files that do not belong to it elsewhere"] if strangers else []
    advice += [todo] if len(strangers) < len(faults) else []
    raise DimmagenError(
        f"{path} has {pluralize(len(faults), 'fault')}",
        "; ".join(advice),
        code="damaged",
        path=path,
        faults=[str(fault) for fault in faults],
    )


def _tell_unfinished(names: Sequence[str]) -> None:
    if names:
        echo(
            f"An addition or a removal was stopped here ({pluralize(len(names), 'file')} that no "
            "manifest names): run its command again to finish it."
        )


def _reproduce(dataset: str, percent: float, sources: tuple[str, ...], profile: str | None) -> int:
    """Make a share of the pairs again; returns their number."""
    # Imported when used: a plain verify does not wait for the dimmer models.
    from dimmagen.dataset.reader import open_pairs
    from dimmagen.generate.replay import environment_note, replay_some

    pairs = open_pairs(dataset, ("key",))
    count = math.ceil(len(pairs) * percent / 100)
    with steps_bar("replaying pairs") as steps:
        results = replay_some(pairs, count, sources, profile, on_start=steps.begin, on_pair=steps)
    different = [result for result in results if not result.identical]
    if different:
        lines = [f"{result.key}: its {result.stage} differ ({result.detail})" for result in different]
        echo("\n".join(shorten(lines)))
        note = environment_note(pairs.manifest)
        raise DimmagenError(
            f"{dataset} has {pluralize(len(different), 'fault')}",
            f"the pairs above cannot be made again here{note}",
            code="other-environment" if note else "failed",
            path=dataset,
            faults=lines,
        )
    echo(f"{len(results)} of {len(pairs)} pairs were made again and are identical.")
    return len(results)
