"""Progress of commands on a terminal; elsewhere a summary line at the end is enough."""

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dimmagen.cli.console import Console
from dimmagen.cli.humanize import pluralize
from dimmagen.cli.output import echo
from dimmagen.cli.signals import raise_if_stopped
from dimmagen.core import storage
from dimmagen.dataset.manifest import Manifest

_SMOOTHING = 0.95
Made = TypeVar("Made")


class PairProgress:
    """A progress bar with shards, pairs, pairs/s and the time left.

    It implements :class:`dimmagen.generate.run.GenerateProgress`.
    """

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
        raise_if_stopped()
        self._made += count
        self._bar.update(self._task, advance=count, rate=f"{self._made / self.seconds:.1f} pairs/s")

    def shard(self) -> None:
        self._shards += 1
        self._bar.update(self._task, shards=self._text())

    @property
    def seconds(self) -> float:
        """Seconds since the work began, including the start of the workers; more than 0."""
        return max(time.monotonic() - self._start, 1e-6)

    def _text(self) -> str:
        return f"{self._shards}/{self._all_shards} shards"


class TrainingProgress:
    """A progress bar on a terminal, and one line per validation elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._iteration = self._total = 0
        self._loss: float | None = None
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}  PSNR {task.fields[psnr]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None, loss="-", psnr="-")

    def __enter__(self) -> "TrainingProgress":
        self._bar.start()
        return self

    def __exit__(self, *_) -> None:
        self._bar.stop()

    def begin(self, done: int, total: int) -> None:
        self._iteration, self._total = done, total
        self._bar.reset(self._task, total=total, completed=done)
        if 0 < done < total:
            self._console.print(f"resuming after iteration {done}", highlight=False)

    def iteration(self, values: dict[str, float]) -> None:
        """Show one iteration; `values` has `loss`, and `psnr` after a validation."""
        raise_if_stopped()
        self._iteration += 1
        before = values["loss"] if self._loss is None else self._loss
        self._loss = _SMOOTHING * before + (1 - _SMOOTHING) * values["loss"]
        self._bar.update(self._task, advance=1, loss=f"{self._loss:.4f}")
        if "psnr" in values:
            psnr = f"{values['psnr']:.2f} dB"
            self._bar.update(self._task, psnr=psnr)
            if not self._console.is_terminal:
                where = f"iteration {self._iteration}/{self._total}"
                self._console.print(f"{where}: loss {self._loss:.4f}, PSNR {psnr}", highlight=False)


def copied_with_bar(make: Callable[..., Made]) -> Made:
    """Run a function that copies pairs, with a progress bar."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("copying pairs", total=None)
        return make(lambda pairs: bar.update(task, total=pairs), lambda: bar.advance(task))


def print_copied(manifest: Manifest, out: str, of: str) -> None:
    """Print the counts of a data set made from others, and the next command."""
    counts = manifest.counts
    echo(
        f"{out} is complete: {counts.pairs}{of} pairs, {pluralize(counts.lights, 'photo')}, "
        f"{pluralize(counts.shards, 'shard')}.\n"
        f"Next: dimmagen verify {out if storage.is_url(out) else Path(out)}"
    )
