"""The progress of a run that other processes do, by the log that they write."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dimmagen.enhance.loop import TrainProgress
from dimmagen.enhance.run_folder import COLUMNS, RunFolder

_SECONDS = 1.0  # between two looks at the log


@contextmanager
def log_followed(out: Path, total: int, progress: TrainProgress, seconds: float = _SECONDS) -> Iterator[None]:
    """Notify of the iterations that are logged while the block runs.

    Args:
        out: folder of the run.
        total: number of iterations of the whole run.
        progress: notified from another thread, and before the block ends of all iterations of it.
        seconds: between two looks at the log.
    """
    follower = _Follower(out, total, progress)
    ended = threading.Event()

    def follow() -> None:
        while not ended.wait(seconds):
            follower.look()

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    follower.look()


class _Follower:
    """Which rows of a run's log were reported, and which were not."""

    def __init__(self, out: Path, total: int, progress: TrainProgress) -> None:
        self._run = RunFolder(out)
        self._total = total
        self._progress = progress
        self._is_begun = False
        self._done = 0
        self._before = self._run.log_rows()

    def look(self) -> None:
        """Report what is new. A log that was not touched yet may have rows that the run makes again."""
        rows = self._run.log_rows()
        if not self._is_begun:
            if rows == self._before:
                return
            self._begin(rows)
        for row in rows:
            values = dict(zip(COLUMNS, row.strip().split(","), strict=False))
            if int(values["iteration"]) > self._done:
                self._done = int(values["iteration"])
                numbers = {name: float(value) for name, value in values.items() if value}
                self._progress.iteration({**numbers, "iteration": self._done})

    def _begin(self, rows: list[str]) -> None:
        """Rows that were there before and still are were kept by the run that continues behind them."""
        self._is_begun = True
        kept = [old for old, new in zip(self._before, rows, strict=False) if old == new]
        self._done = int(kept[-1].split(",", 1)[0]) if kept else 0
        self._progress.begin(self._done, self._total)
