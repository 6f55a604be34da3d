"""The Ray actors of one run, and the loop that assigns jobs to them and collects their results.

A job is assigned only to an actor that is scheduled on a node and has built its worker; other actors wait
for a processor, and start when a node joins. The restarts and retries of Ray are not used: Ray would keep a
job with its actor until that is scheduled again, which on a full cluster is never. Instead, a lost actor is
replaced by a new one, and its job is assigned to the first idle worker.
"""

import logging
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any

from dimmagen.core.errors import DimmagenError, Ways
from dimmagen.core.executors import ray_metrics
from dimmagen.core.executors.base import OnStatus, Worker, WorkerStatus
from dimmagen.core.executors.ray_actor import Actor, kill_process
from dimmagen.core.executors.ray_cluster import ClusterMonitor, OnLost, WorkerResources, connect_ray
from dimmagen.core.executors.ray_connected import is_own
from dimmagen.core.executors.ray_silence import SilenceWatch
from dimmagen.core.executors.ray_tasks import PoolWorker, Task, TaskQueue

_LOG = logging.getLogger(__name__)
# A job whose workers die more often than this is not failing by chance.
MAX_DEATHS_PER_JOB = 3
_POLL_SECONDS = 0.5
_PATIENCE_SECONDS = 5.0  # until a warning reports that workers are waiting
_ONE_CPU = WorkerResources()


class _LostError(Exception):
    """The actor, its node or the connection to it is lost."""


