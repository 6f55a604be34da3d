"""Dimming on a GPU: the kernel alone against the device's limits, and the whole job.

    python -m benchmarks.gpu [--quick] [--data FOLDER] [--json FILE]

The limits are measured on the same device: its memory by copying, its arithmetic by one multiplication after
another on what its cache holds. The kernel's own amounts are counted: a pixel is at least 3 bytes read and 3
written, and so many operations as torch is seen to carry out. Where torch sees no GPU there are no figures,
but with --quick, which shows that everything runs.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.figures import Figure, Options, alternately, main
from benchmarks.job import Work
from benchmarks.processes import run_seconds
from dimmagen.core.processors import processor_count
from dimmagen.dimmers.camera.model import CameraModel
from dimmagen.dimmers.dimmer import ImageDimmer

SIDE = 512
IMAGES = (1, 8, 32)  # in a batch; 32 of 512x512 are 8 megapixels
_BYTES_A_PIXEL = 6
_COPIED, _CACHED = 2**28, 2**20  # elements
_JOB_VARIANTS = 64


class _Operations(TorchDispatchMode):
    """Counts the elements that torch's operations put out; views of others and copies are none."""

    count = 0

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **(keywords or {}))
        if isinstance(result, torch.Tensor) and not function.is_view:
            self.count += result.numel()
        return result


def measure(options: Options) -> Iterator[Figure]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu" and not options.quick:
        return
    model = ImageDimmer.from_profile("lol3").model
    assert isinstance(model, CameraModel)
    sizes = IMAGES[:1] if options.quick else IMAGES
    kernels = [partial(_kernel, model, device, count) for count in sizes]
    elements = _CACHED if options.quick else _COPIED
    actions: list[Callable[[], float]] = [
        *kernels,
        partial(_copy, device, elements),
        partial(_multiply, device),
    ]
    for action in actions:
        action()  # the first call loads what it needs
    *pixels, copied, multiplied = (list(values) for values in alternately(actions, options.runs(15)))
    operations = _operations(model, device)
    yield Figure("memory, copied", "GB/s", [value / 1e9 for value in copied])
    yield Figure("integers, multiplied in the cache", "G/s", [value / 1e9 for value in multiplied])
    yield Figure("operations of the kernel", "a pixel", [operations])
    for count, values in zip(sizes, pixels, strict=True):
        yield Figure("kernel, by pictures of 512x512", "Mpix/s", [value / 1e6 for value in values], count)
        of_memory = [value * _BYTES_A_PIXEL / limit for value, limit in zip(values, copied, strict=True)]
        yield Figure("kernel, of what the memory allows", "ratio", of_memory, count)
        of_rate = [value * operations / limit for value, limit in zip(values, multiplied, strict=True)]
        yield Figure("kernel, of what the arithmetic allows", "ratio", of_rate, count)
    if device.type == "cuda":
        with tempfile.TemporaryDirectory() as folder:
            work = Work(Path(folder), options)
            variants = 1 if options.quick else _JOB_VARIANTS
            gpus, processors = torch.cuda.device_count(), processor_count()
            yield Figure("dim on GPUs", "pairs/s", [_job(work, gpus, variants, "--device", "cuda")], gpus)
            yield Figure("dim on processors", "pairs/s", [_job(work, processors, variants)], processors)


def _timed(device: torch.device, action: Callable[[], object]) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    action()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def _batch(model: CameraModel, device: torch.device, count: int) -> Callable[[], torch.Tensor]:
    generator = np.random.default_rng(0)
    lights = torch.from_numpy(generator.integers(0, 256, (count, 3, SIDE, SIDE), dtype=np.uint8)).to(device)
    dimmer = ImageDimmer(model, "", "")
    draws = [dimmer.draw(str(number)) for number in range(count)]
    return lambda: model.expose_tensors(lights, draws)


def _kernel(model: CameraModel, device: torch.device, count: int) -> float:
    """Pixels a second."""
    return count * SIDE**2 / _timed(device, _batch(model, device, count))


def _copy(device: torch.device, elements: int) -> float:
    """Bytes a second, read and written."""
    values = torch.zeros(elements, dtype=torch.int64, device=device)
    return 2 * values.nbytes / _timed(device, values.clone)


def _multiply(device: torch.device) -> float:
    """Operations a second."""
    values, rounds = torch.ones(_CACHED, dtype=torch.int64, device=device), 20
    return rounds * _CACHED / _timed(device, lambda: [values.mul_(3) for _ in range(rounds)])


def _operations(model: CameraModel, device: torch.device) -> float:
    dim = _batch(model, device, 1)
    with _Operations() as seen:
        dim()
    return seen.count / SIDE**2


def _job(work: Work, workers: int, variants: int, *more: object) -> float:
    """Pairs a second of the whole command."""
    words = work.words("ray", workers, variants, 100)
    return variants * len(work.refs) / run_seconds(*words, *more)


if __name__ == "__main__":
    main("gpu", measure, __doc__)
