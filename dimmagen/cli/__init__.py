"""The command line: one module per command; commands parse, call the library and print, and hold no logic."""

import io
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import click

from dimmagen.cli.command import LazyGroup
from dimmagen.cli.logs import messages_on_stderr
from dimmagen.cli.messages import end_at_once
from dimmagen.cli.output import configure, report_error
from dimmagen.cli.output_options import PREFIX
from dimmagen.cli.signals import raise_from_now_on, raise_no_more, received, stop_signals
from dimmagen.cli.version import version_option
from dimmagen.cli.wording import error_fields, message
from dimmagen.core.errors import DimmagenError

_COMMANDS = {
    "Making pairs": {
        "build-mixhq": (
            "dimmagen.cli.build_mixhq:build_mixhq",
            "Select photos by the paper's rules and pack them as MixHQ.",
        ),
        "profile": ("dimmagen.cli.profile:profile", "Fit, list, show, import and evaluate camera profiles."),
        "dim": ("dimmagen.cli.dim:dim", "Make dark/light pairs as WebDataset shards."),
        "plan": ("dimmagen.cli.plan:plan", "Estimate the time, disk, memory and cost of a `dim` run."),
    },
    "Checking and reproducing": {
        "verify": ("dimmagen.cli.verify:verify", "Check a data set against its manifest."),
        "replay": ("dimmagen.cli.replay:replay", "Make one pair again and compare it."),
        "reproduce": (
            "dimmagen.cli.reproduce:reproduce",
            "Make a data set again from its manifest and compare the two.",
        ),
        "manifest": ("dimmagen.cli.manifest:manifest", "Compare manifests."),
        "leaks": ("dimmagen.cli.leaks:leaks", "Find scenes of an evaluation set in a data set."),
    },
    "Looking at pairs": {
        "inspect": (
            "dimmagen.cli.inspect:inspect",
            "Summarise a data set or a network; write a contact sheet.",
        ),
        "peek": ("dimmagen.cli.peek:peek", "Show one pair and its record in the terminal."),
        "stats": ("dimmagen.cli.stats:stats", "Show statistics of a data set."),
    },
    "Changing data sets": {
        "subset": ("dimmagen.cli.subset:subset", "Write selected pairs of a data set as a new data set."),
        "merge": ("dimmagen.cli.merge:merge", "Merge several data sets into one."),
        "remove": ("dimmagen.cli.remove:remove", "Remove photos from a data set or a MixHQ."),
    },
    "Training on pairs": {
        "export": ("dimmagen.cli.export:export", "Write a data set in the folder layout of another trainer."),
        "train": ("dimmagen.cli.train:train", "Train an enhancement network on pairs."),
        "finetune": ("dimmagen.cli.finetune:finetune", "Fine-tune a trained network on real pairs."),
        "evaluate": ("dimmagen.cli.evaluate:evaluate", "Score a trained network on real pairs."),
        "enhance": ("dimmagen.cli.enhance:enhance", "Brighten photos with a trained network."),
        "run": ("dimmagen.cli.run:run", "Run the steps of a recipe, such as dim, train and evaluate."),
    },
}
_NAMES = frozenset(name for section in _COMMANDS.values() for name in section)

_RESUMABLE = frozenset(
    ("build-mixhq", "dim", "reproduce", "subset", "merge", "export", "train", "finetune", "run")
)
_WITHOUT_WRITING = ("--check", "--dry-run")  # of these commands


@click.group(
    cls=LazyGroup,
    commands_at=_COMMANDS,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 110,
        "show_default": True,
        "auto_envvar_prefix": PREFIX,
    },
)
@version_option
def cli() -> None:
    """Make low-light training pairs for your camera: photos in, dark/light pairs out.

    \b
    Example, with five photos that are installed with dimmagen:
      dimmagen build-mixhq --source sample
      dimmagen dim --profile lol3 --shards out/
      dimmagen verify out/
      dimmagen inspect out/ --sheet sheet.png
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line: an expected error is one message with exit code 1 or 2; a signal that asks the
    process to end gives 128 and its number, so 130 for Ctrl-C.

    Args:
        arguments: words of the command; without them those of the process, which then ends with the command.
    """
    _open_closed_streams()
    _replace_unencodable()
    with stop_signals(is_whole_process=arguments is None), messages_on_stderr():
        code = _run_or_stop(arguments)
    if arguments is None:
        code = _flushed(code)
    cluster = sys.modules.get("dimmagen.core.executors.ray_cluster")  # few commands need it
    # A Ray that still waits for a lost head, or that a signal met while it connected, crashes a normal end.
    is_stopped = arguments is None and received() is not None
    if cluster is not None and (cluster.is_leaving() or (is_stopped and cluster.was_connected())):
        end_at_once(code)
    sys.exit(code)


