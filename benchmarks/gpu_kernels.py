"""The kernels on a GPU: torch's operations and Triton's kernel, against the device's limits.

    python -m benchmarks.gpu_kernels [--quick] [--json FILE]

A call is `CameraModel.expose_tensors`, tables and uploads included, for pictures that are on the device; its
host's share is the time until the call returns while the device is busy with nothing else. The limits are
measured on the same device: its memory by copying, its arithmetic by 32-bit multiplications and additions in
registers. A pixel is 3 bytes read and 3 written; its operations are as many as torch is seen to carry out,
and in Triton's kernel 117 instructions, counted in the machine code for lol3 on an H100. Needs no Ray. Where
torch sees no GPU there are no figures, but with --quick, which shows that it runs. First the pixels are
compared with the CPU's (:mod:`benchmarks.gpu_pixels`). `gpu_kernels.tune()` prints the rate of other shapes
of a program.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.figures import Figure, Options, alternately, main
from benchmarks.gpu_pixels import draws_of
from benchmarks.gpu_pixels import main as compare_pixels
from dimmagen.dimmers.camera.model import CameraModel
from dimmagen.dimmers.dimmer import ImageDimmer

SIDE = 512
IMAGES = (1, 8, 32, 128)  # in a batch
_BYTES_A_PIXEL = 6
_INSTRUCTIONS = 117.0  # of Triton's kernel, a pixel
_COPIED = 2**28  # elements
_MULTIPLIED, _ROUNDS = 2**24, 256
_LAUNCHES = 20


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
    on_gpu = device.type == "cuda"
    if on_gpu:
        yield Figure("pixels equal to the CPU's", "1 or 0", [float(compare_pixels(device))])
    model = ImageDimmer.from_profile("lol3").model
    assert isinstance(model, CameraModel)
    sizes = IMAGES[:1] if options.quick else IMAGES
    kernels = ("torch", "triton") if on_gpu else ("torch",)
    limits = {"memory, copied": partial(_copy, device, 2**20 if options.quick else _COPIED)}
    if on_gpu:
        limits["32-bit operations in registers"] = partial(_multiply, device)
    cases = [(kernel, count) for kernel in kernels for count in sizes]
    calls = [_batch(model, device, count, kernel) for kernel, count in cases]
    actions = [
        *(partial(_call, call, device) for call in calls),
        *(partial(_rate, one) for one in limits.values()),
    ]
    for action in actions:
        action()  # the first call loads what it needs
    (*times,) = alternately(actions, options.runs(15))
    rates = dict(zip(limits, times[len(cases) :], strict=True))
    for name, values in rates.items():
        yield Figure(name, "G/s", [one / 1e9 for one, _ in values])
    operations = {"torch": _operations(model, device), "triton": _INSTRUCTIONS}
    for kernel in kernels:
        yield Figure(f"{kernel}, operations", "a pixel", [operations[kernel]])
    for (kernel, count), values in zip(cases, times, strict=False):
        amounts = _BYTES_A_PIXEL, operations[kernel]
        yield from _figures(kernel, count, values, amounts, rates)
    for count in sizes:
        began = time.perf_counter()
        draws_of(model, count)
        yield Figure("draws, which a call is given", "ms", [1000 * (time.perf_counter() - began)], count)
    if on_gpu:
        yield from _alone(model, device, sizes)


Times = list[tuple[float, float]]  # seconds until the work was done, and until the call returned


def _figures(
    kernel: str, count: int, values: Times, amounts: tuple[float, float], rates: dict[str, Times]
) -> Iterator[Figure]:
    pixels = [count * SIDE**2 / whole for whole, _ in values]
    yield Figure(f"{kernel}, pictures of 512x512", "Gpix/s", [one / 1e9 for one in pixels], count)
    yield Figure(
        f"{kernel}, host's share of the time", "ratio", [host / whole for whole, host in values], count
    )
    for (name, limit), amount in zip(rates.items(), amounts, strict=False):
        of_limit = [one * amount / most for one, (most, _) in zip(pixels, limit, strict=True)]
        yield Figure(f"{kernel}, of: {name}", "ratio", of_limit, count)


def _alone(model: CameraModel, device: torch.device, sizes: tuple[int, ...]) -> Iterator[Figure]:
    from dimmagen.dimmers.camera import triton_kernel

    for count in sizes:
        for name, changed in (("white noise", model), ("correlated noise", _correlated(model))):
            for steps in (triton_kernel.SHORT, triton_kernel.LONG):
                rates = _kernel_rates(changed, device, count, steps)
                yield Figure(f"kernel alone, {name}, strips of {steps} rows", "Gpix/s", rates, count)


def _kernel_rates(model: CameraModel, device: torch.device, count: int, steps: int) -> list[float]:
    """Gpix/s of Triton's kernel without tables and host: by the device's clock, some launches in a row."""
    from dimmagen.dimmers.camera import fused, triton_kernel

    kernel = fused.fused_for(model, device)
    lights, rows = _lights(device, count), kernel.rows(model, draws_of(model, count))
    switches = kernel.spatial, kernel.skewed, kernel.by_luma
    arguments = kernel.luma, kernel.chroma, kernel.mix, kernel.taps, *switches
    launch = partial(triton_kernel.dim_rows, lights, rows, *arguments, steps)
    launch()
    return [_LAUNCHES * count * SIDE**2 / _device_seconds(launch, _LAUNCHES) / 1e9 for _ in range(5)]


def tune() -> None:
    """Print the rate of the kernel by lanes, warps and rows of a program, for 128 pictures: a minute."""
    from dimmagen.dimmers.camera import triton_kernel

    model = ImageDimmer.from_profile("lol3").model
    assert isinstance(model, CameraModel)
    for lanes in (32, 64):
        for warps in (1, 2, 4, 8):
            triton_kernel.LANES, triton_kernel.WARPS = lanes, warps
            for steps in (4, 8, 16, 32):
                rate = max(_kernel_rates(model, torch.device("cuda"), IMAGES[-1], steps))
                print(f"{lanes} lanes, {warps} warps, {steps} rows: {rate:.1f} Gpix/s", flush=True)


def _correlated(model: CameraModel) -> CameraModel:
    return replace(model, spatial=np.array([0.2, 0.5]))


def _device_seconds(launch: Callable[[], object], times: int) -> float:
    began, ended = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    began.record()
    for _ in range(times):
        launch()
    ended.record()
    torch.cuda.synchronize()
    return began.elapsed_time(ended) / 1000


def _lights(device: torch.device, count: int) -> torch.Tensor:
    generator = np.random.default_rng(0)
    return torch.from_numpy(generator.integers(0, 256, (count, 3, SIDE, SIDE), dtype=np.uint8)).to(device)


def _batch(model: CameraModel, device: torch.device, count: int, kernel: str) -> Callable[[], torch.Tensor]:
    lights, draws = _lights(device, count), draws_of(model, count)
    return lambda: model.expose_tensors(lights, draws, kernel)


def _call(action: Callable[[], object], device: torch.device) -> tuple[float, float]:
    _wait(device)
    began = time.perf_counter()
    action()
    returned = time.perf_counter()
    _wait(device)
    return time.perf_counter() - began, returned - began


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _rate(limit: Callable[[], float]) -> tuple[float, float]:
    return limit(), 0.0


def _copy(device: torch.device, elements: int) -> float:
    """Bytes a second, read and written."""
    values = torch.zeros(elements, dtype=torch.int64, device=device)
    return 2 * values.nbytes / _call(values.clone, device)[0]


def _multiply(device: torch.device) -> float:
    """Multiplications and additions a second, each pair counted as one."""
    from benchmarks.gpu_limit import multiply

    values = torch.arange(_MULTIPLIED, dtype=torch.int32, device=device)
    return 4 * _ROUNDS * _MULTIPLIED / _call(lambda: multiply(values, _ROUNDS), device)[0]


def _operations(model: CameraModel, device: torch.device) -> float:
    dim = _batch(model, device, 1, "torch")
    with _Operations() as seen:
        dim()
    return seen.count / SIDE**2


if __name__ == "__main__":
    main("gpu_kernels", measure, __doc__)
