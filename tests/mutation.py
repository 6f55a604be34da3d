"""Mutation testing by mutmut: which tests judge a changed module, and what came of it.

`make mutants` loads this file as a plug-in of pytest, and then runs it for a table by module. mutmut judges a
change by the tests that call the changed function. Two things it does not know: a fixture that several tests
share calls functions for all of them, and a test far from a module says little about it and takes long.
"""

import json
import os
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from mutmut.state import state
from mutmut.stats import status_by_exit_code

# By module, else by room: files of tests, or single tests. Left out are tests in other processes, which the
# change does not reach, and those that take long.
JUDGES = {
    "dimmagen.generate": (
        "tests/generate/test_generate_run.py",
        "tests/generate/test_resume.py",
        "tests/generate/test_plan.py",
        "tests/generate/test_preflight.py",
    ),
    "dimmagen.generate.derive": ("tests/generate/test_derive.py",),
    "dimmagen.generate.replay": ("tests/generate/test_replay.py", "tests/cli/test_reproduce.py"),
    "dimmagen.generate.from_manifest": ("tests/generate/test_replay.py", "tests/cli/test_reproduce.py"),
    "dimmagen.generate.finalize": (
        "tests/generate/test_generate_run.py",
        "tests/generate/test_derive.py",
        "tests/dataset/",
    ),
    "dimmagen.dataset": ("tests/dataset/", "tests/hostile/test_documents.py", "tests/cli/test_peek.py"),
    "dimmagen.dataset.manifest": (
        "tests/dataset/",
        "tests/hostile/test_documents.py",
        "tests/generate/test_generate_run.py",
        "tests/generate/test_derive.py",
        "tests/cli/test_reproduce.py",
    ),
    "dimmagen.dataset.statistics": ("tests/dataset/", "tests/generate/test_derive.py"),
    "dimmagen.dimmers": ("tests/dimmers/",),
    "dimmagen.dimmers.dimmer": ("tests/dimmers/", "tests/generate/test_generate_run.py"),
    "dimmagen.dimmers.profile": (
        "tests/dimmers/",
        "tests/cli/test_profile_commands.py",
        "tests/hostile/test_documents.py",
    ),
}
LEFT_OUT = (
    "test_working_directory_time_zone_umask_and_threads_change_nothing",
    "test_the_locale_changes_nothing[C]",
    "test_the_locale_changes_nothing[tr_TR.UTF-8]",
    "test_shards_that_are_made_together_have_the_bytes_of_those_made_alone[3]",
    "test_shards_that_are_made_together_have_the_bytes_of_those_made_alone[5]",
    "test_croissant_is_valid_and_its_records_are_the_pairs",
    "test_data_loader_workers_give_every_pair_once[4]",
    "test_a_fit_names_shifted_pairs_and_makes_a_profile_that_dims",
)

_called_by_fixture: dict = defaultdict(set)


def _is_judge(test: str, function: str) -> bool:
    module = function.partition(".x")[0]
    judges = JUDGES.get(module) or JUDGES[module.rpartition(".")[0]]
    return test.startswith(judges)


def _is_counting() -> bool:
    return os.environ.get("MUTANT_UNDER_TEST") == "stats"


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef):
    if not _is_counting():
        return (yield)
    before, called = set(state()._stats), state()._stats
    called.clear()
    try:
        return (yield)
    finally:
        _called_by_fixture[fixturedef] = set(called)
        called |= before


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item):
    if not _is_counting():
        return
    called = state()._stats
    for definitions in item._fixtureinfo.name2fixturedefs.values():
        for definition in definitions:
            called |= _called_by_fixture[definition]
    test = item.nodeid.removeprefix("mutants/")
    called &= {function for function in called if _is_judge(test, function)}


def pytest_collection_modifyitems(config, items):
    """Tests of one file together, whose fixtures are then made once."""
    items.sort(key=lambda item: item.location[:2])
    left_out = [item for item in items if item.name in LEFT_OUT]
    items[:] = [item for item in items if item.name not in LEFT_OUT]
    config.hook.pytest_deselected(items=left_out)


def _table() -> str:
    """Markdown: a row for each mutated module."""
    columns = ("killed", "survived", "no tests", "timeout", "not checked")
    lines = [f"| module | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    total = Counter[str]()
    for file in sorted(Path("mutants/dimmagen").rglob("*.py.meta")):
        codes = json.loads(file.read_text())["exit_code_by_key"].values()
        counts = Counter(status_by_exit_code[code] for code in codes)
        total += counts
        module = file.relative_to("mutants").as_posix().removesuffix(".meta")
        lines.append(f"| {module} | {' | '.join(str(counts[column]) for column in columns)} |")
    lines.append(f"| all | {' | '.join(str(total[column]) for column in columns)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(_table())
