"""Making a data set of pairs, from the light images to the manifest: the steps of `dimmagen dim`."""

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from dimmagen.core import storage
from dimmagen.core.errors import UsageError
from dimmagen.core.executors import ray_metrics
from dimmagen.core.executors.base import OnStatus, WorkerStatus
from dimmagen.core.executors.ray_cluster import WorkerResources
from dimmagen.core.executors.ray_pool import run_ray
from dimmagen.core.executors.serial import run_serial
from dimmagen.core.registry import unknown_name
from dimmagen.dataset.census import LightImageCensus, census
from dimmagen.dataset.command_line import choices_of, command_line, joined_choices
from dimmagen.dataset.manifest import EXCLUDE, Manifest, Run
from dimmagen.dataset.reader import PairSet
from dimmagen.dataset.writer import ShardRecord
from dimmagen.generate.execution import Execution
from dimmagen.generate.finalize import finalize_dataset, names_rejected
from dimmagen.generate.growing import (
    grown_run,
    light_files,
    light_format_of_addition,
    light_sizes,
    next_rejected,
    next_shard,
    rejected_name,
)
from dimmagen.generate.light_format import (
    LIGHT_FORMATS,
    AskedLightFormat,
    LightFormat,
    choose_light_format,
)
from dimmagen.generate.pair import IMAGE_FORMATS, BuildDimmer, PairSettings
from dimmagen.generate.plan import PlannedShard, ShardJob, plan_jobs, plan_shards, variants_per_job
from dimmagen.generate.preflight import build_after_preflight
from dimmagen.generate.resume import REJECTED, DatasetFolder, ResumeMode
from dimmagen.generate.run_environment import environment_for
from dimmagen.generate.worker import PairShardWorker
from dimmagen.sources import recorded_terms
from dimmagen.sources.catalog import REJECTED_SCHEMA
from dimmagen.sources.labels.index import Labels
from dimmagen.sources.light_images import LightImages

_LOG = logging.getLogger(__name__)
MAX_VARIANTS, MAX_PAIRS = 100_000, 10**10


class GenerateProgress(Protocol):
    """Receives the progress of a run."""

    def begin(self, shards: int, pairs: int, done_shards: int, done_pairs: int) -> None:
        """Called once, with the totals and with what is complete already."""

    def pairs(self, count: int) -> None:
        """Called after that many more pairs."""

    def shard(self) -> None:
        """Called after each complete shard."""

    def workers(self, status: WorkerStatus) -> None:
        """Called when what the workers do has changed."""


