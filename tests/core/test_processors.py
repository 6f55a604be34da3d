"""The number of processors, on every system and every Python."""

import math
import os
import subprocess
import sys

import pytest

from dimmagen.core import processors
from dimmagen.core.processors import cpu_quota, processor_count


@pytest.fixture
def bare(monkeypatch):
    """Without the functions of Linux and of Python 3.13."""
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(processors, "cpu_quota", lambda: math.inf)


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


def system_of(folder, groups, files):
    """A system with the given control groups of this process, and the given files below /sys/fs/cgroup."""
    below = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    for path, text in {"proc/self/cgroup": groups, **below}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return str(folder)


@pytest.mark.parametrize(
    ("groups", "files", "quota"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),  # Docker, version 2
        ("0::/\n", {"cpu.max": "max 100000\n"}, math.inf),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "150000 100000\n"}, 1.5),  # a pod's limit
        ("0::/machine/x\n", {"cpu.max": "50000 100000\n"}, 0.5),  # the machine's name, its own tree
        (
            "4:cpu,cpuacct:/docker/x\n3:memory:/docker/x\n",
            {"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"},
            3,
        ),
        ("4:cpuset:/\n", {"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, math.inf),
        ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, math.inf),
        ("nonsense", {"cpu.max": "much"}, math.inf),
    ],
)
def test_the_quota_of_a_container_is_read_from_its_control_groups(groups, files, quota, tmp_path):
    assert cpu_quota(system_of(tmp_path, groups, files)) == quota


def test_a_system_without_control_groups_has_no_quota(tmp_path):
    assert cpu_quota(str(tmp_path)) == math.inf


@pytest.mark.parametrize(("quota", "count"), [(0.5, 1), (2, 2), (2.5, 3), (math.inf, 64)])
def test_a_container_uses_as_many_processors_as_its_quota_has_time_of(quota, count, monkeypatch):
    monkeypatch.setattr(processors, "_visible", lambda: 64)
    monkeypatch.setattr(processors, "cpu_quota", lambda: quota)
    assert processor_count() == count
