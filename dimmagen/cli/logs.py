"""Where messages of the package go: to standard error, and to a file that the user names."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from dimmagen.cli import output
from dimmagen.cli.output import SHOWN, json_line, settings, show_record
from dimmagen.cli.wording import worded
from dimmagen.core.errors import UsageError
from dimmagen.core.text import printable

_PACKAGE = logging.getLogger("dimmagen")
_is_open = False  # inside a session


class _ToStderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if not getattr(record, SHOWN, False):
            show_record(worded(record))


class _ToFile(logging.FileHandler):
    """Appends to a file; if that fails, the run continues, and a message says so once."""

    has_failed = False

    def format(self, record: logging.LogRecord) -> str:
        record = worded(record)
        if settings().log_format == "json":
            return json_line(record)
        time = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = printable(record.getMessage()).replace("\n", "\n    ")
        return f"{time} {record.levelname.lower()} {record.name}: {text}"

    def handleError(self, record: logging.LogRecord) -> None:
        if not self.has_failed:
            self.has_failed = True
            error = sys.exc_info()[1]
            text = f"The log file {self.baseFilename} cannot be written ({error})."
            output.echo(text, err=True, level=logging.WARNING)


@contextmanager
def session() -> Iterator[None]:
    """Around a command: what its options change in printing and logging is restored after it.

    If it fails, that is done by the outermost session, inside which the error is reported.
    """
    global _is_open
    is_outermost, _is_open = not _is_open, True
    before, level, handlers = output.settings(), _PACKAGE.level, list(_PACKAGE.handlers)
    has_failed = True
    try:
        yield
        has_failed = False
    finally:
        if is_outermost or not has_failed:
            output.restore_settings(before)
            _close_all_but(handlers)
            _PACKAGE.setLevel(level)
        _is_open = not is_outermost


def _close_all_but(handlers: list[logging.Handler]) -> None:
    for handler in [one for one in _PACKAGE.handlers if one not in handlers]:
        _PACKAGE.removeHandler(handler)
        handler.close()


@contextmanager
def messages_on_stderr() -> Iterator[None]:
    """A session in which what the package logs is shown, a line a message."""
    with session():
        _PACKAGE.addHandler(_ToStderr())
        _PACKAGE.setLevel(logging.INFO)
        yield


def open_log(path: str) -> None:
    """Append all messages to a file as well, until the command ends.

    Raises:
        UsageError: the file cannot be opened.
    """
    from dimmagen.core import storage  # --help waits for no fsspec
    from dimmagen.core.outputs import refuse_inside_a_set

    place = storage.local_path(path)
    if place is None:
        raise UsageError(
            f"{path} is a URL", "give --log-file a local or mounted path", code="usage", path=path
        )
    refuse_inside_a_set(place)
    try:
        handler = _ToFile(place, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written ({error.strerror})",
            "check --log-file",
            code="missing-path",
            path=path,
        ) from error
    _PACKAGE.addHandler(handler)
    _PACKAGE.setLevel(min(logging.INFO, _PACKAGE.getEffectiveLevel()))


def show_details() -> None:
    """Let messages of the level DEBUG pass, until the command ends."""
    _PACKAGE.setLevel(logging.DEBUG)
