"""What the command line does with messages, and with its own process: a library leaves both to its user."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import NoReturn

from dimmagen.cli.command import message
from dimmagen.cli.output import echo
from dimmagen.core.errors import DimmagenError


class _ToStderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        echo(self.format(record), err=True)


@contextmanager
def messages_on_stderr() -> Iterator[None]:
    """What the package logs inside the block is shown, a line a message."""
    logger, handler = logging.getLogger("dimmagen"), _ToStderr()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


@contextmanager
def results_alone_on_stdout() -> Iterator[None]:
    """Around what uses Ray, which prints the loss of a node on the standard output: that is for results."""
    with redirect_stdout(sys.stderr):
        yield


def end_lost_run(error: DimmagenError) -> None:
    """End this process from a thread, where the run waits for a cluster that is lost."""
    echo(f"Error: {message(error)}", err=True)
    end_at_once(error.exit_code)


def end_at_once(code: int) -> NoReturn:
    """End this process without waiting for its threads."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
