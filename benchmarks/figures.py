"""What every suite of benchmarks has in common: its options, its figures, the machine, a table and JSON.

A suite is a module with a function that takes :class:`Options` and yields :class:`Figure`; `main` makes a
command of it.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

# Before numpy: every figure is of one thread, unless it says how many workers there were.
os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})

import dimmagen
from dimmagen.core.environment import environment
from dimmagen.core.processors import processor_count

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"


@dataclass(frozen=True, slots=True)
class Options:
    """What a suite is asked for.

    Attributes:
        quick: few and short runs: to see that it works, not to be quoted.
        data: folder with `sources/`; where it is absent, photos that a dependency ships are taken.
    """

    quick: bool = False
    data: Path = DATA

    def runs(self, usual: int) -> int:
        return 1 if self.quick else usual


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was measured, once or several times.

    Attributes:
        name: unique in its suite, together with `at`.
        unit: of the values.
        values: at least one, in the order of the runs.
        at: where on a curve, such as a number of workers.
    """

    name: str
    unit: str
    values: Sequence[float]
    at: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def to_dict(self, suite: str) -> dict:
        return {
            "suite": suite,
            "name": self.name,
            "at": self.at,
            "unit": self.unit,
            "median": self.median,
            "min": min(self.values),
            "max": max(self.values),
            "runs": len(self.values),
            "values": list(self.values),
        }


Measure = Callable[[Options], Iterable[Figure]]


def seconds(action: Callable[[], object]) -> float:
    """How long one call takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def machine() -> dict:
    """What figures depend on; no name and no path of the machine."""
    return {
        "processor": _processor(),
        "cores": processor_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **environment(),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def parser(description: str | None) -> argparse.ArgumentParser:
    """With the options that all suites share."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help="a run of everything, too short to be quoted")
    made.add_argument("--data", type=Path, default=DATA, help="folder with sources/ of real photos")
    return made


def main(suite: str, measure: Measure, description: str | None) -> None:
    """The command of one suite: prints its table, and writes JSON where it is asked to."""
    arguments = parser(description)
    arguments.add_argument("--json", type=Path, help="write the figures to this file")
    asked = arguments.parse_args()
    check_origin()
    rows = []
    for figure in measure(Options(asked.quick, asked.data)):
        rows.append(figure.to_dict(suite))
        print(line(rows[-1]), flush=True)
    if asked.json:
        asked.json.write_text(
            json.dumps({"machine": machine(), "quick": asked.quick, "figures": rows}, indent=1)
        )


def check_origin() -> None:
    """The package that is measured must be the one beside these benchmarks, not another that is installed."""
    if Path(dimmagen.__file__).resolve().parents[1] != ROOT:
        sys.exit(f"another dimmagen would be measured than that of {ROOT}: run it there, with PYTHONPATH=.")


HEADER = "| suite | figure | median | min | max | runs |\n|---|---|--:|--:|--:|--:|"


def line(row: dict) -> str:
    """One row of the table, from a figure as JSON has it."""
    numbers = " | ".join(digits(row[key]) for key in ("median", "min", "max"))
    at = "" if row["at"] is None else f" at {row['at']:g}"
    return f"| {row['suite']} | {row['name']}{at}, {row['unit']} | {numbers} | {row['runs']} |"


def digits(number: float) -> str:
    return f"{number:.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def alternately(actions: Sequence[Callable[[], float]], runs: int) -> Iterator[list[float]]:
    """The values of each action, run in turn, so that a busy minute of the machine falls on all of them."""
    rounds = [[action() for action in actions] for _ in range(runs)]
    return map(list, zip(*rounds, strict=True))