def _run_or_stop(arguments: list[str] | None) -> int:
    """The exit code, which is that of a signal if one has come, however the command ended."""
    code = 128 + signal.SIGINT
    try:
        try:
            raise_from_now_on()
            code = _run(arguments)
        finally:
            raise_no_more()
    except (click.Abort, KeyboardInterrupt):
        pass
    except Exception:  # a library may have made it of what the signal raised
        if received() is None:
            raise
    number = received()
    if number is None and code != 128 + signal.SIGINT:
        return code
    name = "Interrupted" if number in (None, signal.SIGINT) else f"Stopped by {number.name}"
    code = 128 + (number or signal.SIGINT)
    again = "run the same command again"
    if resumes := _resumes(sys.argv[1:] if arguments is None else arguments):
        again = f"{again} to resume"
    fields = {"code": "interrupted", "message": name, "hint": again}
    text = f"what is complete stays valid; {again}" if resumes else f"{again}; it starts from the beginning"
    with suppress(OSError):  # the terminal may be gone
        report_error(f"{name}: {text}.", fields, code, heading="")
    return code


def _resumes(words: Sequence[str]) -> bool:
    """Whether a command line continues where it was stopped; its command may not be imported yet."""
    name = next((word for word in words if word in _NAMES), "")  # `--log-file FILE` may be before it
    writes = not any(word.partition("=")[0] in _WITHOUT_WRITING for word in words)
    return name in _RESUMABLE and writes


def _open_closed_streams() -> None:
    """Print to nowhere where a standard stream is closed (`>&-`, a service, `pythonw`).

    Python has None there, and the next file that is opened would get its number, and what a library prints.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def _flushed(code: int) -> int:
    """The exit code, which is not 0 if what was printed found no room.

    What is left in a buffer then goes nowhere: Python would try it again, and end with 120 and a traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or 1
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
    return code


def _replace_unencodable() -> None:
    """Print `?` for characters that the output's encoding lacks, such as arrows in a file on Windows."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not stream.encoding.lower().startswith("utf"):
            stream.reconfigure(errors="replace")


def _run(arguments: list[str] | None) -> int:
    try:
        code = cli.main(arguments, prog_name="dimmagen", standalone_mode=False)
    except click.ClickException as error:
        text = io.StringIO()
        error.show(text)
        if "--json" in (sys.argv[1:] if arguments is None else arguments):
            configure(as_json=True)  # it was not reached
        fields = {"code": "usage", "message": error.format_message(), "hint": "see --help"}
        return _report(text.getvalue().rstrip("\n"), fields, error.exit_code, heading="")
    except DimmagenError as error:
        return _report(message(error), error_fields(error), error.exit_code)
    except OSError as error:  # of a disk or a network that the library has no better message for
        if not error.filename and not _has_working_directory():
            return _report_machine("the working directory was removed", "change to another one and try again")
        place = f"{error.filename}: " if error.filename else ""
        return _report_machine(f"{place}{error.strerror or error}", "fix the cause and run the command again")
    except MemoryError:  # where nothing knows what was worked on
        return _report_machine("out of memory", "give fewer workers and run the command again")
    return code if isinstance(code, int) else 0


def _has_working_directory() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def _report_machine(what: str, todo: str) -> int:
    return _report(f"{what}: {todo}", {"code": "machine", "message": what, "hint": todo}, 1)


def _report(text: str, fields: Mapping[str, Any], exit_code: int, heading: str = "Error: ") -> int:
    if received() is None:  # otherwise a library has made the error of what the signal raised
        with suppress(OSError):  # with `--json` on a full disk, after the text on standard error
            report_error(text, fields, exit_code, heading)
    return exit_code
