"""What a run writes when all its shards are complete: for a new data set, or for an addition to one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from dimmagen.dataset.command_line import choices_of, command_line, joined_choices
from dimmagen.dataset.manifest import Manifest
from dimmagen.dataset.reader import PairSet
from dimmagen.dataset.writer import ShardRecord
from dimmagen.generate.finalize import finalize_dataset, names_rejected
from dimmagen.generate.growing import light_files, light_sizes, next_rejected, rejected_name
from dimmagen.generate.resume import REJECTED, DatasetFolder
from dimmagen.generate.run_plan import Plan
from dimmagen.sources.catalog import REJECTED_SCHEMA
from dimmagen.sources.light_images import LightImages


def finalize_run(
    lights: LightImages, folder: DatasetFolder, plan: Plan, shards: Sequence[ShardRecord]
) -> Manifest:
    """Write what belongs to the data set of a plan next to its shards; the manifest last.

    Args:
        lights: of the plan.
        folder: locked.
        plan: of a new data set, or of an addition to one.
        shards: that were planned, all complete.
    """
    rejected = _rejected(lights)
    if plan.base:
        choices = joined_choices(choices_of(plan.base.manifest.command), lights.choices)
        return _publish_addition(folder, plan, plan.base, rejected, shards, choices)
    command = _command(lights, plan)
    extensions = plan.photos.extensions if plan.light_format == "same" else [plan.light_format]
    return finalize_dataset(folder, plan.run, command, plan.photos.by_source, extensions, rejected, shards)


def is_current(lights: LightImages, plan: Plan, manifest: Manifest) -> bool:
    """Whether the manifest of a run has its command and its rejected candidates: the fingerprint has neither.

    Other sources, or other rules, may give the same accepted photos.
    """
    is_same_command = manifest.command == _command(lights, plan)
    return is_same_command and names_rejected(manifest, REJECTED, _rejected(lights))


def _command(lights: LightImages, plan: Plan) -> str:
    photos = plan.photos
    return command_line(plan.run.settings, photos.by_source, photos.extensions, photos.sizes, lights.choices)


def _rejected(lights: LightImages) -> Iterator[dict]:
    return ({name: row[name] for name in REJECTED_SCHEMA.names} for row in lights.rejected())


def _publish_addition(
    folder: DatasetFolder,
    plan: Plan,
    base: PairSet,
    rejected: Iterable[dict],
    shards: Sequence[ShardRecord],
    choices: Mapping[str, Any],
) -> Manifest:
    sources = sorted({*base.manifest.counts.lights_by_source, *plan.photos.by_source})
    extensions = sorted({*light_files(base), *plan.photos.extensions})
    sizes = {**light_sizes(base), **plan.photos.sizes}
    return finalize_dataset(
        folder,
        plan.run,
        command_line(plan.run.settings, sources, extensions, sizes, choices),
        plan.photos.by_source,
        extensions if plan.light_format == "same" else [plan.light_format],
        rejected,
        shards,
        base.manifest,
        rejected_name(next_rejected(base.manifest)),
    )
