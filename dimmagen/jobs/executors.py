"""Executors: run jobs in this process or on Ray actors. They know nothing of what a job does.

Both take a function that builds a worker, and call the worker once a job. Only jobs and records travel: no
pixel enters Ray's object store.
"""

import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, islice
from typing import Any, Protocol, TypeVar

from dimmagen.errors import DimmagenError, UsageError

# A job that outlives this many deaths of its worker is not killed by chance.
DEATHS_A_JOB = 3
_POLL_SECONDS = 0.5
_ANSWER_SECONDS = 5
_PR_SET_PDEATHSIG = 1  # prctl(2)
_STORE_BYTES = 80 * 2**20  # records only; Ray's default takes a third of the memory

Job = TypeVar("Job", contravariant=True)
Record = TypeVar("Record", covariant=True)


class Worker(Protocol[Job, Record]):
    def __call__(self, job: Job, on_pair: Callable[[], None]) -> Record: ...


def run_serial(
    build_worker: Callable[[], Worker], jobs: Iterable, on_pairs: Callable[[int], None]
) -> Iterator[tuple[Any, Any]]:
    """Do the jobs here, in order; yields (job, record)."""
    worker = build_worker()
    for job in jobs:
        yield job, worker(job, lambda: on_pairs(1))


def run_ray(
    build_worker: Callable[[], Worker],
    jobs: Iterable,
    on_pairs: Callable[[int], None],
    workers: int | None,
    address: str | None = None,
) -> Iterator[tuple[Any, Any]]:
    """Do the jobs on Ray actors, one job an actor at a time; yields (job, record) as they finish.

    An actor that dies is started anew and its job is done again; an error inside a job ends the run.

    Args:
        build_worker: picklable; called once in each actor.
        jobs: picklable.
        on_pairs: told how many pairs were made since the last call.
        workers: number of actors, one processor each, but no more than jobs; None for one a processor of the
            cluster.
        address: of a running cluster; without it Ray is started on this machine and ended with the run.

    Raises:
        DimmagenError: what a job raised; or a job's actor died more than `DEATHS_A_JOB` times.
    """
    with connected_ray(workers, address) as ray:
        actor_class = ray.remote(
            num_cpus=1,
            max_restarts=-1,
            max_task_retries=DEATHS_A_JOB,
            concurrency_groups={"status": 1},
        )(_Actor)
        queue = iter(jobs)
        workers = workers or int(ray.cluster_resources()["CPU"])
        first = list(islice(queue, workers))
        queue = chain(first, queue)
        running: dict[Any, tuple[Any, Any]] = {}

        def give(actor: Any) -> None:
            if (job := next(queue, None)) is not None:
                running[actor.run.remote(job)] = (actor, job)

        actors = [actor_class.remote(build_worker) for _ in first]
        for actor in actors:
            give(actor)
        while running:
            finished, _ = ray.wait(list(running), timeout=_POLL_SECONDS)
            on_pairs(_pairs_made(ray, [actor for actor, _ in running.values()]))
            for reference in finished:
                actor, job = running.pop(reference)
                record = _result(ray, reference, job)
                give(actor)
                yield job, record


class _Actor:
    """Runs in a Ray worker process; one thread works, another answers how far it is."""

    def __init__(self, build_worker: Callable[[], Worker]) -> None:
        _die_with_parent()
        self.worker = build_worker()
        self.made = 0

    def run(self, job: Any) -> Any:
        return self.worker(job, self._count)

    def _count(self) -> None:
        self.made += 1

    def take_count(self) -> int:
        """Pairs made since the last call."""
        made = self.made
        self.made -= made
        return made


def _die_with_parent() -> None:
    """Ray's local processes end with the run that started them; a busy actor would finish its job first, and
    could write into a folder that the next run has taken over."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _pairs_made(ray: Any, actors: list) -> int:
    """Made since the last time, as far as the actors answer: one that is being started anew does not."""
    calls = [actor.take_count.options(concurrency_group="status").remote() for actor in actors]
    ready, _ = ray.wait(calls, num_returns=len(calls), timeout=_POLL_SECONDS)
    made = 0
    for call in ready:
        with suppress(ray.exceptions.RayError):
            made += ray.get(call)
    return made


def _result(ray: Any, reference: Any, job: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, DimmagenError):
            raise error.cause from None
        raise
    except ray.exceptions.RayActorError as error:
        raise DimmagenError(
            f"the worker of {job.shard} was lost: it died {DEATHS_A_JOB + 1} times, or Ray itself ended",
            "run the same command again to go on, with fewer --workers if the memory ran out, or with "
            "--executor serial to see where a library crashes; complete shards stay valid",
        ) from error


@contextmanager
def connected_ray(workers: int | None, address: str | None) -> Iterator[Any]:
    """Ray without its dashboard, usage report and console chatter."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        options |= {
            "address": "local",
            "num_cpus": workers,
            "include_dashboard": False,
            "object_store_memory": _STORE_BYTES,
        }
    else:
        _check_answers(address)
        options["address"] = address
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        if address is None:
            raise DimmagenError(f"Ray could not be started ({error})", "use --executor serial") from error
        raise UsageError(
            f"the Ray cluster at {address} could not be joined ({error})",
            "use its version of Ray, and its token in RAY_AUTH_TOKEN if it wants one",
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Ray itself would try for minutes. Addresses of another form, such as `auto`, are left to Ray."""
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if not (separator and port.isdigit()):
        return
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UsageError(f"no Ray cluster answers at {address} ({error})", "check --address") from error
