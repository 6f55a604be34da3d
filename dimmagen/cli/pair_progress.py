"""Progress of pairs on a terminal; silent elsewhere, where one summary line at the end is enough."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class PairProgress:
    """A bar with shards, pairs, pairs/s and the time left (a `dimmagen.generate.run.GenerateProgress`)."""

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
        self.done_before = 0
        self._made = 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def begin(self, shards: int, pairs: int, done_shards: int, done_pairs: int) -> None:
        self._shards, self._all_shards, self.done_before = done_shards, shards, done_pairs
        self._start = time.monotonic()
        self._bar.update(self._task, total=pairs, completed=done_pairs, shards=self._text(), visible=True)

    def pairs(self, count: int) -> None:
        self._made += count
        self._bar.update(self._task, advance=count, rate=f"{self._made / self.seconds:.1f} pairs/s")

    def shard(self) -> None:
        self._shards += 1
        self._bar.update(self._task, shards=self._text())

    @property
    def seconds(self) -> float:
        """Since the work began, the start of the workers included."""
        return time.monotonic() - self._start

    def _text(self) -> str:
        return f"{self._shards}/{self._all_shards} shards"
