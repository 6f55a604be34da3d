"""The jobs and the workers of a Ray pool, as the process that assigns them sees them."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any


@dataclass(slots=True, eq=False)
class Task:
    """An unfinished job: how often its worker was lost, and the number of its pairs that were reported."""

    job: Any
    deaths: int = 0
    pairs: int = 0


@dataclass(slots=True, eq=False)
class PoolWorker:
    """One actor and what it does.

    Attributes:
        place: name of its node once it is scheduled.
        node, process: Ray's id of the node, and the process on it.
        unit: what it makes, for messages.
        task: that it works on.
        is_idle: whether it waits for a task.
        silence: seconds since it last made a pair, began something or ended it, in which this process ran.
        is_told: whether it was reported as silent since then.
        is_polled: whether a request for its progress is pending.
    """

    actor: Any
    place: str = ""
    node: str = ""
    process: int = 0
    unit: str = "pair"
    task: Task | None = None
    is_idle: bool = False
    silence: float = 0.0
    is_told: bool = False
    is_polled: bool = False

    def move(self) -> None:
        self.silence, self.is_told = 0.0, False

    def work(self) -> str:
        """What it works on, for messages."""
        if self.task is None:
            return "it has not started yet"
        return f"it works on {self.task.job.name}, after {self.task.pairs} {self.unit}s of it"


class TaskQueue:
    """New jobs in order, preceded by those whose worker was lost."""

    def __init__(self, jobs: Iterable) -> None:
        self._new = map(Task, jobs)
        self._waiting: deque[Task] = deque()

    def waiting(self, limit: int) -> int:
        """Number of waiting jobs, up to a limit; at most that many are taken from the iterator."""
        self._waiting.extend(islice(self._new, max(0, limit - len(self._waiting))))
        return min(limit, len(self._waiting))

    def take(self) -> Task:
        return self._waiting.popleft()

    def put_back(self, task: Task) -> None:
        self._waiting.appendleft(task)
