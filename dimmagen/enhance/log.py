"""The log of a run: a CSV row per iteration, and TensorBoard's files where they are asked for."""

import importlib
from collections.abc import Mapping
from typing import Any

from dimmagen.core.errors import UsageError
from dimmagen.enhance.checkpoints import COLUMNS, LOG, RunFolder


class Log:
    """Writes rows behind those up to `iteration` that are there already.

    Raises:
        UsageError: TensorBoard is asked for and not installed.
    """

    def __init__(self, run: RunFolder, iteration: int, tensorboard: bool = False) -> None:
        self._board = None
        if tensorboard:
            self._board = summary_writer_class()(run.path / "tensorboard", purge_step=iteration + 1)
        run.begin_log(iteration)
        # Closed by __exit__; the lines end alike on every system.
        self._file = open(run.path / LOG, "a", encoding="ascii", newline="\n")  # noqa: SIM115

    def row(self, values: Mapping[str, float]) -> None:
        """One iteration; values that were not measured stay empty."""
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
    """TensorBoard's writer. Raises UsageError where it is not installed."""
    try:
        return importlib.import_module("torch.utils.tensorboard").SummaryWriter
    except ImportError:
        raise UsageError("`tensorboard` needs the package of that name", "pip install tensorboard") from None
