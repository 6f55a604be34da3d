"""Two commits, suite by suite, run in turn (A B A B ...): what `make bench-compare` does.

    python -m benchmarks.compare BASE [HEAD] [--only SUITE ...] [--rounds N] [--quick] [--data FOLDER]

Each commit is checked out into a temporary folder, with its own code and its own benchmarks, and runs with
the libraries that are installed here. A figure of a round is the median of its runs; the ratio HEAD / BASE
is taken round by round, so that a busy machine slows both sides of each ratio alike.
"""

import json
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figures import ROOT, digits, parser
from benchmarks.run import SUITES, run_suite, suite_options

USUAL = ("kernel", "stages")
Key = tuple[str, str, float | None]  # suite, name, place on the curve
Round = Mapping[Key, float]  # medians


@contextmanager
def worktree(repository: Path, commit: str) -> Iterator[Path]:
    """A commit's files in a temporary folder, which is gone after the block, also when it is interrupted.

    Raises:
        RuntimeError: there is no such commit.
    """
    with tempfile.TemporaryDirectory(prefix="dimmagen-compare-") as folder:
        place = Path(folder) / "tree"
        added = _git(repository, "worktree", "add", "--detach", str(place), commit)
        if added.returncode:
            raise RuntimeError(f"commit {commit} cannot be checked out: {added.stderr.strip()}")
        try:
            yield place
        finally:
            _git(repository, "worktree", "remove", "--force", str(place))


def _git(repository: Path, *words: str) -> subprocess.CompletedProcess:
    command = ["git", "-C", str(repository), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def medians(rows: Sequence[Mapping]) -> dict[Key, float]:
    return {(row["suite"], row["name"], row["at"]): row["median"] for row in rows}


def ratios(rounds: Sequence[tuple[Round, Round]]) -> dict[Key, list[float]]:
    """HEAD / BASE of each figure that both have, round by round; a BASE of 0 has no ratio."""
    found: dict[Key, list[float]] = {}
    for base, head in rounds:
        for key in base:
            if key in head and base[key]:
                found.setdefault(key, []).append(head[key] / base[key])
    return found


def compared(
    trees: Mapping[str, Path], suite: str, rounds: int, options: Sequence[str]
) -> list[tuple[Round, Round]]:
    """The suite's figures of both commits, in turn. The first, short run compiles and is thrown away.

    Raises:
        RuntimeError: one of the commits lacks the suite, or cannot run it.
    """
    for name, tree in trees.items():
        try:
            run_suite(suite, tree, *options, "--quick")
        except RuntimeError as error:
            raise RuntimeError(f"{name}: {error}") from error
    return [
        tuple(medians(run_suite(suite, tree, *options)) for tree in trees.values())  # type: ignore[misc]
        for _ in range(rounds)
    ]


def table(found: Mapping[Key, Sequence[float]], units: Mapping[Key, str] | None = None) -> Iterator[str]:
    yield "| suite | figure | HEAD / BASE, median | min | max | rounds |"
    yield "|---|---|--:|--:|--:|--:|"
    for (suite, name, at), values in found.items():
        where = "" if at is None else f" at {at:g}"
        numbers = " | ".join(digits(value) for value in (statistics.median(values), min(values), max(values)))
        yield f"| {suite} | {name}{where} | {numbers} | {len(values)} |"


def main(words: Sequence[str] | None = None, repository: Path = ROOT) -> None:
    arguments = parser(__doc__)
    arguments.add_argument("base", help="a commit")
    arguments.add_argument(
        "head", nargs="?", default="HEAD", help="another; what is not committed has no part"
    )
    arguments.add_argument("--only", action="append", help=f"of {', '.join(SUITES)}; may be repeated")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--out", type=Path, help="write the ratios of all rounds to this JSON file")
    asked = arguments.parse_args(words)
    before = signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(143)
    )  # a kill unwinds, too, and the folders go
    options = suite_options(asked.quick, asked.data)
    found: dict[Key, list[float]] = {}
    try:
        with worktree(repository, asked.base) as base, worktree(repository, asked.head) as head:
            trees = {f"BASE {asked.base}": base, f"HEAD {asked.head}": head}
            for suite in asked.only or USUAL:
                try:
                    found |= ratios(compared(trees, suite, asked.rounds, options))
                except RuntimeError as error:
                    print(f"{suite} is left out: {error}", flush=True)
    except RuntimeError as error:
        sys.exit(str(error))
    finally:
        signal.signal(signal.SIGTERM, before)
    print("\n".join(table(found)))
    if asked.out:
        rows = [{"suite": s, "name": n, "at": at, "ratios": r} for (s, n, at), r in found.items()]
        asked.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
