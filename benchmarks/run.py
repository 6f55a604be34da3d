"""All suites, each in a process of its own: what `make bench` does.

    python -m benchmarks.run [--quick] [--data FOLDER] [--only SUITE ...] [--out FILE] [--plot FILE]

Prints the machine and a table of medians, and writes both as JSON.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import scaling
from benchmarks.figures import HEADER, ROOT, line, machine, parser

SUITES = ("kernel", "png", "stages", "scan", "job", "memory", "scaling", "training", "transforms", "gpu")


def run_suite(suite: str, root: Path, *options: str) -> list[dict]:
    """The figures of one suite as the code below `root` makes them.

    Raises:
        RuntimeError: there is no such suite there, or it failed.
    """
    if not (root / "benchmarks" / f"{suite}.py").exists():
        raise RuntimeError(f"it has no suite {suite}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        command = [sys.executable, "-m", f"benchmarks.{suite}", "--json", str(file), *options]
        environment = {**os.environ, "PYTHONPATH": str(root)}
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
        if done.returncode or not file.exists():
            reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
            raise RuntimeError(f"suite {suite} failed there: {reason[0]}")
        return json.loads(file.read_text())["figures"]


def suite_options(quick: bool, data: Path) -> list[str]:
    return ["--data", str(data.resolve()), *(["--quick"] if quick else [])]


def main(words: Sequence[str] | None = None) -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--only", action="append", choices=SUITES, help="may be repeated")
    arguments.add_argument("--out", type=Path, help="write all figures to this JSON file")
    arguments.add_argument("--plot", type=Path, help="draw the suite `scaling` into this picture")
    asked = arguments.parse_args(words)
    described = machine()
    print(json.dumps(described), flush=True)
    print(f"\n{HEADER}", flush=True)
    rows: list[dict] = []
    for suite in asked.only or SUITES:
        for row in run_suite(suite, ROOT, *suite_options(asked.quick, asked.data)):
            rows.append(row)
            print(line(row), flush=True)
    if asked.out:
        report = {"machine": described, "quick": asked.quick, "figures": rows}
        asked.out.write_text(json.dumps(report, indent=1) + "\n")
    if asked.plot:
        scaling.plot(rows, asked.plot)
    if asked.quick:
        print("\nShort runs: they show that everything works and are no figures to be quoted.")


if __name__ == "__main__":
    main()
