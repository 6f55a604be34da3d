"""Progress of pairs on a terminal; silent elsewhere, where one summary line at the end is enough."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class PairProgress:
    """A bar with shards, pairs, pairs/s and the time left (a `dimmagen.jobs.dataset.Progress`)."""

    def __init__(self, console: Console) -> None:
        self._bar = Progress(
            TextColumn("{task.fields[shards]}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} pairs"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=1, shards="", rate="", visible=False)
        self._shards = self._all_shards = 0
        self._start = time.monotonic()
        self.made = 0
        self.seconds = 0.0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def begin(self, shards: int, pairs: int, done_shards: int, done_pairs: int) -> None:
        self._shards, self._all_shards = done_shards, shards
        self._start = time.monotonic()
        self._bar.update(self._task, total=pairs, completed=done_pairs, shards=self._text(), visible=True)

    def pairs(self, count: int) -> None:
        self.made += count
        self.seconds = time.monotonic() - self._start
        self._bar.update(self._task, advance=count, rate=f"{self.rate:.1f} pairs/s")

    def shard(self) -> None:
        self._shards += 1
        self._bar.update(self._task, shards=self._text())

    @property
    def rate(self) -> float:
        """Pairs per second of this run, start of the workers included."""
        return self.made / self.seconds if self.seconds else 0.0

    def _text(self) -> str:
        return f"{self._shards}/{self._all_shards} shards"