class WorkerPool:
    """Runs jobs on Ray actors; see the module.

    Args:
        ray: the connected `ray` module.
        build_worker: picklable; called once in each actor.
        jobs: picklable, each with a `name`.
        on_pairs: called with the number of pairs made since the last call; negative if a worker was lost
            whose pairs must be made again.
        workers: number of actors, fewer if there are fewer jobs; None for one per processor of the cluster.
        on_cluster: whether error messages name the node on which the error occurred.
        share: resources of a node that each actor occupies.
        on_lost: see :class:`ClusterMonitor`.
        timeout: seconds without a pair after which a worker is replaced; None only reports it.
        on_status: called when what the workers do has changed.
        unit: what is made in place of pairs, for messages.
    """

    def __init__(
        self,
        ray: Any,
        build_worker: Callable,
        jobs: Iterable,
        on_pairs: Callable[[int], None],
        workers: int | None,
        on_cluster: bool,
        share: WorkerResources,
        on_lost: OnLost | None = None,
        timeout: float | None = None,
        on_status: OnStatus = lambda status: None,
        unit: str = "pair",
    ) -> None:
        self._unit = unit
        self._lost = self._retries = 0
        self._on_status = on_status
        self._status = WorkerStatus()
        self._silence = SilenceWatch(unit, timeout)
        self._ending: list[Any] = []  # calls that end processes; Ray drops a call whose result nobody holds
        self._ray = ray
        self._build_worker = build_worker
        self._tasks = TaskQueue(jobs)
        self._on_pairs = on_pairs
        self._workers = workers
        self._on_cluster = on_cluster
        self._monitor = ClusterMonitor(ray, on_lost)
        self._share = share
        self._actor_class = ray.remote(
            num_cpus=share.processors,
            num_gpus=share.gpus,
            scheduling_strategy="SPREAD",
            concurrency_groups={"status": 1},
        )(Actor)
        self._members: set[PoolWorker] = set()
        self._idle: list[PoolWorker] = []
        self._calls: dict[Any, Callable[[Any], None]] = {}  # and the handler of the result of each
        self._finished: list[tuple[Any, Any]] = []
        self._lost_starts = 0
        self._patience_ends = time.monotonic() + _PATIENCE_SECONDS

    def work(self) -> Iterator[tuple[Any, Any]]:
        """Run all jobs; yields (job, record) as they finish.

        Raises:
            DimmagenError: raised by a job or while building a worker; or a job lost its worker more than
                `MAX_DEATHS_PER_JOB` times, or the cluster was lost.
        """
        self._monitor.begin()
        try:
            yield from self._work()
        finally:
            self._monitor.end()
            if self._lost or self._monitor.lost_nodes:
                _LOG.warning(
                    "lost in this run: workers: %d, nodes: %d; others have done their work.",
                    self._lost,
                    self._monitor.lost_nodes,
                )

    def end_workers(self) -> None:
        """End all actors, with what they are working on: a Ray that continues would let them finish it."""
        for member in self._members:
            with suppress(self._ray.exceptions.RayError):
                self._ray.kill(member.actor)

    def _work(self) -> Iterator[tuple[Any, Any]]:
        next_poll = time.monotonic() + _POLL_SECONDS
        while self._working() or self._tasks.waiting(1):
            self._spawn_workers()
            for call in self._completed_calls():
                self._calls.pop(call)(call)
            self._assign_jobs()
            self._tell_status()
            if time.monotonic() >= next_poll:
                self._monitor.look()
                self._request_progress()
                self._warn_if_waiting()
                for member, reason in self._silence.look(self._members):
                    self._replace(member, reason)
                next_poll = time.monotonic() + _POLL_SECONDS
            finished, self._finished = self._finished, []
            yield from finished

    def _tell_status(self) -> None:
        ready = sum(member.is_idle or member.task is not None for member in self._members)
        waiting = ""
        if not ready:
            has_place = any(member.place for member in self._members)
            waiting = "the workers to load" if has_place else f"{self._share} for a worker"
        status = WorkerStatus(waiting, ready, self._lost, self._retries)
        if status != self._status:
            self._status = status
            self._on_status(status)

    def _working(self) -> list[PoolWorker]:
        return [member for member in self._members if member.task]

    def _spawn_workers(self) -> None:
        """Start as many actors as there are jobs, up to the limit."""
        limit = self._workers or max(1, self._monitor.room(self._share))
        if len(self._members) >= limit:
            return
        for _ in range(len(self._members), min(limit, len(self._working()) + self._tasks.waiting(limit))):
            member = PoolWorker(self._actor_class.remote(), unit=self._unit)
            self._members.add(member)
            self._calls[member.actor.place.remote()] = partial(self._take_place, member)

    def _completed_calls(self) -> list:
        """Completed calls; waits briefly for the first one."""
        first, rest = self._ray.wait(list(self._calls), timeout=_POLL_SECONDS)
        if first and rest:
            first += self._ray.wait(rest, num_returns=len(rest), timeout=0)[0]
        return first

    def _take_place(self, member: PoolWorker, call: Any) -> None:
        member.move()
        try:
            member.place, member.node, member.process = self._result_of(member, call)
        except _LostError as error:
            self._count_lost_start(error)
        else:
            start = member.actor.start.remote(self._build_worker)
            self._calls[start] = partial(self._take_start, member)

    def _take_start(self, member: PoolWorker, call: Any) -> None:
        try:
            self._result_of(member, call)
        except _LostError as error:
            self._count_lost_start(error)
        else:
            self._lost_starts = 0
            _LOG.debug("a worker on %s (process %d) is ready", member.place, member.process)
            self._rest(member)

    def _rest(self, member: PoolWorker) -> None:
        member.is_idle = True
        self._idle.append(member)

    def _count_lost_start(self, error: _LostError) -> None:
        self._lost_starts += 1
        if self._lost_starts > MAX_DEATHS_PER_JOB * (1 + len(self._members)):
            raise DimmagenError(
                f"no worker can start: {self._lost_starts} were lost in a row ({error})",
                Ways.of(
                    "check that the nodes have enough memory",
                    "give fewer `workers`",
                    'use `executor="serial"`',
                ),
                code="worker-lost",
                lost=self._lost_starts,
            ) from error

    def _assign_jobs(self) -> None:
        while self._idle and self._tasks.waiting(1):
            member = self._idle.pop()
            member.task, member.is_idle = self._tasks.take(), False
            member.move()
            self._calls[member.actor.run.remote(member.task.job)] = partial(self._take_record, member)

    def _take_record(self, member: PoolWorker, call: Any) -> None:
        task, member.task = member.task, None
        assert task is not None
        try:
            record, pairs = self._result_of(member, call)
        except _LostError as error:
            self._give_back(task, error)
        else:
            self._on_pairs(pairs - task.pairs)
            ray_metrics.count("files" if self._unit == "file" else "pairs", pairs)
            self._rest(member)
            self._finished.append((task.job, record))

    def _give_back(self, task: Task, error: _LostError) -> None:
        """Let another worker do the task of a lost one."""
        self._on_pairs(-task.pairs)
        task.pairs = 0
        task.deaths += 1
        self._retries += 1
        ray_metrics.count("retries")
        if task.deaths > MAX_DEATHS_PER_JOB:
            raise DimmagenError(
                f"{task.job.name} was given up: its worker died {task.deaths} times ({error})",
                "run the same command again to resume, with fewer `workers` if the memory ran out, or "
                'with `executor="serial"` to see where a library crashes; complete shards stay valid',
                code="worker-lost",
                name=task.job.name,
                deaths=task.deaths,
            ) from error
        self._tasks.put_back(task)
        _LOG.debug("%s is given to another worker (%s)", task.job.name, error)

    def _request_progress(self) -> None:
        for member in self._members:
            if member.task and not member.is_polled:
                member.is_polled = True
                call = member.actor.pairs_made.options(concurrency_group="status").remote()
                self._calls[call] = partial(self._take_pairs, member, member.task)

    def _take_pairs(self, member: PoolWorker, task: Task, call: Any) -> None:
        member.is_polled = False
        try:
            pairs = self._ray.get(call)
        except self._ray.exceptions.RayError:
            return  # the call of the job will raise it
        if member.task is task:
            if pairs != task.pairs:
                member.move()
            self._on_pairs(pairs - task.pairs)
            task.pairs = pairs

    def _result_of(self, member: PoolWorker, call: Any) -> Any:
        """The result of a call. Raises the error of the worker, or _LostError if the actor is lost."""
        try:
            return self._ray.get(call)
        except self._ray.exceptions.RayTaskError as error:
            if not isinstance(error.cause, DimmagenError):
                raise
            if not self._on_cluster:
                raise error.cause from None
            raise _with_node(error.cause, member.place) from None
        except self._ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[-1]
            if getattr(error, "actor_init_failed", False):
                raise DimmagenError(
                    f"a node cannot load dimmagen ({reason})",
                    "install the same dimmagen on every node",
                    code="cluster",
                ) from error
            self._members.discard(member)
            self._ray.kill(member.actor)  # it may still be running behind a broken network
            self._count_lost(member, reason)
            raise _LostError(reason) from error

    def _count_lost(self, member: PoolWorker, reason: str) -> None:
        self._lost += 1
        ray_metrics.count("lost_workers")
        work = member.task.job.name if member.task else ""
        _LOG.warning(
            "a worker%s was lost%s (%s)",
            f" on {member.place}" if member.place else "",
            f"; another one makes {work}" if work else "",
            reason,
        )

    def _replace(self, member: PoolWorker, reason: str) -> None:
        """End a worker that no longer answers, and let another one do its task."""
        self._calls = {
            call: handler
            for call, handler in self._calls.items()
            if member not in getattr(handler, "args", ())
        }
        self._members.discard(member)
        self._count_lost(member, reason)
        self._ray.kill(member.actor)
        self._end_process(member)
        error = _LostError(f"{reason} on {member.place}")
        if member.task is None:
            self._count_lost_start(error)
        else:
            task, member.task = member.task, None
            self._give_back(task, error)

    def _end_process(self, member: PoolWorker) -> None:
        """Ray asks a worker to end, which one that is suspended never does; then its place stays occupied."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        there = NodeAffinitySchedulingStrategy(member.node, soft=True)
        kill = self._ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=there)(kill_process)
        self._ending.append(kill.remote(member.node, member.process))

    def _warn_if_waiting(self) -> None:
        """Warn once per run that workers are waiting for resources."""
        waiting = sum(not member.place for member in self._members)
        if not waiting or time.monotonic() < self._patience_ends:
            return
        self._patience_ends = float("inf")
        _LOG.warning(
            "%d of %d workers are waiting for %s; the Ray cluster has %d. "
            "They start as soon as resources are free or a node joins.",
            waiting,
            len(self._members),
            self._share,
            self._monitor.room(WorkerResources()),
        )


def _with_node(error: DimmagenError, node: str) -> DimmagenError:
    """The same error, with its code and fields, whose message begins with the node that raised it."""
    error.args = (f"on node {node}: {error}",)
    error.what = f"on node {node}: {error.what}"
    return error


def run_ray(
    build_worker: Callable[[], Worker],
    jobs: Iterable,
    on_pairs: Callable[[int], None],
    workers: int | None,
    address: str | None = None,
    share: WorkerResources = _ONE_CPU,
    on_lost: OnLost | None = None,
    timeout: float | None = None,
    on_status: OnStatus = lambda status: None,
    unit: str = "pair",
) -> Generator[tuple[Any, Any], None, None]:
    """Run the jobs on Ray actors, one job per actor at a time; yields (job, record) as they finish.

    The job of an actor that dies is run again by another one; an error inside a job ends the run.

    Args:
        build_worker: picklable; called once in each actor.
        jobs: picklable, each with a `name`.
        on_pairs: called with the number of pairs made since the last call; negative if pairs of a lost actor
            must be made again.
        workers: number of actors, at most the number of jobs; None for as many as fit on the cluster,
            including nodes that join later.
        address: address of a running cluster; without it, Ray is started on this machine for the run.
        share: resources of a node that each actor occupies.
        on_lost: see :class:`ClusterMonitor`.
        timeout, on_status, unit: see :class:`WorkerPool`.

    Raises:
        UsageError: the cluster cannot be joined.
        DimmagenError: raised by a job; or the actors of a job died too often, or the cluster was lost.
    """
    jobs = iter(jobs)
    if (first := next(jobs, None)) is None:
        return
    jobs = chain([first], jobs)
    on_status(WorkerStatus(f"the Ray cluster at {address}" if address else "the start of Ray"))
    with connect_ray(workers and workers * share.processors, address) as ray:
        on_cluster = address is not None
        pool = WorkerPool(
            ray, build_worker, jobs, on_pairs, workers, on_cluster, share, on_lost, timeout, on_status, unit
        )
        try:
            yield from pool.work()
        finally:
            if not is_own():
                pool.end_workers()
