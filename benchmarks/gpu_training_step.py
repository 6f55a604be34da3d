"""One row of :mod:`benchmarks.gpu_training`: steps of a network in training, with some levers."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.gpu_clock import Clock, peak_gigabytes, synchronize, timed
from dimmagen.enhance.acceleration import Acceleration, compiled
from dimmagen.enhance.batch import Batch, Crops, Example, make_batch
from dimmagen.enhance.distributed_context import SINGLE_PROCESS
from dimmagen.enhance.losses import EnhancementLoss
from dimmagen.enhance.network import EnhancementNetwork
from dimmagen.enhance.prefetch import Waiting, on_device
from dimmagen.enhance.recorded_step import recorded
from dimmagen.enhance.state import TrainSettings, TrainState
from dimmagen.enhance.step import Ledger, optimise
from dimmagen.metrics import lpips

CHECKED = 10  # steps after which every row has the same loss, but for rounding
PHASES = ("inputs", "forward", "loss", "backward", "optimizer", "average")
_MATRIX = 8192


@dataclass(frozen=True)
class Size:
    """How large everything is."""

    architecture: str = "paper"
    crop: int = 256
    batch: int = 4
    picture: tuple[int, int] = (2000, 3000)
    seconds: float = 3.0  # of measuring, per row
    matrix: int = _MATRIX


QUICK = Size("compact", 32, 2, (80, 120), 0.02, 64)


@dataclass(frozen=True)
class Setup:
    """What all rows have in common."""

    size: Size
    device: torch.device
    weights: Path | None
    data: str | None
    autotune: bool = False
    batches: list[Batch] = field(default_factory=list)
    kernels: int = 0  # that take most of a step and are listed


@dataclass(frozen=True)
class Lever:
    """One row of training."""

    name: str
    accelerated: Acceleration
    host_inputs: bool = False  # the ten channels are made on the processor, as float32
    loaders: int | None = None  # processes that read from the data set; None for crops in memory


@dataclass(frozen=True)
class OnHost:
    """A batch whose inputs were made on the processor."""

    keys: tuple[str, ...]
    inputs: Tensor
    target: Tensor
    condition: Tensor

    def to(self, device: torch.device) -> "OnHost":
        return OnHost(self.keys, self.inputs.to(device), self.target.to(device), self.condition.to(device))


def random_batches(size: Size) -> list[Batch]:
    draws = np.random.default_rng(0)
    shape = (size.crop, size.crop, 3)

    def example(number: int) -> Example:
        light = draws.integers(0, 256, shape, dtype=np.uint8)
        return Example(str(number), light // 9, light)

    return [make_batch([example(number) for number in range(size.batch)]) for _ in range(8)]


def perceptual_loss(weights: Path | None) -> lpips.LPIPS:
    if weights is not None:
        return lpips.load_lpips("vgg", weights)
    torch.manual_seed(1)
    features, _ = lpips._vgg16()
    made = {f"features.{name}": tensor for name, tensor in features.state_dict().items()}
    made |= {f"lin{i}.weight": torch.rand(1, width, 1, 1) for i, width in enumerate(lpips._WIDTHS["vgg"])}
    return lpips.LPIPS("vgg", made)


class Training:
    """A network in training, as one row has it."""

    def __init__(self, setup: Setup, lever: Lever) -> None:
        self.lever, self.device = lever, setup.device
        torch.manual_seed(0)
        network = EnhancementNetwork(setup.size.architecture).to(setup.device).train()
        network.use(lever.accelerated)
        settings = TrainSettings(learning_rate=2e-4, average=0.995, clip=1.0, bf16=True)
        graph = lever.accelerated.graph
        self.state = TrainState(network, settings, lever.accelerated.fused_adam, graph)
        loss = EnhancementLoss(perceptual_loss(setup.weights)).to(setup.device)
        loss.use(lever.accelerated, bf16=True)
        self.forward = compiled(network, lever.accelerated.compile)
        self.loss = compiled(loss, lever.accelerated.compile)
        self.recorded = recorded(self.forward, self.state, self.loss) if graph else None
        self.ledger = Ledger(lever.accelerated.fetch_every, SINGLE_PROCESS)
        self.waiting = Waiting()
        self.stream = self._stream(setup)
        self.losses: list[float] = []

    def _stream(self, setup: Setup) -> Iterator[Any]:
        if self.lever.host_inputs:
            return (
                OnHost(one.keys, one.inputs, one.target, one.condition).to(setup.device)
                for one in itertools.cycle(setup.batches)
            )
        source: Iterator[Batch] = itertools.cycle(setup.batches)
        if self.lever.loaders is not None:
            source = from_data(setup, self.lever.loaders)
        return on_device(source, setup.device, self.lever.accelerated.prefetch, self.waiting)

    def step(self, clock: Clock | None = None) -> None:
        batch = next(self.stream)
        forward, loss, step_if = self.forward, self.loss, self.state.step_if
        if clock is not None:
            clock.mark("begin")
        if clock is not None and self.recorded is None:
            forward = clock.around("inputs", forward, "forward")
            loss = clock.around("target", loss, "loss")
            self.state.step_if = clock.around("backward", step_if, "optimizer")  # type: ignore[method-assign]
        if self.recorded is not None:
            self.ledger.add(self.recorded(batch, 2e-4))
        else:
            self.ledger.add(optimise(forward, self.state, loss, batch, 2e-4))
        self.state.iteration += 1
        self.state.update_average()
        if clock is not None:
            clock.mark("average")
            if self.recorded is None:
                del self.state.step_if  # the method again
        if self.ledger.due:
            self.fetch()

    def fetch(self) -> None:
        self.losses += [row["loss"] for row in self.ledger.fetch()]

    def steps(self, count: int, clock: Clock | None = None) -> None:
        with self.lever.accelerated.kernels():
            for _ in range(count):
                self.step(clock)


def from_data(setup: Setup, loaders: int) -> Iterator[Batch]:
    from dimmagen.enhance.data import ShardBatches
    from dimmagen.enhance.training_shards import open_shards

    size = setup.size
    opened = open_shards(str(setup.data), 1, size.crop)
    loaders = min(loaders, len(opened.shards))
    crops = Crops(size.crop, True, 0)
    return ShardBatches(opened.shards, crops, size.batch, loaders, cache_bytes=4 * 10**9).open(0)


def train_row(setup: Setup, lever: Lever) -> dict[str, Any]:
    training = Training(setup, lever)
    device = setup.device
    first = timed(device, lambda: training.steps(1))
    training.steps(CHECKED - 1)
    training.fetch()
    one = timed(device, lambda: training.steps(3)) / 3
    count = max(3, min(400, round(setup.size.seconds / 3 / one)))
    training.waiting.seconds, training.waiting.since = 0.0, time.perf_counter()
    took = [timed(device, lambda: training.steps(count)) / count for _ in range(3)]
    waiting = training.waiting.share
    clock = Clock(device)
    training.steps(min(count, 10), clock)
    kernels = longest_kernels(training, setup.kernels)
    training.stream.close()  # type: ignore[attr-defined]
    phases = clock.milliseconds()
    seconds = float(np.median(took))
    return {
        "rate": 1 / seconds,
        "unit": "steps/s",
        "ms": 1000 * seconds,
        **{name: phases.get(name) for name in PHASES},
        "waiting": waiting,
        "GB": peak_gigabytes(device),
        "first s": first,
        f"loss {CHECKED}": training.losses[CHECKED - 1],
        "kernels": kernels,
        "all_ms": [1000 * value for value in took],
    }


def longest_kernels(training: Training, count: int) -> list[tuple[str, float, float]]:
    """(name, ms, calls) per step of the kernels that take most of its time, and of all together."""
    if not count:
        return []
    steps = 3
    with torch.profiler.profile(activities=[*torch.profiler.supported_activities()]) as profiler:
        training.steps(steps)
        synchronize(training.device)
    events = [
        event for event in profiler.key_averages() if event.device_type != torch.autograd.DeviceType.CPU
    ]
    if training.device.type == "cpu":
        events = list(profiler.key_averages())
    rows = sorted(
        ((one.key[:110], _milliseconds(one) / steps, one.count / steps) for one in events),
        key=lambda row: -row[1],
    )
    total = ("all kernels", sum(row[1] for row in rows), sum(row[2] for row in rows))
    return [total, *rows[:count]]


def _milliseconds(event: Any) -> float:
    on_device = getattr(event, "self_device_time_total", 0.0)
    return (on_device or event.self_cpu_time_total) / 1000


def limits(setup: Setup) -> str:
    """How long the multiplications of a step take at the rate of a large one of matrices."""
    device, side = setup.device, setup.size.matrix
    training = Training(setup, Lever("count", Acceleration()))
    training.steps(1)
    with FlopCounterMode(display=False) as counter:
        training.steps(1)
    operations = counter.get_total_flops()
    one, other = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        one @ other
    took = timed(device, lambda: [one @ other for _ in range(10)]) / 10
    rate = 2 * side**3 / took
    return (
        f"A step takes {operations / 1e12:.3g} TFLOP; at the {rate / 1e12:.3g} TFLOP/s of bfloat16 matrices "
        f"of {side} that is {1000 * operations / rate:.3g} ms."
    )
