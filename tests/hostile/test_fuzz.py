"""Damaged untrusted files: each gets a verdict, whatever the damage."""

import json
import random
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from dimmagen.sources import SOURCES
from tests import fuzzing
from tests.commands import exit_code

COUNT = 1000


@pytest.mark.slow
@pytest.mark.needs("limits", "signals")
def test_a_thousand_mutations_of_real_images_and_clips_crash_hang_or_fill_nothing():
    outcomes = list(fuzzing.fuzz(COUNT))
    assert [outcome.fault for outcome in outcomes if outcome.fault] == []
    verdicts = sum((fuzzing.Counter(outcome.verdicts) for outcome in outcomes), fuzzing.Counter())
    assert verdicts.total() == COUNT
    # The damage is neither so small that nothing is rejected nor so large that no decoder is reached.
    assert verdicts["unreadable"] > COUNT / 10
    assert verdicts["accepted"] > COUNT / 10


@pytest.mark.needs("limits", "signals")
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "was killed by SIGSEGV"),
        ("time.sleep(600)", "was killed by SIGALRM"),
        ("sum(itertools.repeat(0))", "was killed by SIGPROF"),
        ("raise KeyError('no header')", "no header"),
        ("b'x' * 2**30; return 'ok'", "MiB"),
    ],
)
def test_the_harness_reports_a_crash_a_hang_an_exception_and_memory_with_the_index(
    body, message, tmp_path, monkeypatch
):
    limit = "PATIENCE" if "sleep" in body else "SECONDS"
    module = tmp_path / "sabotaged.py"
    module.write_text(
        "import itertools, os, signal, sys, time\nfrom tests import fuzzing\n"
        f"limit, seconds = {limit!r}, {1 if 'killed' in message else 600}\n"
        "def check(victim, data):\n"
        "    index = next(numbers)\n"
        "    if index == 6: setattr(fuzzing, limit, seconds)\n"
        f"    if index == 7: {body}\n"
        "    return 'ok'\n"
        "numbers = itertools.count()\nfuzzing.check = check\nfuzzing.main()\n"
    )
    run = fuzzing.subprocess.run

    def sabotaged(command, **options):
        environment = {**options.pop("env"), "PYTHONPATH": str(Path(fuzzing.__file__).parents[1])}
        return run([sys.executable, str(module), *command[3:]], env=environment, **options)

    monkeypatch.setattr(fuzzing.subprocess, "run", sabotaged)
    count = 10 if "SIGSEGV" in message else 8
    (outcome,) = fuzzing.fuzz(count)
    assert message in outcome.fault
    if count > 8:
        assert outcome.verdicts == {"ok": 2}  # those behind it are tried
    if "killed" in message or "header" in message:
        assert "mutation 7 " in outcome.fault


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """A folder of damaged images and two intact ones, and a folder of damaged clips and one intact clip."""
    root = tmp_path_factory.mktemp("damaged")
    for source in ("folder", "inter4k"):
        (root / source).mkdir()
    for index, victim in enumerate(fuzzing.victims() * 6):
        data = fuzzing.mutate(victim.data, random.Random(index))
        is_intact = index in (0, 1) or (victim.source == "inter4k" and index < 8)
        (root / victim.source / f"{index:02d}-{victim.name}").write_bytes(victim.data if is_intact else data)
    return root


def test_damaged_candidates_are_rows_with_a_reason_and_the_whole_ones_are_made_into_pairs(
    damaged, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    sources = ["--source", f"folder={damaged / 'folder'}", "--source", f"inter4k={damaged / 'inter4k'}"]
    for command in (["build-mixhq", *sources], ["dim", "--profile", "linear", "--shards", "out"]):
        code = exit_code(*command, *(["--executor", "serial"] if command[0] == "dim" else []))
        output = capsys.readouterr()
        assert code == 0, output.err
        assert "Traceback" not in output.err
    rows = pq.read_table("mixhq/catalog/part-00000.parquet").to_pylist()
    files = [path for path in damaged.rglob("*") if path.is_file()]
    frames = {source: len(SOURCES[source].frames) for source in ("folder", "inter4k")}
    assert len(rows) == sum(frames[path.parent.name] for path in files)
    rejected = [row for row in rows if not row["accepted"]]
    assert all(row["rule"] and row["reason"] for row in rejected)
    assert sum(row["rule"] == "unreadable" for row in rejected) > len(files) / 4
    accepted = sum(row["accepted"] for row in rows)
    assert accepted >= 3
    assert json.loads(Path("out/manifest.json").read_text())["counts"]["pairs"] == accepted
