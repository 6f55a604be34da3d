"""Executors: run jobs in this process or on Ray actors. They are independent of what a job does.

Both take a function that builds a worker, and call the worker once per job. Only jobs and records are
transferred: no pixels enter the object store of Ray.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

Job = TypeVar("Job", contravariant=True)
Record = TypeVar("Record", covariant=True)
Executor = Literal["ray", "serial"]
"""Which executor runs the jobs: Ray workers, or this process."""


class Worker(Protocol[Job, Record]):
    def __call__(self, job: Job, on_pair: Callable[[], None], /) -> Record: ...


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """What the workers of a run do.

    Attributes:
        waiting_for: why no worker works yet, in words, such as `the start of Ray`; empty once one does.
        ready: number of workers that work or wait for a job.
        lost: number of workers that were lost.
        retries: number of jobs that were given to another worker.
    """

    waiting_for: str = ""
    ready: int = 0
    lost: int = 0
    retries: int = 0


OnStatus = Callable[[WorkerStatus], None]
