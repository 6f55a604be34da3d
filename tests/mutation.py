"""Mutation testing: small changes of the code, one at a time, each against the tests that should notice it.

    python -m tests.mutation                                         # all that have no verdict yet
    python -m tests.mutation --share 0.2 "dimmagen.dimmers*"         # of some of them, a fixed fifth
    python -m tests.mutation --again "dimmagen.generate.plan*"       # those that survived, once more
    python -m tests.mutation --list                                  # what survived, and the table

mutmut makes the changes, in the folder `mutants`; `tests/mutation_judge.py` judges them, those of compiled
kernels in a process of their own, where these are interpreted.
"""

import argparse
import ast
import fnmatch
import importlib
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path

import pytest

from tests.mutation_decorated import InterpretedNumpy, change_decorated_functions
from tests.mutation_judge import Judge, module_of
from tests.mutation_judges import KERNELS, judges_of

# Tests in other processes, which the change does not reach, and those that take long.
LEFT_OUT = (
    "test_a_file_of_someone_else_among_the_shards_is_refused_before_anything_is_touched",
    "test_a_fit_names_shifted_pairs_and_makes_a_profile_that_dims",
    "test_a_run_that_adds_variants_and_is_killed_at_any_step_of_its_beginning_keeps_every_shard",
    "test_a_run_that_is_killed_while_it_discards_another_one_is_resumed_to_the_same_bytes",
    "test_the_page_filters_brightens_and_compares_in_a_browser",
)
LONGEST, LONGEST_AGAIN = 2.0, 6.0  # seconds of processor time of the tests for one change
MUTANTS, VERDICTS = Path("mutants"), Path("mutants/verdicts.json")
_INSIDE = ast.expr | ast.stmt | ast.keyword | ast.arguments | ast.comprehension
COLUMNS = ("killed", "survived", "timeout", "no tests", "not judged", "left out")


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one expression.

    Attributes:
        name: mutmut's.
        before, after: the expression, as source.
        is_text: nothing that a result depends on; not judged.
    """

    name: str
    before: str
    after: str
    is_text: bool


def all_changes() -> Iterator[Change]:
    """The changes that are in `mutants`."""
    for file in sorted((MUTANTS / "dimmagen").rglob("*.py.meta")):
        tree = ast.parse(file.with_suffix("").read_text())
        functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        for name in json.loads(file.read_text())["exit_code_by_key"]:
            changed = functions[name.rpartition(".")[2]]
            original = functions[changed.name.rpartition("__mutmut_")[0] + "__mutmut_orig"]
            before, after, around = _difference(original, changed)
            yield Change(name, _shown(before), _shown(after), _is_text(before, after, around))


def _difference(old: ast.AST, new: ast.AST, around: tuple = ()) -> tuple[ast.AST, ast.AST, tuple]:
    """The innermost expressions that differ, and what is around them."""
    children = zip_longest(ast.iter_child_nodes(old), ast.iter_child_nodes(new))
    differ = [pair for pair in children if None in pair or ast.dump(pair[0]) != ast.dump(pair[1])]
    is_inside = type(old) is type(new) and len(differ) == 1 and None not in differ[0]
    if is_inside and isinstance(differ[0][0], _INSIDE):
        return _difference(*differ[0], (*around, old))
    return old, new, around


def _shown(node: ast.AST) -> str:
    return ast.unparse(node.args if isinstance(node, ast.FunctionDef) else node)


def _is_text(before: ast.AST, after: ast.AST, around: tuple) -> bool:
    """Whether a change is of a sentence, of a text's case, of a message, or of the `strict` of a `zip`."""
    if any(_is_of_a_message(node) for node in (*around, before)):
        return True
    if isinstance(before, ast.Constant) and isinstance(before.value, str) and isinstance(after, ast.Constant):
        return " " in before.value.strip() or not str(after.value).startswith("XX")
    if isinstance(before, ast.Call) and isinstance(after, ast.Call) and ast.unparse(before.func) == "zip":
        return [ast.dump(one) for one in before.args] == [ast.dump(one) for one in after.args]
    return False


def _is_of_a_message(node: ast.AST) -> bool:
    if isinstance(node, ast.keyword):
        return node.arg == "strict"
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        return name.endswith("Error") or name == "Fault" or name.startswith("_LOG.")
    return isinstance(node, ast.Raise)


