"""Counters for Prometheus: through Ray where it has them, and never in the way of a run."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from dimmagen.core.executors import ray_metrics


@pytest.fixture
def ray(monkeypatch):
    """A Ray of two runs, whose counters are numbers."""
    numbers: dict[tuple[str, str], int] = {}
    fake, util, metrics = ModuleType("ray"), ModuleType("ray.util"), ModuleType("ray.util.metrics")
    fake.job, fake.numbers = "1", numbers

    class Counter:
        def __init__(self, name, description):
            assert description.endswith(".")
            self.key = (fake.job, name)

        def inc(self, number):
            numbers[self.key] = numbers.get(self.key, 0) + number

    metrics.Counter = Counter
    fake.is_initialized = lambda: True
    fake.get_runtime_context = lambda: SimpleNamespace(get_job_id=lambda: fake.job)
    for module in (fake, util, metrics):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(ray_metrics, "_counters", {})
    monkeypatch.setattr(ray_metrics, "_job", "")
    return fake


def test_counters_add_up_and_begin_again_with_each_run(ray):
    ray_metrics.count("pairs", 5)
    ray_metrics.count("pairs", 7)
    ray_metrics.count("lost_workers")
    ray.job = "2"
    ray_metrics.count("pairs", 1)
    assert ray.numbers == {
        ("1", "dimmagen_pairs"): 12,
        ("1", "dimmagen_lost_workers"): 1,
        ("2", "dimmagen_pairs"): 1,
    }


def test_a_ray_without_metrics_is_no_error(ray, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray.util.metrics", None)
    ray_metrics.count("pairs", 5)
    assert ray.numbers == {}


def test_nothing_is_counted_where_no_ray_is_connected(ray):
    ray.is_initialized = lambda: False
    ray_metrics.count("pairs", 5)
    assert ray.numbers == {}


def test_no_job_adds_nothing(ray):
    ray_metrics.count("bytes", 0)
    assert ray.numbers == {}