class NoProgress:
    """Ignores the progress of a run."""

    def begin(self, shards: int, pairs: int, done_shards: int, done_pairs: int) -> None: ...

    def pairs(self, count: int) -> None: ...

    def shard(self) -> None: ...

    def workers(self, status: WorkerStatus) -> None: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will make, known before anything is written.

    Attributes:
        run: settings and environment.
        settings: of the pairs.
        light_format: the one of `settings`, as chosen.
        photos: summary of the light images.
        shards: in order.
        base: the data set to which they are added; None for a new one.
    """

    run: Run
    settings: PairSettings
    light_format: LightFormat
    photos: LightImageCensus
    shards: list[PlannedShard]
    base: PairSet | None = None

    @property
    def pairs(self) -> int:
        return sum(map(len, self.shards))


def plan_dataset(
    lights: LightImages,
    build_dimmer: BuildDimmer,
    settings: PairSettings,
    labels: Labels | None = None,
    base: PairSet | None = None,
) -> Plan:
    """Plan every shard and determine the run's fingerprint; arguments as for :func:`generate_dataset`.

    Raises:
        UsageError: no light image, or settings out of their range or other ones than those of `base`.
    """
    check_settings(settings)
    photos = census(lights)
    _check_count(photos.count, settings.variants)
    if not photos.count and base is None:
        raise UsageError(
            f"{lights.origin} has no light image that passes the rules",
            "see `dry_run=True` for the reasons",
            code="no-match",
        )
    light_format = _light_format(settings.light_format, photos, base)
    settings = replace(settings, light_format=light_format)
    dimmer = build_dimmer()
    run_settings = {
        **dimmer.settings(),
        **settings.record(),
        "lights": photos.count,
        "lights_sha256": photos.sha256,
        **({EXCLUDE: dict(lights.excluded)} if lights.excluded else {}),
        **recorded_terms(photos.by_source),
        **({"labels": labels.settings} if labels else {}),
    }
    here = environment_for(dimmer.model.kind, photos.by_source, photos.steps)
    first = next_shard(base.manifest) if base else 0
    shards = plan_shards(photos.count, settings.variants, settings.samples_per_shard, first)
    run = Run(run_settings, here)
    if base:
        run = grown_run(base.manifest, run.settings, run.environment, photos.by_source, len(shards))
    return Plan(run, settings, light_format, photos, shards, base)


def _check_count(lights: int, variants: int) -> None:
    if lights * variants > MAX_PAIRS:
        raise UsageError(
            f"{lights} light images x {variants} variants are more than {MAX_PAIRS:,} pairs",
            "make several data sets, with fewer `variants` each",
            code="out-of-range",
            parameter="variants",
            value=variants,
        )


def _light_format(asked: AskedLightFormat, photos: LightImageCensus, base: PairSet | None) -> LightFormat:
    if base is None:
        return choose_light_format(asked, photos.extensions)
    recorded = base.manifest.settings.get("light_format", "same")
    return light_format_of_addition(asked, recorded, light_files(base), photos.extensions)


def generate_dataset(
    lights: LightImages,
    build_dimmer: BuildDimmer,
    out: str,
    settings: PairSettings,
    execution: Execution,
    resume: ResumeMode | None = "if-possible",
    progress: GenerateProgress | None = None,
    on_plan: Callable[[Plan], None] = lambda plan: None,
    labels: Labels | None = None,
    base: PairSet | None = None,
) -> Manifest:
    """Make every pair of `lights` and publish them as one data set.

    The output depends only on the light images, the dimmer and the settings. A run that was stopped is
    resumed: complete shards are kept if their size and SHA-256 are as recorded.

    Args:
        lights: accepted light images.
        build_dimmer: picklable; called once here and once in each worker.
        out: folder or fsspec URL.
        settings: of the pairs.
        execution: how the work is executed.
        resume: `if-possible` resumes a run with the same settings and begins a new one otherwise; `always`
            requires a run to resume; `never` discards what is in `out`. None is `if-possible` for callers
            whose users cannot say it.
        progress: notified of shards and pairs.
        on_plan: called once with the plan, before anything is written.
        labels: of the light images, from :func:`.open_labels`; None for a data set without labels.
        base: the finished data set in `out`, from :func:`.growing.open_base`, to which the pairs are added as
            a generation; `resume` does not count then. It stays as it is until the manifest is published.

    Returns:
        The manifest as published.

    Raises:
        DimmagenError: see :class:`DatasetFolder` and :class:`PairShardWorker`; complete shards stay valid.
    """
    if execution.device != "cpu" and execution.address is None:  # in a cluster the nodes have the GPUs
        from dimmagen.generate.gpu_worker import find_device  # imports torch

        find_device(execution.device)
    plan = plan_dataset(lights, build_dimmer, settings, labels, base)
    on_plan(plan)
    publish = partial(_publish, lights)
    is_current = partial(_is_current, lights, plan)
    return generate_planned(
        plan, lights, build_dimmer, out, execution, publish, is_current, resume, progress, labels
    )


Publish = Callable[[DatasetFolder, Plan, Sequence[ShardRecord]], Manifest]
"""Writes what belongs to a data set beside its shards, given those that were planned; the manifest last."""


def generate_planned(
    plan: Plan,
    lights: LightImages,
    build_dimmer: BuildDimmer,
    out: str,
    execution: Execution,
    publish: Publish,
    is_current: Callable[[Manifest], bool],
    resume: ResumeMode | None = None,
    progress: GenerateProgress | None = None,
    labels: Labels | None = None,
) -> Manifest:
    """Make the shards of a plan and publish them; arguments and errors as for :func:`generate_dataset`.

    Args:
        plan: whose shards are of `lights`.
        publish: called once when all shards are complete.
        is_current: whether a manifest of the same run, and with it what lies beside the shards, is what
            `publish` would write. If not, that is published again; the shards stay.
    """
    progress, base, settings = progress or NoProgress(), plan.base, plan.settings
    folder = DatasetFolder(storage.local_path(out) or out, discards=resume is not None)
    choices = {**lights.choices, **plan.photos.sizes}
    with folder.locked():
        if base:
            complete = folder.complete_addition(base.manifest, plan.run)
        else:
            complete = folder.complete_shards(plan.run, resume or "if-possible", choices)
        missing = [planned for planned in plan.shards if planned.shard not in complete]
        _begin_progress(progress, plan, complete)
        if base:
            folder.begin_addition(base.manifest, plan.run, complete)
        elif not missing and (manifest := folder.finished(plan.run, complete)) and is_current(manifest):
            return manifest
        else:
            if not missing:
                _LOG.info("all shards in %s are complete; the manifest and the card are written", folder.out)
            folder.begin(plan.run, complete, choices)
        make_worker = partial(
            PairShardWorker, build_dimmer, folder.out, settings, execution.device, execution.threads
        )
        build_worker = partial(build_after_preflight, plan.run, folder.out, make_worker)
        pairs = sum(planned.stop - planned.start for planned in missing)
        execution = execution.for_pairs(pairs, len(lights), lights.photo_sizes())
        workers = 1 if execution.executor == "serial" else execution.workers
        at_once = variants_per_job(len(missing), settings.variants, workers)
        jobs = plan_jobs(missing, lights, at_once, labels)
        # A progress that a user wrote for an earlier version has no such method.
        on_status = getattr(progress, "workers", NoProgress().workers)
        made = _execute(build_worker, jobs, execution, progress.pairs, on_status)
        with folder.tidied(), closing(made):
            for job, records in made:
                for shard, record in zip(job.shards, records, strict=True):
                    folder.add(plan.run, record)
                    complete[shard] = record
                    ray_metrics.count("bytes", record.bytes)
                    _LOG.debug("%s: %d pairs, %d bytes", record.name, record.samples, record.bytes)
                    progress.shard()
        return publish(folder, plan, [complete[planned.shard] for planned in plan.shards])


def _begin_progress(progress: GenerateProgress, plan: Plan, complete: Mapping[str, ShardRecord]) -> None:
    """The totals of the whole data set; what it has before an addition is done."""
    _LOG.debug(
        "fingerprint %s: pairs: %d, shards: %d, of which complete: %d",
        plan.run.fingerprint,
        plan.pairs,
        len(plan.shards),
        len(complete),
    )
    done = sum(record.samples for record in complete.values())
    shards, pairs = (plan.base.manifest.counts.shards, len(plan.base)) if plan.base else (0, 0)
    progress.begin(shards + len(plan.shards), pairs + plan.pairs, shards + len(complete), pairs + done)


def refuse_early(out: str, settings: PairSettings, resume: ResumeMode) -> None:
    """Refuse what no photos could make right, before they are scanned, which may take hours.

    Args:
        out, settings, resume: as for :func:`generate_dataset`, for a new data set or one to be continued.

    Raises:
        UsageError: a setting is out of its range, or `out` holds something else or (with `always`) no run.
    """
    check_settings(settings)
    DatasetFolder(storage.local_path(out) or out).refuse_unusable(resume)


def check_settings(settings: PairSettings) -> None:
    """Check the values of settings.

    Raises:
        UsageError: a setting is out of its range, or the image format is unknown.
    """
    for name, maximum in {"variants": MAX_VARIANTS, "samples_per_shard": 2**31}.items():
        value = getattr(settings, name)
        if not 1 <= value <= maximum:
            raise UsageError(
                f"`{name}` is {value}",
                f"give a number from 1 to {maximum}",
                code="out-of-range",
                parameter=name,
                value=value,
            )
    if not 0 <= settings.seed < 2**63:
        raise UsageError(
            f"`seed` is {settings.seed}",
            "give a number from 0 to 2^63 - 1",
            code="out-of-range",
            parameter="seed",
            value=settings.seed,
        )
    if settings.image_format not in IMAGE_FORMATS:
        raise unknown_name("image format", settings.image_format, IMAGE_FORMATS)
    if settings.light_format not in LIGHT_FORMATS:
        raise unknown_name("light format", settings.light_format, LIGHT_FORMATS)


def _execute(
    build_worker: Callable[[], PairShardWorker],
    jobs: Iterable[ShardJob],
    execution: Execution,
    on_pairs: Callable[[int], None],
    on_status: OnStatus,
) -> Generator[tuple[ShardJob, list[ShardRecord]], None, None]:
    if execution.executor == "serial":
        return run_serial(build_worker, jobs, on_pairs, on_status)
    share = WorkerResources(execution.threads, gpus=1) if execution.device != "cpu" else WorkerResources()
    return run_ray(
        build_worker,
        jobs,
        on_pairs,
        execution.workers,
        execution.address,
        share,
        execution.on_cluster_lost,
        execution.worker_timeout,
        on_status,
    )


def _publish(
    lights: LightImages, folder: DatasetFolder, plan: Plan, shards: Sequence[ShardRecord]
) -> Manifest:
    rejected = _rejected(lights)
    if plan.base:
        choices = joined_choices(choices_of(plan.base.manifest.command), lights.choices)
        return _publish_addition(folder, plan, plan.base, rejected, shards, choices)
    command = _command(lights, plan)
    extensions = plan.photos.extensions if plan.light_format == "same" else [plan.light_format]
    return finalize_dataset(folder, plan.run, command, plan.photos.by_source, extensions, rejected, shards)


def _is_current(lights: LightImages, plan: Plan, manifest: Manifest) -> bool:
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
