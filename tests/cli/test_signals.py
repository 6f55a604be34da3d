"""Signals in the middle of a command, raised at chosen places."""

import logging
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from dimmagen.cli import cli, signals
from dimmagen.cli.progress import PairProgress
from dimmagen.cli.signals import Stopped, stop_signals
from dimmagen.core.errors import DimmagenError
from tests.commands import exit_code

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
pytestmark = pytest.mark.needs("signals")


@pytest.fixture(autouse=True)
def default_handlers():
    """Those of a new process, whatever other tests and their libraries have left."""
    before = [(number, signal.getsignal(number)) for number in SIGNALS]
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before:
        signal.signal(number, handler)


def run(monkeypatch, capsys, body, line="dim"):
    """The exit code and the messages of a command line whose work is `body`."""

    def work(*_, **__):
        return body()

    monkeypatch.setattr(cli, "main", work)
    before = [signal.getsignal(number) for number in SIGNALS]
    code = exit_code(*line.split())
    assert [signal.getsignal(number) for number in SIGNALS] == before
    return code, capsys.readouterr().err


@pytest.mark.parametrize("sent", SIGNALS, ids=lambda sent: sent.name)
def test_each_signal_has_its_code_and_one_line(sent, monkeypatch, capsys):
    code, said = run(monkeypatch, capsys, lambda: os.kill(os.getpid(), sent))
    assert code == 128 + sent
    assert said.count("\n") == 1
    assert "run the same command again to resume" in said
    assert said.startswith("Interrupted" if sent == signal.SIGINT else f"Stopped by {sent.name}")


def test_a_signal_while_the_command_is_set_up_ends_it_in_the_same_way(monkeypatch, capsys):
    @contextmanager
    def set_up():
        os.kill(os.getpid(), signal.SIGTERM)
        yield

    monkeypatch.setattr("dimmagen.cli.messages_on_stderr", set_up)
    reached = []
    code, said = run(monkeypatch, capsys, lambda: reached.append("the command"))
    assert (code, reached) == (128 + signal.SIGTERM, [])
    assert said.startswith("Stopped by SIGTERM")


@pytest.mark.parametrize(
    ("line", "resumes"),
    [
        ("dim --out profile", True),
        ("--quiet train", True),
        ("--log-file dim.log dim --out out", True),
        ("train data --checkpoint-every 100", True),
        ("run recipe.yaml", True),
        ("profile fit pairs", False),
        ("verify out", False),
        ("train data --dry-run", False),
        ("export out --check=lol-v1", False),
        ("remove dim --list names.txt", False),
        ("", False),
    ],
)
def test_only_a_command_that_can_be_resumed_says_so(line, resumes, monkeypatch, capsys):
    _, said = run(monkeypatch, capsys, lambda: os.kill(os.getpid(), signal.SIGINT), line)
    assert ("resume" in said, "what is complete" in said, "starts from the beginning" in said) == (
        resumes,
        resumes,
        not resumes,
    )


@pytest.mark.parametrize("sent", SIGNALS, ids=lambda sent: sent.name)
def test_a_signal_whose_exception_is_swallowed_still_ends_the_command(sent, monkeypatch, capsys):
    from rich.console import Console

    reached = []

    def body():
        with suppress(BaseException):  # as a library written in C does
            os.kill(os.getpid(), sent)
        with PairProgress(Console(stderr=True)) as progress:
            progress.pairs(1)
        reached.append("the next pair")

    code, _ = run(monkeypatch, capsys, body)
    assert (code, reached) == (128 + sent, [])