def table(changes: list[Change], verdicts: dict[str, list]) -> str:
    """Markdown: a row for each module."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for change in changes:
        verdict = verdicts.get(change.name, ["not judged"])[0]
        counts[module_of(change.name)]["left out" if change.is_text else verdict] += 1
    counts["all"] = sum(counts.values(), Counter())
    lines = [f"| module | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for module, count in counts.items():
        shown = module.removeprefix("dimmagen.").replace(".", "/") + ".py" * (module != "all")
        lines.append(f"| {shown} | {' | '.join(f'{count[column]:,}' for column in COLUMNS)} |")
    return "\n".join(lines)


def make_changes() -> None:
    """Write the package with all changes into the folder `mutants`; files that are as they were stay."""
    from mutmut import __main__ as mutmut

    mutmut.set_mutant_under_test("mutant_generation")
    change_decorated_functions()
    MUTANTS.mkdir(exist_ok=True)
    for path in tomllib.loads(Path("pyproject.toml").read_text())["tool"]["mutmut"]["only_mutate"]:
        if not (MUTANTS / f"{path}.meta").exists():  # listed since, and copied as it is before
            (MUTANTS / path).unlink(missing_ok=True)
    mutmut.copy_src_dir()
    mutmut.copy_also_copy_files()
    mutmut.create_mutants(1)


def choose(changes: list[Change], options: argparse.Namespace, verdicts: dict[str, list]) -> list[str]:
    """Names of the changes to judge, those of one function together."""
    chosen = []
    for change in changes:
        share = int(sha256(change.name.encode()).hexdigest()[:8], 16) / 2**32
        verdict = verdicts.get(change.name, ["not judged"])[0]
        is_open = verdict in (("survived", "no tests") if options.again else ("not judged",))
        is_named = any(fnmatch.fnmatch(change.name, pattern) for pattern in options.names or ["*"])
        if is_named and is_open and share < options.share and not change.is_text:
            chosen.append(change.name)
    return sorted(chosen, key=lambda name: name.rpartition("__mutmut_")[0])


def judge(names: list[str], verdicts: dict[str, list], longest: float) -> None:
    """Judge changes in this process, whose working directory is `mutants`, and write the verdicts."""
    judges = {module: judges_of(module) for module in map(module_of, names)}
    files = sorted({test.partition("::")[0] for tests in judges.values() for test in tests})
    for module in KERNELS if "NUMBA_DISABLE_JIT" in os.environ else ():
        importlib.import_module(module).np = InterpretedNumpy()
    done = 0

    def note(name: str, verdict: str, killer: str, seconds: float) -> None:
        nonlocal done
        done += 1
        verdicts[name] = [verdict, killer, round(seconds, 2)]
        if done % 20 == 0 or done == len(names) or verdict != "killed":
            Path(VERDICTS.name).write_text(json.dumps(verdicts, indent=0))
            print(f"{done}/{len(names)} {verdict} {name}", file=sys.stderr, flush=True)

    options = ["-q", "-s", "-n", "0", "--tb=no", "--rootdir=.", "-m", "not slow and not ray"]
    pytest.main([*options, *files], plugins=[Judge(names, judges, LEFT_OUT, note, _make_a_set, longest)])


def _make_a_set() -> None:
    from tests.tiny_set import tiny_set

    with tempfile.TemporaryDirectory() as folder:
        tiny_set(Path(folder) / "out")


def main() -> None:
    """Make the changes, judge those that were asked for, and show what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", help="patterns of names of changes")
    parser.add_argument("--share", type=float, default=1.0, help="share of them")
    parser.add_argument("--again", action="store_true", help="those that survived, once more")
    parser.add_argument("--list", action="store_true", help="only show what survived")
    options = parser.parse_args()
    verdicts = json.loads(VERDICTS.read_text()) if VERDICTS.exists() else {}
    if not options.list:
        make_changes()
    changes = list(all_changes())
    names = [] if options.list else choose(changes, options, verdicts)
    folder = str(MUTANTS.absolute())
    for settings in ({}, {"NUMBA_DISABLE_JIT": "1"}):
        some = [name for name in names if (module_of(name) in KERNELS) == bool(settings)]
        if not some:
            continue
        subprocess.run(
            [sys.executable, "-c", "import tests.mutation; tests.mutation.judge_input()"],
            input=json.dumps([some, verdicts, LONGEST_AGAIN if options.again else LONGEST]),
            cwd=folder,
            env={**os.environ, "PYTHONPATH": folder, "OMP_NUM_THREADS": "1", **settings},
            check=True,
            text=True,
        )
        verdicts = json.loads(VERDICTS.read_text())
    for change in changes:
        if verdicts.get(change.name, ["killed"])[0] != "killed" and not change.is_text:
            print(f"{verdicts[change.name][0]} {change.name}: {change.before}  ->  {change.after}")
    print(table(changes, verdicts))


def judge_input() -> None:
    """What the process of :func:`judge` runs; its input is JSON."""
    judge(*json.loads(sys.stdin.read()))


if __name__ == "__main__":
    main()
