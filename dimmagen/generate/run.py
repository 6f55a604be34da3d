"""Making a data set of pairs, from the light images to the manifest: the steps of `dimmagen dim`."""

import logging
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any, Protocol

from dimmagen.core import storage
from dimmagen.core.executors import ray_metrics
from dimmagen.core.executors.base import OnStatus, WorkerStatus
from dimmagen.core.executors.ray_cluster import WorkerResources
from dimmagen.core.executors.ray_pool import run_ray
from dimmagen.core.executors.serial import run_serial
from dimmagen.core.outputs import ResumeMode
from dimmagen.dataset.manifest import Manifest
from dimmagen.dataset.reader import PairSet
from dimmagen.dataset.writer import ShardRecord
from dimmagen.generate.execution import Execution
from dimmagen.generate.finalize_run import finalize_run, is_current
from dimmagen.generate.pair import BuildDimmer, PairSettings
from dimmagen.generate.plan import PlannedShard, ShardJob, plan_jobs, variants_per_job
from dimmagen.generate.preflight import build_after_preflight
from dimmagen.generate.resume import DatasetFolder
from dimmagen.generate.run_plan import Plan, check_pair_settings, plan_dataset
from dimmagen.generate.worker import PairShardWorker
from dimmagen.sources.labels.index import Labels
from dimmagen.sources.light_images import LightImages

_LOG = logging.getLogger(__name__)


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
    return generate_planned(
        plan,
        lights,
        build_dimmer,
        out,
        execution,
        partial(finalize_run, lights),
        partial(is_current, lights, plan),
        resume,
        progress,
        labels,
    )


Publish = Callable[[DatasetFolder, Plan, Sequence[ShardRecord]], Manifest]
"""Writes what belongs to a data set next to its shards, given those that were planned; the manifest last."""


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
        is_current: whether a manifest of the same run, and with it what lies next to the shards, is what
            `publish` would write. If not, that is published again; the shards stay.
    """
    progress = progress or NoProgress()
    folder = DatasetFolder(storage.local_path(out) or out, discards=resume is not None)
    choices = {**lights.choices, **plan.photos.sizes}  # for messages
    with folder.locked():
        complete = _complete_shards(folder, plan, resume or "if-possible", choices)
        missing = [planned for planned in plan.shards if planned.shard not in complete]
        _begin_progress(progress, plan, complete)
        if not missing and (manifest := _finished(folder, plan, complete)) and is_current(manifest):
            return manifest
        _begin(folder, plan, complete, missing, choices)
        made = _make(missing, plan, lights, labels, build_dimmer, folder, execution, progress)
        with folder.tidied(), closing(made):
            for job, records in made:
                for shard, record in zip(job.shards, records, strict=True):
                    folder.notes.add(plan.run, record)
                    complete[shard] = record
                    ray_metrics.count("bytes", record.bytes)
                    _LOG.debug("%s: %d pairs, %d bytes", record.name, record.samples, record.bytes)
                    progress.shard()
        return publish(folder, plan, [complete[planned.shard] for planned in plan.shards])


def _complete_shards(
    folder: DatasetFolder, plan: Plan, resume: ResumeMode, choices: Mapping[str, Any]
) -> dict[str, ShardRecord]:
    if plan.base:
        return folder.complete_addition(plan.base.manifest, plan.run)
    return folder.complete_shards(plan.run, resume, choices)


def _finished(folder: DatasetFolder, plan: Plan, complete: Mapping[str, ShardRecord]) -> Manifest | None:
    """The manifest of a run that is finished; an addition, which replaces the manifest, never is."""
    return None if plan.base else folder.finished(plan.run, complete)


def _begin(
    folder: DatasetFolder,
    plan: Plan,
    complete: Mapping[str, ShardRecord],
    missing: Sequence[PlannedShard],
    choices: Mapping[str, Any],
) -> None:
    if plan.base:
        folder.begin_addition(plan.base.manifest, plan.run, complete)
        return
    if not missing:
        _LOG.info("all shards in %s are complete; the manifest and the card are written", folder.out)
    folder.begin(plan.run, complete, choices)


def _make(
    missing: Sequence[PlannedShard],
    plan: Plan,
    lights: LightImages,
    labels: Labels | None,
    build_dimmer: BuildDimmer,
    folder: DatasetFolder,
    execution: Execution,
    progress: GenerateProgress,
) -> Generator[tuple[ShardJob, list[ShardRecord]], None, None]:
    """Make the missing shards of a plan; gives each job with the records of its shards when it is done."""
    make_worker = partial(
        PairShardWorker, build_dimmer, folder.out, plan.settings, execution.device, execution.threads
    )
    build_worker = partial(build_after_preflight, plan.run, folder.out, make_worker)
    pairs = sum(planned.stop - planned.start for planned in missing)
    execution = execution.for_pairs(pairs, len(lights), lights.photo_sizes())
    workers = 1 if execution.executor == "serial" else execution.workers
    at_once = variants_per_job(len(missing), plan.settings.variants, workers)
    jobs = plan_jobs(missing, lights, at_once, labels)
    # A progress that a user wrote for an earlier version has no such method.
    on_status = getattr(progress, "workers", NoProgress().workers)
    return _execute(build_worker, jobs, execution, progress.pairs, on_status)


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
        UsageError: a setting is out of its range, or `out` cannot be made, or holds something else or (with
            `always`) no run.
        DimmagenError: another run is writing to `out`.
    """
    check_pair_settings(settings)
    DatasetFolder(storage.local_path(out) or out).refuse_unusable(resume)


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
