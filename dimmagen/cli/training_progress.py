"""The progress of training: iterations, loss, PSNR, time left."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_SMOOTHING = 0.95


class TrainingProgress:
    """A progress bar on a terminal, a line per validation elsewhere."""

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
            self._console.print(f"going on after iteration {done}", highlight=False)

    def iteration(self, values: dict[str, float]) -> None:
        """`values` holds `loss`, and `psnr` where it was just measured."""
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