SLOW_TIMER = """
def set_slowly(which, seconds):
    set_timer(which, seconds)
    if seconds and first:
        first.clear()
        signal.raise_signal(signal.SIGALRM)
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer")
@pytest.mark.parametrize("is_slow", [False, True], ids=["at-once", "slowly"])
@pytest.mark.parametrize(
    ("filename", "name"),
    [("<frozen importlib._bootstrap>", "_get_module_lock"), (logging.__file__, "handle")],
)
def test_a_signal_between_taking_a_lock_and_its_try_waits_until_the_lock_is_free(
    filename, name, is_slow, monkeypatch, capsys
):
    """Otherwise threads that import or log wait for it forever, and the command for them.

    On a busy machine the time to wait is over before the handler that set the timer has returned.
    """
    steps = []
    if is_slow:
        slowly = {"set_timer": signal.setitimer, "signal": signal, "first": [True]}
        exec(compile(SLOW_TIMER, signals.__file__, "exec"), slowly)  # as if the handler itself did it
        monkeypatch.setattr(signal, "setitimer", slowly["set_slowly"])
    text = f"def {name}(kill):\n    steps.append('taken'); kill()\n    steps.append('given back')\n"
    space = {"steps": steps}
    exec(compile(text, filename, "exec"), space)

    def body():
        space[name](lambda: None)
        space[name](partial(os.kill, os.getpid(), signal.SIGTERM))
        for _ in range(500):
            time.sleep(0.02)
        steps.append("not stopped")

    code, _ = run(monkeypatch, capsys, body)
    assert code == 128 + signal.SIGTERM
    assert steps == ["taken", "given back"] * 2
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer")
def test_a_signal_while_a_module_is_imported_is_raised_after_the_import(tmp_path, monkeypatch, capsys):
    """Modules that try another way when something fails take it for a failure of the first one."""
    (tmp_path / "greedy_module.py").write_text(
        "import os, signal, time\n"
        "is_dropped = False\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    time.sleep(0.2)\n"
        "except BaseException:\n"
        "    is_dropped = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    steps = []

    def body():
        import greedy_module

        steps.append(greedy_module.is_dropped)
        for _ in range(500):
            time.sleep(0.02)
        steps.append("not stopped")

    code, _ = run(monkeypatch, capsys, body)
    sys.modules.pop("greedy_module")
    assert code == 128 + signal.SIGTERM
    assert steps == [False]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer")
def test_a_signal_in_a_destructor_is_raised_after_it_and_prints_nothing(monkeypatch, capsys):
    """Python prints what a destructor raises, with its traceback, and drops it."""
    steps, hook = [], sys.unraisablehook

    class Resource:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGTERM)

    def body():
        resource = Resource()
        del resource
        steps.append("dropped")
        for _ in range(500):
            time.sleep(0.02)
        steps.append("not stopped")

    code, printed = run(monkeypatch, capsys, body)
    assert code == 128 + signal.SIGTERM
    assert steps == ["dropped"]
    assert "Traceback" not in str(printed)
    assert sys.unraisablehook is hook


def test_a_signal_that_is_swallowed_to_the_end_still_gives_the_code(monkeypatch, capsys):
    def body():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except BaseException:
            return 0

    assert run(monkeypatch, capsys, body)[0] == 128 + signal.SIGTERM


@pytest.mark.parametrize(
    "error", [DimmagenError("the image is broken"), OSError("cancelled"), RuntimeError("?")]
)
def test_an_error_that_a_library_makes_of_a_signal_is_not_reported_as_one(error, monkeypatch, capsys):
    def body():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except BaseException:
            raise error from None

    code, said = run(monkeypatch, capsys, body)
    assert code == 128 + signal.SIGTERM
    assert said.startswith("Stopped by SIGTERM")
    assert str(error) not in said


def test_without_a_signal_an_error_is_what_it_was(monkeypatch, capsys):
    def body():
        raise DimmagenError("the image is broken", "give another one")

    assert run(monkeypatch, capsys, body) == (1, "Error: the image is broken: give another one\n")


def test_a_signal_that_is_ignored_stays_ignored():
    """As under nohup."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with stop_signals(is_whole_process=False):
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.needs("fork", "signals")
def test_a_forked_process_ends_by_the_signal_itself():
    """Readers of torch are ended with SIGTERM; our line is not theirs."""
    with stop_signals(is_whole_process=False):
        child = os.fork()
        if child == 0:
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                os._exit(3)
        status = os.waitpid(child, 0)[1]
    assert os.waitstatus_to_exitcode(status) == -signal.SIGTERM


def test_stopped_is_what_ctrl_c_raises():
    assert issubclass(Stopped, KeyboardInterrupt)


def test_an_interruption_while_the_command_line_is_imported_has_no_traceback():
    code = (
        "import sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'dimmagen.cli': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from dimmagen.__main__ import main\n"
        "main()\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert (done.returncode, done.stderr) == (130, "")
