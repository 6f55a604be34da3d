"""What makes a training step of the paper's network, and enhancing with it, fast on a GPU: lever by lever.

    python -m benchmarks.gpu_training [--quick] [--minutes 8] [--lpips-weights FILE] [--data DATASET]
        [--only ROW] [--autotune] [--json FILE]

One table: the base (everything as a processor has it), each lever of `dimmagen.enhance.acceleration` alone,
all of them, all of them compiled, reading from a data set (`--data`), enhancing. The crops of a step are
random; so are the weights of LPIPS where none are given, which take as long. A row that fails says why, and
the others go on; rows that no longer fit into the minutes are left out by name. On a processor there is
`--quick`, which shows that everything runs. It needs no Ray.
"""

import argparse
import gc
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from dimmagen.enhance.acceleration import ON_GPUS, Acceleration, compiled
from dimmagen.enhance.batch import Batch, Crops, Example, make_batch
from dimmagen.enhance.distributed_context import SINGLE_PROCESS
from dimmagen.enhance.enhancer import Enhancer
from dimmagen.enhance.losses import EnhancementLoss
from dimmagen.enhance.network import EnhancementNetwork
from dimmagen.enhance.prefetch import Waiting, on_device
from dimmagen.enhance.recorded_step import recorded
from dimmagen.enhance.state import TrainSettings, TrainState
from dimmagen.enhance.step import Ledger, optimise
from dimmagen.metrics import lpips

CHECKED = 10  # steps after which every row has the same loss, but for rounding
PHASES = ("inputs", "forward", "loss", "backward", "optimizer", "average")
COLUMNS = ("what", "rate", "ms", *PHASES, "waiting", "GB", "first s", f"loss {CHECKED}")
AFTER_ENHANCING = "all, compiled, norms"  # and what follows it: of less interest, or slow to compile
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


def training_levers(data: bool, autotune: bool = False) -> list[Lever]:
    """The rows, the most telling first: the last ones are left out when time runs out."""
    base = Acceleration()
    everything = ON_GPUS
    contiguous = replace(everything, channels_last=False)
    launched = replace(everything, graph=False)
    rows = [
        Lever("base", base, True),
        Lever("inputs on the device", base),
        Lever("channels first", replace(base, channels_last=False), True),
        Lever("norms in bfloat16", replace(base, bf16_norms=True), True),
        Lever("norms in bfloat16, channels first", replace(base, bf16_norms=True, channels_last=False), True),
        Lever("LPIPS in bfloat16", replace(base, bf16_loss=True), True),
        Lever("fused Adam", replace(base, fused_adam=True), True),
        Lever("fetched late", replace(base, fused_adam=True, fetch_every=25), True),
        Lever("TF32", replace(base, tf32=True), True),
        Lever("cuDNN benchmark", replace(base, benchmark=True), True),
        Lever("prefetched", replace(base, prefetch=4)),
        Lever("all, not compiled", launched),
        Lever("all, channels first", replace(launched, channels_last=False)),
        Lever("all, channels first, norms", replace(launched, channels_last=False, bf16_norms=True)),
        Lever("all, compiled", replace(launched, compile="default")),
        Lever("all, recorded", everything),
        Lever("all, recorded, channels first", contiguous),
        Lever("all, recorded, channels first, norms", replace(contiguous, bf16_norms=True)),
        Lever("all, recorded, compiled", replace(everything, compile="default")),
        Lever("all, compiled, norms", replace(launched, bf16_norms=True, compile="default")),
        Lever("compiled alone", replace(base, compile="default"), True),
        Lever("all, compiled, channels first", replace(launched, channels_last=False, compile="default")),
    ]
    if data:
        best = replace(everything, compile="default")
        rows += [Lever(f"all, compiled, {n} loaders read", best, loaders=n) for n in (0, 4, 8)]
    if autotune:  # minutes for each of many shapes
        rows.append(Lever("all, autotuned", replace(everything, compile="max-autotune-no-cudagraphs")))
    return rows


