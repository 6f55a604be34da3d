"""The number of processors, on every system and every Python."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dimmagen.core import processors
from dimmagen.core.processors import processor_count


@pytest.fixture
def bare(monkeypatch):
    """Without the functions of Linux and of Python 3.13."""
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(processors, "_OWN_GROUPS", Path("nowhere"))


def test_a_system_without_affinity_counts_the_processors_of_the_machine(bare):
    assert processor_count() == 64


def test_an_unknown_number_of_processors_counts_as_one(bare, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert processor_count() == 1


def test_only_the_processors_that_the_process_may_use_count(bare, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 5, 9}, raising=False)
    assert processor_count() == 3


def test_the_count_of_python_takes_precedence(bare, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 5, 9}, raising=False)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 2, raising=False)
    assert processor_count() == 2


@pytest.mark.needs("affinity")
def test_a_restricted_process_counts_its_own_processors():
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
        "from dimmagen.core.processors import processor_count; print(processor_count())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "1"


@pytest.mark.parametrize(
    ("own", "limits", "count"),
    [
        ("0::/", {"cpu.max": "200000 100000"}, 2),  # a container
        ("0::/", {"cpu.max": "max 100000"}, 64),
        ("0::/jobs/7", {"cpu.max": "max 100000", "jobs/cpu.max": "150000 100000"}, 2),
        ("0::/jobs/7", {"jobs/7/cpu.max": "1000 100000"}, 1),
        ("0::/", {"cpu.max": "damaged"}, 64),
        ("0::/", {}, 64),
        ("4:memory:/x\n1:cpu:/", {"cpu/cpu.cfs_quota_us": "350000", "cpu/cpu.cfs_period_us": "100000"}, 4),
        ("1:cpu,cpuacct:/", {"cpu,cpuacct/cpu.cfs_quota_us": "-1", "cpu,cpuacct/cpu.cfs_period_us": "1"}, 64),
    ],
)
def test_a_container_counts_the_processors_that_it_may_use(own, limits, count, bare, tmp_path, monkeypatch):
    """A worker for each processor of the machine would take their memory, and share a few processors."""
    (tmp_path / "own").write_text(own)
    for name, limit in limits.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(limit)
    monkeypatch.setattr(processors, "_GROUPS", tmp_path)
    monkeypatch.setattr(processors, "_OWN_GROUPS", tmp_path / "own")
    assert processor_count() == count
