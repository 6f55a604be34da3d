"""The log of a run: one CSV row per iteration, strips of validation images, and the loggers asked for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from types import TracebackType

import numpy as np

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, fault_of
from dimmagen.enhance.loggers import LOGGERS, RunLogger
from dimmagen.enhance.run_folder import COLUMNS, LOG, STRIPS, RunFolder
from dimmagen.images import codec


class Log:
    """Writes the log; use it as a context manager.

    Args:
        run: whose folder holds the log.
        iteration: rows up to this one are kept, and new rows follow them.
        loggers: names in :data:`~dimmagen.enhance.loggers.LOGGERS` that get everything as well.

    Raises:
        UsageError: the package of a logger is not installed.
        DimmagenError: the log cannot be written, or a logger fails; so do the methods.
    """

    def __init__(self, run: RunFolder, iteration: int, loggers: Sequence[str] = ()) -> None:
        self._folder = run.path
        settings = run.settings() or {}
        self._loggers: dict[str, RunLogger] = {}
        with ExitStack() as opened:
            for name in loggers:
                with _failures_of(name):
                    self._loggers[name] = LOGGERS[name](run.path, iteration, settings)
                opened.push(partial(_end, self._loggers[name].close, _failures_of(name)))
            run.begin_log(iteration)
            # With the same line ends on every system.
            self._file = open(run.path / LOG, "a", encoding="ascii", newline="\n")  # noqa: SIM115
            opened.push(partial(_end, self._file.close, storage.writing_errors(run.path / LOG)))
            self._opened = opened.pop_all()

    def row(self, values: Mapping[str, float]) -> None:
        """Write the row of one iteration.

        Args:
            values: by name of the column; the cells of others stay empty.
        """
        cells = (f"{values[name]:.9g}" if name in values else "" for name in COLUMNS)
        with storage.writing_errors(self._folder / LOG):
            self._file.write(",".join(cells) + "\n")
            self._file.flush()
        rest = {name: value for name, value in values.items() if name != "iteration"}
        self._tell(lambda logger: logger.row(int(values["iteration"]), rest))

    def image(self, iteration: int, image: np.ndarray) -> None:
        """Write the strip of validation images of an iteration, uint8 (H, W, 3)."""
        storage.atomic_write(self._folder / STRIPS / f"{iteration}.png", codec.encode_png(image))
        self._tell(lambda logger: logger.image(iteration, image))

    def _tell(self, what: Callable[[RunLogger], None]) -> None:
        for name, logger in self._loggers.items():
            with _failures_of(name):
                what(logger)

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *error) -> None:
        self._opened.__exit__(*error)


@contextmanager
def _failures_of(logger: str) -> Iterator[None]:
    """Name the logger in whatever its package raises: a disk, a server or an account that fails."""
    try:
        yield
    except DimmagenError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) if isinstance(error, OSError) else fault_of(error)
        cause = "the packages that it needs" if isinstance(error, ImportError) else "its disk or its server"
        raise DimmagenError(
            f"the logger {logger} failed ({reason})",
            f"see to {cause} and run the same command again, or leave the logger out",
            code="failed",
            name=logger,
        ) from error


def _end(
    close: Callable[[], None],
    failures: AbstractContextManager[None],
    kind: type[BaseException] | None,
    error: BaseException | None,
    trace: TracebackType | None,
) -> None:
    """Close a part of the log; if that fails as well, the error that ends the run counts."""
    try:
        with failures:
            close()
    except DimmagenError:
        if error is None:
            raise
