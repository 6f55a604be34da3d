"""Executors: run jobs in this process or on Ray actors. They are independent of what a job does.

Both take a function that builds a worker, and call the worker once per job. Only jobs and records are
transferred: no pixels enter the object store of Ray.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

Job = TypeVar("Job", contravariant=True)
Record = TypeVar("Record", covariant=True)


class Worker(Protocol[Job, Record]):
    def __call__(self, job: Job, on_pair: Callable[[], None], /) -> Record: ...
