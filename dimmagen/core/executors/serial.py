"""Run jobs sequentially in this process."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from dimmagen.core.executors.base import Worker


def run_serial(
    build_worker: Callable[[], Worker], jobs: Iterable, on_pairs: Callable[[int], None]
) -> Iterator[tuple[Any, Any]]:
    """Run the jobs in this process, in order; yields (job, record)."""
    worker = build_worker()
    for job in jobs:
        yield job, worker(job, lambda: on_pairs(1))
