"""The log of a run: one CSV row per iteration and, if requested, TensorBoard's files."""

import importlib
from collections.abc import Mapping
from typing import Any

from dimmagen.core.errors import UsageError
from dimmagen.enhance.checkpoints import COLUMNS, LOG, RunFolder


class Log:
    """Writes the log; use it as a context manager.

    Args:
        run: whose folder holds the log.
        iteration: rows up to this one are kept, and new rows follow them.
        tensorboard: write TensorBoard's files as well.

    Raises:
        UsageError: TensorBoard is requested but not installed.
    """

    def __init__(self, run: RunFolder, iteration: int, tensorboard: bool = False) -> None:
        self._board = None
        if tensorboard:
            self._board = summary_writer_class()(run.path / "tensorboard", purge_step=iteration + 1)
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
        if self._board is not None:
            for name in values.keys() - {"iteration"}:
                self._board.add_scalar(name, values[name], int(values["iteration"]))

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()


def summary_writer_class() -> Any:
    """TensorBoard's `SummaryWriter`.

    Raises:
        UsageError: TensorBoard is not installed.
    """
    try:
        return importlib.import_module("torch.utils.tensorboard").SummaryWriter
    except ImportError:
        raise UsageError(
            "`tensorboard` needs the package tensorboard",
            "pip install tensorboard",
            code="missing-package",
            package="tensorboard",
        ) from None
