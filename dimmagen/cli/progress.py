"""Progress of commands: a bar on a terminal, and a line every half minute elsewhere and in a log file.

Both say what a command waits for before its first step, and estimate from the work alone: the time before the
first step is in no rate.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import rich.progress
from rich.progress import BarColumn, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from dimmagen.cli.console import Console
from dimmagen.cli.humanize import duration
from dimmagen.cli.output import SHOWN, echo, echo_next, settings
from dimmagen.cli.signals import raise_if_stopped
from dimmagen.core import storage
from dimmagen.core.executors.base import WorkerStatus
from dimmagen.core.text import pluralize, shell_word
from dimmagen.dataset.manifest import Manifest

LINE_SECONDS = 30.0
_LOG = logging.getLogger("dimmagen.progress")
_BAR_WIDTH = 10  # columns; with the longest texts the line has 80
_SMOOTHING = 0.95
Made = TypeVar("Made")
_FIRST_PAIR = "the first pair; kernels are compiled once"


@dataclass(frozen=True, slots=True)
class Pace:
    """How far a task is and how fast it goes.

    Attributes:
        done, total: steps; total None if it is not known.
        per_second: steps in a second since the first one, None before there is a second one.
        seconds_left: None if it is not known.
    """

    done: float
    total: float | None
    per_second: float | None
    seconds_left: float | None

    @classmethod
    def of(cls, task: Task, now: float) -> "Pace":
        """The pace of a task at a time of the monotonic clock, in seconds."""
        began: tuple[float, float] | None = task.fields.get("began")
        now = task.fields.get("last", now) if task.finished else now
        made = task.completed - began[1] if began else 0
        if not began or made <= 0 or now <= began[0]:
            return cls(task.completed, task.total, None, None)
        rate = made / (now - began[0])
        left = None if task.total is None else max(0.0, task.total - task.completed) / rate
        return cls(task.completed, task.total, rate, left)

    def text(self, unit: str) -> str:
        """Such as `120/500 pairs, 33.1 pairs/s, 12 s left`; without a unit, the share that is done."""
        if self.total is None:
            return ""
        if unit == "%":
            share = self.done / self.total if self.total else 1.0
            parts = [f"{100 * share:.0f} %"]
        else:
            parts = [f"{self.done:.0f}/{self.total:.0f}{f' {unit}' if unit else ''}"]
            if self.per_second:
                parts.append(_rate(self.per_second, unit))
        if self.seconds_left:
            left = self.seconds_left
            parts.append(f"{duration(left) if left >= 120 else f'{max(1, round(left))} s'} left")
        return ", ".join(parts)


def _rate(per_second: float, unit: str) -> str:
    """Such as `33.1 pairs/s`; for what takes long, the time for one of them."""
    if per_second < 0.095:
        return f"{duration(1 / per_second)} each"
    return f"{per_second:.{0 if per_second >= 100 else 1}f}{f' {unit}' if unit else ''}/s"


class _StateColumn(ProgressColumn):
    """What a task waits for, or how far it is."""

    def render(self, task: Task) -> Text:
        return Text(_state(task))


def _state(task: Task) -> str:
    if task.fields.get("waiting"):
        return f"waiting for {task.fields['waiting']}"
    more = task.fields.get("more", "")
    text = Pace.of(task, time.monotonic()).text(task.fields.get("unit", ""))
    return f"{text}, {more}" if text and more else text or more


class Progress(rich.progress.Progress):
    """rich's, with bars that fit into 80 columns, and lines where there is no terminal.

    A task may have these fields: `unit` of its steps (`%` shows the share alone), what it is `waiting` for,
    `more` to show behind its pace, and `details` for logs in JSON.
    """

    def __init__(self, *, console: Console, transient: bool = False) -> None:
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(bar_width=_BAR_WIDTH),
            _StateColumn(Column(no_wrap=True, overflow="ellipsis")),
            console=console,
            transient=transient,
            disable=not console.is_terminal or settings().quiet,
        )
        self._ended = threading.Event()
        self._telling: threading.Thread | None = None

    def start(self) -> None:
        super().start()
        self._ended.clear()
        self._telling = threading.Thread(target=self._tell_regularly, daemon=True)
        self._telling.start()

    def stop(self) -> None:
        self._ended.set()
        super().stop()
        if self._telling is not None:
            self._telling.join()  # its last line comes before what follows

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """A number of further steps; the first ones start the clock of the pace."""
        super().advance(task_id, advance)
        self._start_clock(task_id)

    def update(self, task_id: TaskID, **values: Any) -> None:
        """As rich's."""
        super().update(task_id, **values)
        if values.get("advance") or values.get("completed"):
            self._start_clock(task_id)

    def show_workers(self, task_id: TaskID, status: WorkerStatus, waiting_for: str = "") -> None:
        """Show what the workers of a task do; lost ones and repeated jobs once there are any.

        Args:
            task_id: the task.
            status: of its workers.
            waiting_for: what is waited for if the workers themselves wait for nothing.
        """
        more = f"{status.lost} lost" if status.lost else ""
        details = {"workers": status.ready, "lost_workers": status.lost, "retries": status.retries}
        self.update(task_id, waiting=status.waiting_for or waiting_for, more=more, details=details)

    def tell(self) -> None:
        """Log a line for each task that is not finished; it is shown if there is no bar."""
        for task in self.tasks:
            pace = Pace.of(task, time.monotonic())
            if task.finished or not task.visible or not (text := _state(task)):
                continue
            fields = {
                "event": "progress",
                "task": task.description,
                "done": pace.done,
                "total": pace.total,
                "per_second": pace.per_second,
                "seconds_left": pace.seconds_left,
                "waiting_for": task.fields.get("waiting") or None,
                **task.fields.get("details", {}),
            }
            for plural, noun in (("workers", "worker"), ("retries", "retry")):
                if count := fields.get(plural):
                    text += f", {pluralize(count, noun, plural)}"
            _LOG.info("%s: %s", task.description, text, extra={"fields": fields, SHOWN: not self.disable})

    def _tell_regularly(self) -> None:
        while not self._ended.wait(LINE_SECONDS):
            self.tell()

    def _start_clock(self, task_id: TaskID) -> None:
        with self._lock:
            task, now = self._tasks[task_id], time.monotonic()
            task.fields.setdefault("began", (now, task.completed))
            task.fields["last"] = now