class Clock:
    """Marks the ends of phases on the device."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.marks: list[tuple[str, Any]] = []

    def mark(self, name: str) -> None:
        if self.device.type == "cuda":
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self.marks.append((name, event))
        else:
            self.marks.append((name, time.perf_counter()))

    def around(self, before: str, function: Callable, after: str) -> Callable:
        def call(*arguments):
            self.mark(before)
            result = function(*arguments)
            self.mark(after)
            return result

        return call

    def milliseconds(self) -> dict[str, float]:
        """Median length of each phase, which begins where the one before it ends."""
        synchronize(self.device)
        lengths: dict[str, list[float]] = {}
        for (_, began), (name, ended) in itertools.pairwise(self.marks):
            on_gpu = self.device.type == "cuda"
            took = began.elapsed_time(ended) if on_gpu else 1000 * (ended - began)
            lengths.setdefault(name, []).append(took)
        return {name: float(np.median(values)) for name, values in lengths.items() if name != "begin"}


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(device: torch.device, action: Callable[[], object]) -> float:
    """Seconds, until the device is done."""
    synchronize(device)
    began = time.perf_counter()
    action()
    synchronize(device)
    return time.perf_counter() - began


def peak_gigabytes(device: torch.device) -> float | None:
    return torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else None


def forget(device: torch.device) -> None:
    """Give back what the row before it held."""
    torch._dynamo.reset()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


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
        network.use_memory_format(lever.accelerated.channels_last)
        if lever.accelerated.bf16_norms:
            network.use_bfloat16_norms()
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
        "all_ms": [1000 * value for value in took],
    }


@dataclass(frozen=True)
class Brightening:
    """One row of enhancing."""

    name: str
    bf16: bool = False
    channels_last: bool = True
    window: bool = False
    compile: str | None = None
    bf16_norms: bool = False
    memory_gb: float = 8.0


ENHANCING = [
    Brightening("enhance, float32"),
    Brightening("enhance, float32, channels first", channels_last=False),
    Brightening("enhance, bfloat16", True),
    Brightening("enhance, bfloat16, channels first", True, False),
    Brightening("enhance, bfloat16, channels first, norms", True, False, bf16_norms=True),
    Brightening("enhance, bfloat16, windows", True, window=True),
    Brightening("enhance, bfloat16, windows, compiled", True, window=True, compile="default"),
]


def enhance_row(setup: Setup, how: Brightening) -> dict[str, Any]:
    size, device = setup.size, setup.device
    torch.manual_seed(0)
    network = EnhancementNetwork(size.architecture).to(device).eval()
    network.use_memory_format(how.channels_last)
    if how.bf16_norms:
        network.use_bfloat16_norms()
    window = size.crop if how.window else None
    enhancer = Enhancer(network, how.memory_gb, window=window, bf16=how.bf16)
    enhancer.forward = compiled(network, how.compile)
    picture = np.random.default_rng(0).integers(0, 60, (*size.picture, 3), dtype=np.uint8)
    first = timed(device, lambda: enhancer.enhance(picture, 0.5))
    took = [timed(device, lambda: enhancer.enhance(picture, 0.5)) for _ in range(3)]
    seconds = float(np.median(took))
    rate = picture.shape[0] * picture.shape[1] / 1e6 / seconds
    return {
        "rate": rate,
        "unit": "Mpix/s",
        "ms": 1000 * seconds,
        "GB": peak_gigabytes(device),
        "first s": first,
    }


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


def describe(device: torch.device) -> str:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "processor"
    return f"{name}, torch {torch.__version__}, python {sys.version.split()[0]}"


def cell(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    if name == "rate" and value is not None:
        return f"{value:.3g} {row['unit']}"
    return "" if value is None else value if isinstance(value, str) else f"{value:.3g}"


def line(row: dict[str, Any]) -> str:
    if "failed" in row:
        return f"| {row['what']} | {row['failed']} |" + " |" * (len(COLUMNS) - 2)
    return "| " + " | ".join(cell(row, name) for name in COLUMNS) + " |"


class Report:
    """Prints each row as it is measured, and keeps all of them in a file."""

    def __init__(self, path: Path | None, header: dict[str, Any]) -> None:
        self.path, self.content = path, {**header, "rows": []}

    def add(self, row: dict[str, Any]) -> None:
        self.content["rows"].append(row)
        print(line(row), flush=True)
        if self.path is not None:
            self.path.write_text(json.dumps(self.content, indent=1))


def attempt(name: str, action: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return {"what": name, **action()}
    except Exception as error:  # the other rows go on
        reason = " ".join(str(error).split())[:160]
        return {"what": name, "failed": f"failed: {type(error).__name__}: {reason}".replace("|", "/")}


def rows(setup: Setup) -> Iterator[tuple[str, bool, Callable[[], dict[str, Any]]]]:
    """(name, whether it is compiled, measure it), in the order of the table."""
    training = training_levers(setup.data is not None, setup.autotune)
    names = [lever.name for lever in training]
    split = names.index(AFTER_ENHANCING) if AFTER_ENHANCING in names else len(names)
    for lever in training[:split]:
        yield lever.name, lever.accelerated.compile is not None, lambda lever=lever: train_row(setup, lever)
    for how in ENHANCING:
        yield how.name, how.compile is not None, lambda how=how: enhance_row(setup, how)
    for lever in training[split:]:
        yield lever.name, lever.accelerated.compile is not None, lambda lever=lever: train_row(setup, lever)


def measure(setup: Setup, report: Report, minutes: float, only: Sequence[str] = ()) -> None:
    began = time.monotonic()
    longest = {False: 0.0, True: 0.0}  # of the rows so far, by whether they are compiled
    for name, is_compiled, action in rows(setup):
        if only and name not in only:
            continue
        left = 60 * minutes - (time.monotonic() - began)
        if left < 1.2 * longest[is_compiled]:
            report.add({"what": name, "failed": "left out: no time"})
            continue
        row_began = time.monotonic()
        forget(setup.device)
        report.add(attempt(name, action))
        longest[is_compiled] = max(longest[is_compiled], time.monotonic() - row_began)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes, on any device: shows that it runs")
    parser.add_argument("--minutes", type=float, default=8.0, help="no row begins that would end after them")
    parser.add_argument("--lpips-weights", type=Path, help="lpips_vgg16.safetensors, or its folder")
    parser.add_argument("--data", help="pair data set to read from")
    parser.add_argument("--only", action="append", metavar="ROW", help="this row; may be given several times")
    parser.add_argument("--autotune", action="store_true", help="also with torch's slowest compiler")
    parser.add_argument("--json", type=Path, help="write the rows to this file, as they are measured")
    asked = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu" and not asked.quick:
        sys.exit("torch sees no GPU here: --quick shows that everything runs")
    size = QUICK if asked.quick else Size()
    setup = Setup(size, device, asked.lpips_weights, asked.data, asked.autotune, random_batches(size))
    limit = attempt("limits", lambda: {"text": limits(setup)})
    header = {"device": describe(device), "quick": asked.quick, "size": vars(size), "limits": limit}
    print(f"{header['device']}: {size.architecture}, {size.batch} crops of {size.crop}, bfloat16, LPIPS")
    print(limit.get("text", limit.get("failed")), end="\n\n")
    print("| " + " | ".join(COLUMNS) + " |\n|---|" + "--:|" * (len(COLUMNS) - 1), flush=True)
    measure(setup, Report(asked.json, header), asked.minutes, asked.only or ())


if __name__ == "__main__":
    main()
