"""The number of processors, on every system and every Python."""

import os
import subprocess
import sys

import pytest

from dimmagen.core.processors import processor_count


@pytest.fixture
def bare(monkeypatch):
    """Without the functions of Linux and of Python 3.13."""
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)


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
