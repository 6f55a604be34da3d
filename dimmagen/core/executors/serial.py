"""Run jobs sequentially in this process."""

from collections.abc import Callable, Generator, Iterable
from typing import Any

from dimmagen.core.executors.base import Worker


def run_serial(
    build_worker: Callable[[], Worker], jobs: Iterable, on_pairs: Callable[[int], None]
) -> Generator[tuple[Any, Any], None, None]:
    """Run the jobs in this process, in order; yields (job, record)."""
    worker = build_worker()
    for job in jobs:
        yield job, worker(job, lambda: on_pairs(1))
