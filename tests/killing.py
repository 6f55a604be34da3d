"""Command line runs that are killed at a chosen moment, and their child processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

THOROUGH = int(os.environ.get("DIMMAGEN_KILLS", "0")) >= 200  # `make test-faults`
# A case beside which `make test` has one that is nearly the same.
thorough = pytest.mark.skipif(not THOROUGH, reason="one case of several: make test-faults")
# The commands change local folders only through these functions of os.
STEPS = ("fsync", "replace", "remove", "unlink", "rmdir", "mkdir", "link", "open")
KILLED = 77
ROOT = Path(__file__).resolve().parents[1]


class Held:
    """Holds processes at work until a test has done with them what it is about.

    Otherwise they may have ended by themselves, where the test has to wait for its processor.
    """

    def __init__(self, folder: Path) -> None:
        self._order = folder / "held.json"

    @property
    def environ(self) -> dict[str, str]:
        """The variables of processes that can be held."""
        places = [str(ROOT / "tests" / "held"), str(ROOT)]
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(places),
            "DIMMAGEN_TEST_HELD": str(self._order),
        }

    def hold(self, pattern: str, most: int) -> None:
        """Let no process finish a file whose path is of a pattern, where its folder has so many of them."""
        self._order.write_text(json.dumps([pattern, most]))

    def release(self) -> None:
        self._order.unlink(missing_ok=True)


def start(*arguments: str, log: Path, held: Held | None = None) -> subprocess.Popen:
    """Start `dimmagen ARGUMENTS` in a separate process group."""
    with open(log, "wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "dimmagen", *arguments],
            env=held and held.environ,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_obey_interrupts,
        )


def _obey_interrupts() -> None:
    """Restore the defaults of what a shell ignores for tests in the background, and nohup."""
    for name in ("SIGINT", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)


def wait_for(condition: Callable[[], bool], run: subprocess.Popen, seconds: float = 600) -> None:
    """Wait until the condition holds or the run has ended."""
    end = time.monotonic() + seconds
    while not condition() and run.poll() is None:
        if time.monotonic() > end:
            raise AssertionError(f"nothing happened for {seconds} s")
        time.sleep(0.01)


def files_below(folder: Path) -> list[Path]:
    """List the files below a folder that a run may fill, empty and remove meanwhile."""
    return [Path(place, name) for place, _, names in os.walk(folder) for name in names]


def complete(out: Path) -> int:
    """The number of shards that a run has completed, while it goes on."""
    records = files_below(out / ".dimmagen" / "records")
    return sum(file.suffix == ".json" and not file.name.startswith(".") for file in records)


def descendants(pid: int) -> dict[int, str]:
    """Process ids of all descendants of `pid`, and their command lines."""
    parents, names = {}, {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            names[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, ValueError):
            continue  # it has just ended
    found: dict[int, str] = {}
    layer = {pid}
    while layer:
        layer = {child for child, parent in parents.items() if parent in layer}
        found |= {child: names[child] for child in layer if child in names}
    return found


def began(pid: int) -> str:
    """When a process began; empty if it has ended, and another one may have its id by now."""
    facts = _facts(pid)
    return facts[19] if facts and facts[0] != "Z" else ""


def state(pid: int) -> str:
    """A letter for what a process does, such as T for one that is suspended; empty if there is none."""
    return "".join(_facts(pid)[:1])


def _facts(pid: int) -> list[str]:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []


def kill(*pids: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Do the work in a process that is ended without cleanup before its n-th step; whether it got there."""
    steps = iter(range(1, step))

    def counted(function):
        def wrapper(*arguments, **keywords):
            if next(steps, None) is None:
                os._exit(KILLED)
            return function(*arguments, **keywords)

        return wrapper

    def counting_work():
        for name in STEPS:
            setattr(os, name, counted(getattr(os, name)))
        work()

    return is_killed(counting_work)


def is_killed(work: Callable[[], object]) -> bool:
    """Do the work in a separate process; whether it ended by `os._exit(KILLED)` instead of normally."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, KILLED)
    return code == KILLED


class Killed(BaseException):
    """Ends the work of :func:`kill_at_replace`."""


def kill_at_replace(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> None:
    """Do some work that ends before its first file has its name, and leaves what a killed process leaves."""

    def end(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", end)
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(Killed):
            work()


def unfinished(folder: Path) -> list[str]:
    """Names of the temporary files below a folder."""
    return [file.name for file in folder.rglob(".*.tmp")]
