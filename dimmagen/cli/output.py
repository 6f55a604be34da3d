"""What commands print: results on standard output, messages about the work on standard error.

Everything goes through :func:`echo`, :func:`report` and :class:`~dimmagen.cli.console.Console`, so that the
options of every command (`--json`, `--quiet`, `--log-file`, `--log-format`) hold for all of it, and what
strangers wrote into names and settings reaches no terminal as it is.
"""

import json
import logging
import shutil
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import click

from dimmagen.core.text import printable

LogFormat = Literal["text", "json"]
LOGGER = logging.getLogger("dimmagen.cli")
# Of log records: already shown, or not for standard error because there is a bar or a quiet run.
SHOWN = "is_shown"
_LAST_COLUMN = 1  # a terminal may wrap when its last column is written


@dataclass(frozen=True, slots=True)
class OutputSettings:
    """How a command prints.

    Attributes:
        as_json: the result is one JSON document, alone on standard output.
        quiet: only results, warnings and errors.
        verbose: details as well.
        log_format: of messages on standard error and in the log file.
    """

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False
    log_format: LogFormat = "text"


_settings = OutputSettings()


def settings() -> OutputSettings:
    """How the present command prints."""
    return _settings


def configure(**changes: Any) -> None:
    """Change how the present command prints, until its session (:mod:`dimmagen.cli.logs`) ends."""
    restore_settings(replace(_settings, **changes))


def restore_settings(before: OutputSettings) -> None:
    """Print as before again."""
    global _settings
    _settings = before


def echo(
    text: str,
    *,
    err: bool = False,
    nl: bool = True,
    bold: bool = False,
    level: int = logging.INFO,
    fields: Mapping[str, Any] | None = None,
) -> None:
    """Print a text, with its control characters escaped.

    Args:
        text: may have several lines.
        err: a message about the work, to standard error; otherwise a result, which `--json` replaces.
        nl: end the line.
        bold: on a terminal.
        level: of a message; below a warning, it is not shown by a quiet command.
        fields: values of a message, for logs in JSON.
    """
    extra = {SHOWN: True, "fields": fields or {}}
    if err:
        show_record(LOGGER.makeRecord(LOGGER.name, level, "", 0, text, (), None, extra=extra), nl)
    elif not _settings.as_json:
        text = fitting(printable(text))
        click.echo(click.style(text, bold=True) if bold else text, nl=nl)
    LOGGER.log(level, "%s", text.rstrip("\n"), extra=extra)


def echo_next(*commands: str) -> None:
    """Print which commands come next, which a quiet command does not."""
    if not _settings.quiet:
        echo("Next: " + "\n      ".join(commands))


def show_record(record: logging.LogRecord, nl: bool = True) -> None:
    """Print a log record on standard error, if it is important enough for the present settings."""
    if _settings.quiet and record.levelno < logging.WARNING:
        return
    is_json = _settings.log_format == "json"
    text = json_line(record) if is_json else fitting(printable(record.getMessage()), err=True)
    if hasattr(sys.stderr, "rich_proxied_file"):  # there is a bar, and click would write behind it
        sys.stderr.write(f"{text}\n")
    else:
        click.echo(text, err=True, nl=nl or is_json)


def json_line(record: logging.LogRecord) -> str:
    """A log record as one line of JSON: time (UTC), level, logger, message, and the fields it was given."""
    from datetime import UTC, datetime

    values = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": record.getMessage().rstrip("\n"),
        **getattr(record, "fields", {}),
    }
    return json.dumps(values, default=str)


def report(result: Mapping[str, Any]) -> None:
    """Print the result of a command for programs, if they asked for it with `--json`."""
    if _settings.as_json:
        click.echo(json.dumps(result, indent=1, default=str))


def report_error(text: str, fields: Mapping[str, Any], exit_code: int, heading: str = "Error: ") -> None:
    """Print why a command failed: for people on standard error, and with `--json` on standard output as well.

    Args:
        text: for people.
        fields: for programs: `code`, `message`, `hint` and others.
        exit_code: of the command.
        heading: what the text for people begins with.
    """
    error = {**fields, "exit_code": exit_code}
    echo(f"{heading}{text}", err=True, level=logging.ERROR, fields={"error": error})
    report({"error": error})


def fitting(text: str, *, err: bool = False) -> str:
    """Text whose lines fit a terminal; where there is none, lines are whole, for programs that read them.

    Indented lines and commands (`Next: ...`) stay whole: people copy them.
    """
    stream = sys.stderr if err else sys.stdout
    if not stream.isatty():
        return text
    width = shutil.get_terminal_size().columns - _LAST_COLUMN
    return "\n".join(_wrapped(line, width) for line in text.split("\n"))


def _wrapped(line: str, width: int) -> str:
    if len(line) <= width or line.startswith((" ", "Next: ")):
        return line
    return textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False, drop_whitespace=True)
