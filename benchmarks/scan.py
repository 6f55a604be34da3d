"""The index pass: files that are read, decoded and judged in a second, by threads and by Ray workers.

    python -m benchmarks.scan [--quick] [--data FOLDER] [--json FILE]

Each round measures every number of workers in turn, so that a busy minute slows all of them; the share of
linear is taken round by round. A pace is counted from the first file that is judged to the last: the start of
Ray is not in it, and is a figure of its own.
"""

import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from benchmarks.figures import Figure, Options, alternately, main
from benchmarks.photos import write_tiled
from dimmagen.core.threads import use_one_thread
from dimmagen.sources import parse_specs
from dimmagen.sources.index_pass import ScanExecution, index_candidates
from dimmagen.sources.scan import list_candidate_files
from dimmagen.sources.scan_keys import ScanSettings

MEGAPIXELS, PHOTOS, WORKERS, ROUNDS = 1.0, 1500, (1, 2), 5
_AT_ONCE = 0.05  # seconds
Executor = Literal["serial", "ray"]


def measure(options: Options) -> Iterator[Figure]:
    use_one_thread()
    with tempfile.TemporaryDirectory() as name:
        photos = write_tiled(options, Path(name), MEGAPIXELS, 48 if options.quick else PHOTOS)
        for executor, unit in (("serial", "threads"), ("ray", "Ray workers")):
            runs = [partial(_pace, photos, executor, workers) for workers in WORKERS]
            starts_and_paces = list(alternately(runs, options.runs(ROUNDS)))
            paces = [[pace for _, pace in values] for values in starts_and_paces]
            for workers, values in zip(WORKERS, paces, strict=True):
                yield Figure(f"photos of 1 megapixel by {unit}", "files/s", values, workers)
            shares = [two / (2 * one) for one, two in zip(*paces, strict=True)]
            yield Figure(f"share of linear with 2 {unit}", "", shares)
            starts = [start for values in starts_and_paces for start, _ in values]
            yield Figure(f"start to first file, {executor}", "s", starts)


def _pace(photos: Path, executor: Executor, workers: int) -> tuple[float, float]:
    """Seconds to the first file, and files per second from there on."""
    files = list_candidate_files(parse_specs([str(photos)])).files
    execution = ScanExecution(executor, workers, cached=False)
    times: list[float] = []
    began = time.perf_counter()
    for _ in index_candidates(
        files, ScanSettings(), execution, on_file=lambda: times.append(time.perf_counter())
    ):
        pass
    first = sum(at - times[0] < _AT_ONCE for at in times)  # Ray workers report several files together
    return times[0] - began, (len(times) - first) / (times[-1] - times[0])


if __name__ == "__main__":
    main("scan", measure, __doc__)
