"""What makes a training step of the paper's network, and enhancing with it, fast on a GPU: lever by lever.

    python -m benchmarks.gpu_training [--quick] [--minutes 8] [--lpips-weights FILE] [--data DATASET]
        [--only ROW] [--kernels N] [--autotune] [--json FILE]

One table: the base (everything as a processor has it), each lever of `dimmagen.enhance.acceleration` alone,
all of them, all of them compiled, reading from a data set (`--data`), enhancing. The crops of a step are
random; so are the weights of LPIPS where none are given, which take as long. A row that fails says why, and
the others go on; rows that no longer fit into the minutes are left out by name. On a processor there is
`--quick`, which shows that everything runs. It needs no Ray.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.gpu_clock import forget, peak_gigabytes, timed
from benchmarks.gpu_training_step import (
    CHECKED,
    PHASES,
    QUICK,
    Lever,
    Setup,
    Size,
    limits,
    random_batches,
    train_row,
)
from dimmagen.enhance.acceleration import ON_GPUS, Acceleration, compiled
from dimmagen.enhance.enhancer import Enhancer
from dimmagen.enhance.network import EnhancementNetwork

COLUMNS = ("what", "rate", "ms", *PHASES, "waiting", "GB", "first s", f"loss {CHECKED}")
AFTER_ENHANCING = "compiled alone"  # and what follows it: of less interest, or slow to compile


def training_levers(data: bool, autotune: bool = False) -> list[Lever]:
    """The rows, the most telling first: the last ones are left out when time runs out."""
    base = Acceleration()
    everything = replace(ON_GPUS, channels_last=True)
    contiguous = replace(everything, channels_last=False)
    launched = replace(everything, graph=False)
    fused = replace(everything, fused_norms=True)
    rows = [
        Lever("base", base, True),
        Lever("inputs on the device", base),
        Lever("channels first", replace(base, channels_last=False), True),
        Lever("LPIPS in bfloat16", replace(base, bf16_loss=True), True),
        Lever("fused Adam", replace(base, fused_adam=True), True),
        Lever("fetched late", replace(base, fused_adam=True, fetch_every=25), True),
        Lever("TF32", replace(base, tf32=True), True),
        Lever("cuDNN benchmark", replace(base, benchmark=True), True),
        Lever("prefetched", replace(base, prefetch=4)),
        Lever("all, not compiled", launched),
        Lever("all, channels first", replace(launched, channels_last=False)),
        Lever("all, compiled", replace(launched, compile="default")),
        Lever("all, recorded", everything),
        Lever("all, recorded, channels first", contiguous),
        Lever("all, recorded, fused norms, cuDNN as it is", replace(fused, benchmark=False)),
        Lever("all, recorded, fused norms", fused),
        Lever("all, recorded, fused norms, compiled", replace(fused, compile="default")),
        Lever("all, recorded, compiled", replace(everything, compile="default")),
        Lever("compiled alone", replace(base, compile="default"), True),
        Lever("all, compiled, channels first", replace(launched, channels_last=False, compile="default")),
    ]
    if data:
        rows += [Lever(f"all, recorded, fused norms, {n} loaders read", fused, loaders=n) for n in (0, 4, 8)]
    if autotune:  # minutes for each of many shapes
        rows.append(Lever("all, autotuned", replace(fused, compile="max-autotune-no-cudagraphs")))
    return rows


@dataclass(frozen=True)
class Brightening:
    """One row of enhancing."""

    name: str
    bf16: bool = False
    channels_last: bool = True
    window: bool = False
    compile: str | None = None
    fused_norms: bool = False
    memory_gb: float = 8.0


ENHANCING = [
    Brightening("enhance, float32"),
    Brightening("enhance, float32, channels first", channels_last=False),
    Brightening("enhance, float32, fused norms", fused_norms=True),
    Brightening("enhance, bfloat16", True),
    Brightening("enhance, bfloat16, fused norms", True, fused_norms=True),
    Brightening("enhance, bfloat16, channels first", True, False),
    Brightening("enhance, bfloat16, windows", True, window=True),
    Brightening("enhance, bfloat16, windows, compiled", True, window=True, compile="default"),
]


def enhance_row(setup: Setup, how: Brightening) -> dict[str, Any]:
    size, device = setup.size, setup.device
    torch.manual_seed(0)
    network = EnhancementNetwork(size.architecture).to(device).eval()
    network.use(Acceleration(how.channels_last, fused_norms=how.fused_norms))
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
        for name, milliseconds, calls in row.get("kernels", ()):
            print(f"    {milliseconds:7.3f} ms {calls:6.1f} x {name}", flush=True)
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
    parser.add_argument("--kernels", type=int, default=0, help="also the N kernels that take most of a step")
    parser.add_argument("--autotune", action="store_true", help="also with torch's slowest compiler")
    parser.add_argument("--json", type=Path, help="write the rows to this file, as they are measured")
    asked = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu" and not asked.quick:
        sys.exit("torch sees no GPU here: --quick shows that everything runs")
    size = QUICK if asked.quick else Size()
    setup = Setup(
        size, device, asked.lpips_weights, asked.data, asked.autotune, random_batches(size), asked.kernels
    )
    limit = attempt("limits", lambda: {"text": limits(setup)})
    header = {"device": describe(device), "quick": asked.quick, "size": vars(size), "limits": limit}
    print(f"{header['device']}: {size.architecture}, {size.batch} crops of {size.crop}, bfloat16, LPIPS")
    print(limit.get("text", limit.get("failed")), end="\n\n")
    print("| " + " | ".join(COLUMNS) + " |\n|---|" + "--:|" * (len(COLUMNS) - 1), flush=True)
    measure(setup, Report(asked.json, header), asked.minutes, asked.only or ())


if __name__ == "__main__":
    main()
