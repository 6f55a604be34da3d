"""Executors: run jobs in this process or on Ray actors. They know nothing of what a job does.

Both take a function that builds a worker, and call the worker once a job. Only jobs and records travel: no
pixel enters Ray's object store.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, Protocol, TypeVar

from dimmagen.jobs.cluster import Share, connected_ray
from dimmagen.jobs.crew import Crew

Job = TypeVar("Job", contravariant=True)
Record = TypeVar("Record", covariant=True)
SMALLEST_SHARE = Share()


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
    share: Share = SMALLEST_SHARE,
) -> Iterator[tuple[Any, Any]]:
    """Do the jobs on Ray actors, one job an actor at a time; yields (job, record) as they finish.

    The job of an actor that dies is done again by another one; an error inside a job ends the run.

    Args:
        build_worker: picklable; called once in each actor.
        jobs: picklable, each with a `name`.
        on_pairs: told how many pairs were made since the last call; less than none if pairs of a lost actor
            must be made again.
        workers: number of actors, but no more than jobs; None for as many as the cluster has room for, also
            on nodes that join later.
        address: of a running cluster; without it Ray is started on this machine and ended with the run.
        share: of a node that each actor takes.

    Raises:
        UsageError: the cluster cannot be joined.
        DimmagenError: what a job raised; or a job's actor died too often, or the cluster is lost.
    """
    jobs = iter(jobs)
    if (first := next(jobs, None)) is None:
        return
    jobs = chain([first], jobs)
    with connected_ray(workers and workers * share.processors, address) as ray:
        crew = Crew(ray, build_worker, jobs, on_pairs, workers, address is not None, share)
        yield from crew.work()
