"""The index pass: files that are read, decoded and judged in a second, by threads and by Ray workers.

    python -m benchmarks.scan [--quick] [--data FOLDER] [--json FILE]

Each round measures every number of workers in turn, so that a busy minute slows all of them; the share of
linear is taken round by round. A pace is counted from the first file that is judged to the last: the start of
Ray is not in it, and is a figure of its own. Where other programs take processors, paces say little: the
processor time of a file, in all workers and the command, says what a second worker costs beyond its work.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from benchmarks.figures import Figure, Options, alternately, main
from benchmarks.photos import write_tiled
from benchmarks.processes import descendants, title
from dimmagen.core.threads import use_one_thread
from dimmagen.sources import parse_specs
from dimmagen.sources.candidate_files import list_candidate_files
from dimmagen.sources.index_pass import ScanExecution, index_candidates
from dimmagen.sources.scan_keys import ScanSettings

MEGAPIXELS, PHOTOS, WORKERS, ROUNDS = 1.0, 800, (1, 2), 5
_AT_ONCE = 0.05  # seconds
Executor = Literal["serial", "ray"]


def measure(options: Options) -> Iterator[Figure]:
    use_one_thread()
    with tempfile.TemporaryDirectory() as name:
        photos = write_tiled(options, Path(name), MEGAPIXELS, 48 if options.quick else PHOTOS)
        for executor, unit in (("serial", "threads"), ("ray", "Ray workers")):
            runs = [partial(_run, photos, executor, workers) for workers in WORKERS]
            ran = list(alternately(runs, options.runs(ROUNDS)))
            paces = [[pace for _, pace, _ in values] for values in ran]
            costs = [[cost for *_, cost in values] for values in ran]
            for workers, values, cost in zip(WORKERS, paces, costs, strict=True):
                yield Figure(f"photos of 1 megapixel by {unit}", "files/s", values, workers)
                yield Figure(f"processor time of one by {unit}", "ms", cost, workers)
            shares = [two / (2 * one) for one, two in zip(*paces, strict=True)]
            yield Figure(f"share of linear with 2 {unit}", "", shares)
            shares = [one / two for one, two in zip(*costs, strict=True)]
            yield Figure(f"the same by processor time, 2 {unit}", "", shares)
            yield Figure(f"start to first file, {executor}", "s", [start for run in ran for start, *_ in run])


def _run(photos: Path, executor: Executor, workers: int) -> tuple[float, float, float]:
    """Seconds to the first file, files per second from there on, and their processor time in ms a file."""
    files = list_candidate_files(parse_specs([str(photos)])).files
    execution = ScanExecution(executor, workers, cached=False)
    times: list[float] = []
    used: list[float] = []

    def on_file() -> None:
        times.append(time.perf_counter())
        if len(times) in (1, len(files)):
            used.append(_processor_seconds())

    began = time.perf_counter()
    for _ in index_candidates(files, ScanSettings(), execution, on_file=on_file):
        pass
    first = sum(at - times[0] < _AT_ONCE for at in times)  # Ray workers report several files together
    judged = len(times) - first
    return times[0] - began, judged / (times[-1] - times[0]), 1000 * (used[1] - used[0]) / judged


def _processor_seconds() -> float:
    """Of this process and its Ray actors so far, by Linux' /proc; Ray's own processes work for both alike."""
    actors = [pid for pid in descendants(os.getpid()) if title(pid).startswith("ray::Actor")]
    ticks = 0
    for pid in [os.getpid(), *actors]:
        ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main("scan", measure, __doc__)
