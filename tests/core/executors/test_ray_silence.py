"""Which workers of a pool are reported as silent, and which are to be replaced; the clock is a made one."""

import logging
from types import SimpleNamespace

import pytest

from dimmagen.core.executors import ray_silence
from dimmagen.core.executors.ray_silence import SilenceWatch
from dimmagen.core.executors.ray_tasks import PoolWorker, Task


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(ray_silence, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def looks(watch, clock, members, seconds):
    """What a look each second finds."""
    found = []
    for _ in range(seconds):
        clock.now += 1
        found += watch.look(members)
    return found


def test_a_silent_worker_is_reported_once_until_it_moves(clock, caplog):
    task = Task(SimpleNamespace(name="shard 3"), pairs=7)
    member, watch = PoolWorker("actor", "node-1", process=12, task=task), SilenceWatch("pair", None)
    assert looks(watch, clock, [member], 60) == []
    assert caplog.messages == []
    looks(watch, clock, [member], 60)
    assert caplog.messages == [
        "the worker on node-1 (process 12) has made no pair for 61 s: it works on shard 3, "
        "after 7 pairs of it; with a worker timeout it would be replaced"
    ]
    member.move()
    looks(watch, clock, [member], 61)
    assert len(caplog.messages) == 2


def test_a_worker_is_to_be_replaced_after_the_timeout_and_not_before(clock, caplog):
    caplog.set_level(logging.WARNING)
    member, watch = PoolWorker("actor", "node-1"), SilenceWatch("file", 5.0)
    assert looks(watch, clock, [member], 5) == []
    assert looks(watch, clock, [member], 1) == [(member, "no file for 6 s")]
    assert caplog.messages == []


def test_workers_that_wait_are_not_silent(clock):
    idle, unplaced = PoolWorker("actor", "node-1", is_idle=True), PoolWorker("actor")
    assert looks(SilenceWatch("pair", 1.0), clock, [idle, unplaced], 100) == []


def test_time_in_which_this_process_was_suspended_does_not_count(clock):
    member, watch = PoolWorker("actor", "node-1"), SilenceWatch("pair", 5.0)
    clock.now += 1000
    assert watch.look([member]) == []
    assert member.silence == 2.0
