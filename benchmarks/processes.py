"""Runs of the command line as processes of their own, timed and weighed from outside."""

import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figures import ONE_THREAD, ROOT
from dimmagen.core.memory import peak_memory

_POLL_SECONDS = 0.02


@contextmanager
def started(*words: object) -> Iterator[subprocess.Popen]:
    """`dimmagen WORDS`, which is ended with the block.

    Raises:
        RuntimeError: it ended by itself with an error.
    """
    command = [sys.executable, "-m", "dimmagen", *map(str, words)]
    usual = {name: value for name, value in os.environ.items() if name not in ONE_THREAD}
    environment = {**usual, "PYTHONPATH": str(ROOT), "DIMMAGEN_CACHE": "off"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as run:
        try:
            yield run
        finally:
            if run.poll() is None:
                run.terminate()
        if run.returncode is not None and run.returncode > 0:
            raise RuntimeError(f"dimmagen {' '.join(map(str, words))}: {run.stderr and run.stderr.read()}")


def run_seconds(*words: object) -> float:
    """From the start of the process to its end."""
    began = time.perf_counter()
    with started(*words) as run:
        run.wait()
    return time.perf_counter() - began


def seconds_to_first(folder: Path, pattern: str, *words: object) -> float:
    """From the start of the process to the first file of a pattern in a folder; then it is ended."""
    began = time.perf_counter()
    with started(*words) as run:
        while not any(folder.glob(pattern)):
            if run.poll() is not None:
                raise RuntimeError(f"no {pattern} came of dimmagen {' '.join(map(str, words))}")
            time.sleep(_POLL_SECONDS / 4)
        return time.perf_counter() - began


def peak_megabytes(*words: object) -> dict[str, float]:
    """Peak resident memory of a run's processes, in 10^6 bytes: `driver`, and `actor` for the largest one.

    Linux keeps the high-water mark of a process as long as it lives, so that looking now and then is enough.
    """
    peaks: dict[str, float] = defaultdict(float)
    with started(*words) as run:
        while run.poll() is None:
            roles = {run.pid: "driver"}
            roles |= {pid: "actor" for pid in descendants(run.pid) if title(pid).startswith("ray::Actor")}
            for pid, role in roles.items():
                try:
                    peaks[role] = max(peaks[role], peak_memory(f"/proc/{pid}/status") / 1e6)
                except OSError:
                    continue  # it has just ended
            time.sleep(_POLL_SECONDS)
    return dict(peaks)


def descendants(pid: int) -> set[int]:
    """All processes below one, by Linux' /proc."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children[parent].append(int(entry.name))
    found: set[int] = set()
    layer: Sequence[int] = [pid]
    while layer:
        layer = [child for parent in layer for child in children[parent]]
        found.update(layer)
    return found


def title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
