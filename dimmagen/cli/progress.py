"""The progress of a run that makes pairs: shards, pairs, pairs a second, time left."""

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class PairProgress:
    """A progress bar on a terminal, silence elsewhere; counts either way.

    Attributes:
        made: pairs made by this run, without those that were there already.
    """

    def __init__(self, console: Console) -> None:
        self.made = 0
        self._began = time.perf_counter()
        self._shards = self._done_shards = 0
        self._bar = Progress(
            TextColumn("shards {task.fields[shards]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("pairs  {task.fields[rate]:.1f} pairs/s"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None, shards="", rate=0.0)

    def __enter__(self) -> "PairProgress":
        self._bar.start()
        return self

    def __exit__(self, *_) -> None:
        self._bar.stop()

    @property
    def rate(self) -> float:
        """Pairs a second, made by this run since it began."""
        return self.made / max(time.perf_counter() - self._began, 1e-9)

    def begin(self, shards: int, pairs: int, done_shards: int, done_pairs: int) -> None:
        self._began = time.perf_counter()
        self._shards, self._done_shards = shards, done_shards
        self._bar.update(self._task, total=pairs, completed=done_pairs, shards=self._of_shards())

    def pairs(self, count: int) -> None:
        self.made += count
        self._bar.update(self._task, advance=count, rate=self.rate)

    def shard(self) -> None:
        self._done_shards += 1
        self._bar.update(self._task, shards=self._of_shards())

    def _of_shards(self) -> str:
        return f"{self._done_shards}/{self._shards}"
