"""The log of a run: one CSV row per iteration, strips of validation images, and the loggers asked for."""

from collections.abc import Mapping, Sequence

import numpy as np

from dimmagen.core import storage
from dimmagen.enhance.loggers import LOGGERS, RunLogger
from dimmagen.enhance.run_folder import COLUMNS, LOG, PICTURES, RunFolder
from dimmagen.images import codec


class Log:
    """Writes the log; use it as a context manager.

    Args:
        run: whose folder holds the log.
        iteration: rows up to this one are kept, and new rows follow them.
        loggers: names in :data:`~dimmagen.enhance.loggers.LOGGERS` that get everything as well.

    Raises:
        UsageError: the package of a logger is not installed.
    """

    def __init__(self, run: RunFolder, iteration: int, loggers: Sequence[str] = ()) -> None:
        self._folder = run.path
        settings = run.settings() or {}
        self._loggers: list[RunLogger] = [LOGGERS[name](run.path, iteration, settings) for name in loggers]
        run.begin_log(iteration)
        # Closed by __exit__; with the same line ends on every system.
        self._file = open(run.path / LOG, "a", encoding="ascii", newline="\n")  # noqa: SIM115

    def row(self, values: Mapping[str, float]) -> None:
        """Write the row of one iteration.

        Args:
            values: by name of the column; the cells of others stay empty.
        """
        cells = (f"{values[name]:.9g}" if name in values else "" for name in COLUMNS)
        self._file.write(",".join(cells) + "\n")
        self._file.flush()
        rest = {name: value for name, value in values.items() if name != "iteration"}
        for logger in self._loggers:
            logger.row(int(values["iteration"]), rest)

    def picture(self, iteration: int, image: np.ndarray) -> None:
        """Write the strip of validation images of an iteration, uint8 (H, W, 3)."""
        storage.atomic_write(self._folder / PICTURES / f"{iteration}.png", codec.encode_png(image))
        for logger in self._loggers:
            logger.picture(iteration, image)

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_) -> None:
        self._file.close()
        for logger in self._loggers:
            logger.close()
