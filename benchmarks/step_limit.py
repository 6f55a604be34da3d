"""How far a training step of `compact` is from what its convolutions alone would take, on one thread.

    OMP_NUM_THREADS=1 python -m benchmarks.step_limit

Each convolution of the network is timed alone, forward and backward, with warm caches. Their sum is the limit
of a step whose remainder costs nothing; their work at the best rate of any convolution is that of a perfect
library.
Times are processor time, the least of several, so that other work on the machine counts little.
"""

import resource
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.training import BATCH, CROP
from dimmagen.core.environment import environment
from dimmagen.core.memory import kept_memory
from dimmagen.enhance.batch import Batch
from dimmagen.enhance.losses import EnhancementLoss
from dimmagen.enhance.network import EnhancementNetwork
from dimmagen.enhance.state import TrainSettings, TrainState
from dimmagen.enhance.step import optimise

RUNS = 20
SIDES = ((512, 4), (1024, 3), (2048, 1))  # of matrices, and how often


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    state = TrainState(EnhancementNetwork("compact"), TrainSettings(learning_rate=1e-3))
    batch = random_batch()
    print(f"{environment()['machine']}, torch {torch.__version__}\n")
    with FlopCounterMode(display=False) as counter:
        step(state, batch)
    work = counter.get_total_flops() / 1e9
    for name, memory in (("as it is", nullcontext()), ("memory kept", kept_memory())):
        with memory:  # before anything large is freed, which makes glibc keep more
            seconds, faults = step_figures(state, batch)
        print(f"a step, {name}: {1000 * seconds:.1f} ms (median), {faults:.0f} page faults")
    matrices = max(2 * side**3 / least(matrix_product(side), runs) / 1e9 for side, runs in SIDES)
    rows = [convolution(*one) for one in convolutions(state.network, batch)]
    alone = sum(seconds for _, _, seconds in rows)
    best = max(done / seconds for _, done, seconds in rows)
    print("\n| convolution | GFLOP | ms alone | GFLOP/s |\n|---|--:|--:|--:|")
    for name, done, seconds in rows:
        print(f"| {name} | {done:.2f} | {1000 * seconds:.2f} | {done / seconds:.0f} |")
    print(f"\nwork of a step: {work:.2f} GFLOP; matrix product: {matrices:.0f} GFLOP/s")
    print(f"convolutions alone: {1000 * alone:.1f} ms; at the best one's rate: {1000 * work / best:.1f} ms")


def random_batch() -> Batch:
    shape = (BATCH, CROP, CROP, 3)
    dark, light = (torch.randint(0, most, shape, dtype=torch.uint8) for most in (60, 255))
    return Batch(tuple("pair" * BATCH), dark, light, torch.full((BATCH,), 400))


def step(state: TrainState, batch: Batch) -> None:
    optimise(state.network, state, EnhancementLoss(), batch, 1e-3)


def convolutions(network: nn.Module, batch: Batch) -> list[tuple[str, nn.Module, Tensor]]:
    """Every convolution of a network with the input that it has in a step."""
    found: list[tuple[str, nn.Module, Tensor]] = []
    hooks = [
        module.register_forward_hook(
            lambda module, inputs, output, name=name: found.append((name, module, inputs[0].detach()))
        )
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
    ]
    network(batch.inputs, batch.condition)
    for hook in hooks:
        hook.remove()
    return found


def convolution(name: str, module: nn.Module, inputs: Tensor) -> tuple[str, float, float]:
    """Name, work in GFLOP and seconds of one convolution, forward and backward as in a step."""
    transposed = isinstance(module, nn.ConvTranspose2d)
    with torch.no_grad():
        output = module(inputs)
    gradient = torch.randn_like(output)
    needed = [not name.endswith("stem"), True, True]  # nobody asks for the gradient of the dark image

    def forward() -> None:
        with torch.no_grad():
            module(inputs)

    def backward() -> None:
        torch.ops.aten.convolution_backward(
            gradient,
            inputs,
            module.weight.detach(),
            [len(module.bias)],
            module.stride,
            module.padding,
            module.dilation,
            transposed,
            [0, 0],
            1,
            needed,
        )

    with FlopCounterMode(display=False) as counter:
        forward()
        backward()
    return name, counter.get_total_flops() / 1e9, least(forward) + least(backward)


def matrix_product(side: int) -> Callable[[], object]:
    first, second = torch.rand(side, side), torch.rand(side, side)
    return lambda: first @ second


def least(action: Callable[[], object], runs: int = RUNS) -> float:
    """Processor seconds of an action: the least of some runs."""
    action()
    return min(seconds_of(action) for _ in range(runs))


def step_figures(state: TrainState, batch: Batch) -> tuple[float, float]:
    """Median processor seconds and page faults of a step."""
    for _ in range(3):
        step(state, batch)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    times = sorted(seconds_of(lambda: step(state, batch)) for _ in range(RUNS))
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    return times[RUNS // 2], faults / RUNS


def seconds_of(action: Callable[[], object]) -> float:
    began = time.process_time()
    action()
    return time.process_time() - began


if __name__ == "__main__":
    main()
