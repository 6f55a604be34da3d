"""Runs of the command line that are killed at a chosen moment, and the processes below them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def start(*arguments: str, log: Path) -> subprocess.Popen:
    """`dimmagen ARGUMENTS` in a process group of its own."""
    with open(log, "wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "dimmagen", *arguments],
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_obey_interrupts,
        )


def _obey_interrupts() -> None:
    """Tests may run in the background, where a shell has SIGINT ignored; a user's run does not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for(condition: Callable[[], bool], run: subprocess.Popen, seconds: float = 90) -> None:
    """Until the condition holds or the run has ended."""
    end = time.monotonic() + seconds
    while not condition() and run.poll() is None:
        if time.monotonic() > end:
            raise AssertionError(f"nothing happened for {seconds} s")
        time.sleep(0.01)


def descendants(pid: int) -> dict[int, str]:
    """Process ids below `pid` and their command lines."""
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


def kill(*pids: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
