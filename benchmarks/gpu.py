"""Dimming on a GPU: the kernels (:mod:`benchmarks.gpu_kernels`), and the whole job.

    python -m benchmarks.gpu [--quick] [--data FOLDER] [--json FILE]

The job needs Ray and what reads photos; without them it is left out, and said so.
"""

import importlib.util
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from benchmarks import gpu_kernels
from benchmarks.figures import Figure, Options, main
from benchmarks.processes import run_seconds
from dimmagen.core.processors import processor_count

if TYPE_CHECKING:
    from benchmarks.job import Work

_JOB_VARIANTS = 64
_JOB_NEEDS = ("ray", "pydantic", "click")


def measure(options: Options) -> Iterator[Figure]:
    yield from gpu_kernels.measure(options)
    missing = [name for name in _JOB_NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        print(f"the whole job is not measured: {', '.join(missing)} not installed", file=sys.stderr)
    elif torch.cuda.is_available():
        yield from _jobs(options)


def _jobs(options: Options) -> Iterator[Figure]:
    from benchmarks.job import Work

    with tempfile.TemporaryDirectory() as folder:
        work = Work(Path(folder), options)
        variants = 1 if options.quick else _JOB_VARIANTS
        gpus, processors = torch.cuda.device_count(), processor_count()
        yield Figure("dim on GPUs", "pairs/s", [_job(work, gpus, variants, "--device", "cuda")], gpus)
        yield Figure("dim on processors", "pairs/s", [_job(work, processors, variants)], processors)


def _job(work: "Work", workers: int, variants: int, *more: object) -> float:
    """Pairs a second of the whole command."""
    words = work.words("ray", workers, variants, 100)
    return variants * len(work.refs) / run_seconds(*words, *more)


if __name__ == "__main__":
    main("gpu", measure, __doc__)
