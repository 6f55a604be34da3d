"""Run jobs sequentially in this process."""

from collections.abc import Callable, Generator, Iterable
from typing import Any

from dimmagen.core.executors.base import OnStatus, Worker, WorkerStatus


def run_serial(
    build_worker: Callable[[], Worker],
    jobs: Iterable,
    on_pairs: Callable[[int], None],
    on_status: OnStatus = lambda status: None,
) -> Generator[tuple[Any, Any], None, None]:
    """Run the jobs in this process, in order; yields (job, record)."""
    on_status(WorkerStatus("the worker to load"))
    worker = build_worker()
    on_status(WorkerStatus(ready=1))
    for job in jobs:
        yield job, worker(job, lambda: on_pairs(1))