@dataclass(frozen=True, slots=True)
class Steps:
    """One task of a bar: called after each step, or after several."""

    bar: Progress
    task: TaskID

    def begin(self, total: int) -> None:
        """Say how many steps there are."""
        self.bar.update(self.task, total=total)

    def __call__(self, count: int = 1) -> None:
        self.bar.advance(self.task, count)

    def workers(self, status: WorkerStatus) -> None:
        """Show what the workers do."""
        self.bar.show_workers(self.task, status)


@contextmanager
def steps_bar(what: str, total: int | None = None) -> Iterator[Steps]:
    """Show a progress bar on a terminal and lines elsewhere, and nothing of them at the end.

    Args:
        what: is done, such as "scanning photos".
        total: number of steps; None until :meth:`Steps.begin` says it.
    """
    with Progress(console=Console(stderr=True), transient=True) as bar:
        yield Steps(bar, bar.add_task(what, total=total))


class PairProgress:
    """Shards, pairs, pairs/s, the time left, and the workers of a run.

    It implements :class:`dimmagen.generate.run.GenerateProgress`.
    """

    def __init__(self, console: Console) -> None:
        self._bar = Progress(console=console)
        self._task = self._bar.add_task("", total=1, unit="pairs", visible=False)
        self._shards = self._all_shards = 0
        self._start = time.monotonic()
        self.done_before = 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begin(self, shards: int, pairs: int, done_shards: int, done_pairs: int) -> None:
        self._shards, self._all_shards, self.done_before = done_shards, shards, done_pairs
        self._start = time.monotonic()
        self._bar.reset(self._task, total=pairs, completed=int(done_pairs), visible=True)
        self._bar.update(self._task, description=self._text())

    def workers(self, status: WorkerStatus) -> None:
        """Show what the workers do, and that the first pair may take long."""
        self._bar.show_workers(self._task, status, "" if self._has_made_pairs else _FIRST_PAIR)

    def pairs(self, count: int) -> None:
        raise_if_stopped()
        self._bar.update(self._task, advance=count, waiting="")

    def shard(self) -> None:
        self._shards += 1
        self._bar.update(self._task, description=self._text())

    @property
    def seconds(self) -> float:
        """Seconds since the work began, including the start of the workers; more than 0."""
        return max(time.monotonic() - self._start, 1e-6)

    @property
    def pairs_per_second(self) -> float:
        """Of the work alone, without the start of the workers, where there were pairs enough."""
        task = self._bar.tasks[0]
        rate = Pace.of(task, time.monotonic()).per_second
        return rate or (task.completed - self.done_before) / self.seconds

    @property
    def _has_made_pairs(self) -> bool:
        return "began" in self._bar.tasks[0].fields

    def _text(self) -> str:
        return f"{self._shards}/{self._all_shards} shards"


class TrainingProgress:
    """A progress bar on a terminal, and one line per validation and every half minute elsewhere.

    Args:
        console: where it is shown.
        waiting_for: what the first iteration waits for.
        workers: number of processes that train together.
    """

    def __init__(self, console: Console, waiting_for: str = "the data", workers: int = 1) -> None:
        self._console = console
        self._workers = {"workers": workers} if workers > 1 else {}
        self._iteration = self._total = 0
        self._loss: float | None = None
        self._psnr = ""
        self._bar = Progress(console=console, transient=True)
        self._task = self._bar.add_task("training", total=None, waiting=waiting_for, details=self._workers)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
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
        if "psnr" in values:
            self._psnr = f"{values['psnr']:.2f} dB"
        more = f"loss {self._loss:.4f}" + (f", {self._psnr}" if self._psnr else "")
        details = {**self._workers, "iteration": self._iteration, **values}
        self._bar.update(self._task, advance=1, more=more, details=details, waiting="")
        if "psnr" in values and not self._console.is_terminal:
            text = f"iteration {self._iteration}/{self._total}: loss {self._loss:.4f}, PSNR {self._psnr}"
            echo(text, err=True, fields=details)


def copied_with_bar(make: Callable[..., Made]) -> Made:
    """Run a function that copies pairs, with a progress bar."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("copying pairs", total=None)
        return make(lambda pairs: bar.update(task, total=pairs), lambda: bar.advance(task))


def print_copied(manifest: Manifest, out: str, of: str) -> None:
    """Print the counts of a data set made from others, and the next command."""
    counts = manifest.counts
    echo(
        f"{out} is complete: {counts.pairs}{of} pairs, {pluralize(counts.lights, 'photo')}, "
        f"{pluralize(counts.shards, 'shard')}."
    )
    echo_next(f"dimmagen verify {shell_word(out if storage.is_url(out) else Path(out))}")
