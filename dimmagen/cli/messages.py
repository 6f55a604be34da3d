"""What the command line does with messages, and with its own process: a library leaves both to its user."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import NoReturn

from dimmagen.cli.output import report_error
from dimmagen.cli.wording import error_fields, message
from dimmagen.core.errors import DimmagenError


@contextmanager
def results_alone_on_stdout() -> Iterator[None]:
    """Around what uses Ray, which prints the loss of a node on the standard output: that is for results."""
    with redirect_stdout(sys.stderr):
        yield


def end_lost_run(error: DimmagenError) -> None:
    """End this process from a thread, where the run waits for a cluster that is lost."""
    report_error(f"{message(error)}", error_fields(error), error.exit_code)
    end_at_once(error.exit_code)


def end_at_once(code: int) -> NoReturn:
    """End this process without waiting for its threads."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
