"""Rounds and idle workers, compared with simulated schedules."""

import heapq

from hypothesis import example, given
from hypothesis import strategies as st

from dimmagen.generate.estimate import load_balancing
from dimmagen.generate.estimate.load_balancing import MAX_IDLE, LoadBalance, better_samples_per_shard
from dimmagen.generate.plan import count_jobs, shard_sizes


def simulated(shards: int, workers: int) -> list[int]:
    """When each worker ends: the next shard goes to the worker that is free first and takes one round."""
    ends = [0] * workers
    for _ in range(shards):
        heapq.heappush(ends, heapq.heappop(ends) + 1)
    return sorted(ends)


@given(st.integers(1, 200), st.integers(1, 40))
def test_rounds_and_idle_workers_are_those_of_a_simulated_schedule(shards, workers):
    ends = simulated(shards, workers)
    schedule = LoadBalance(shards, workers)
    assert schedule.rounds == ends[-1]
    assert schedule.idle_workers == sum(end < ends[-1] for end in ends)
    assert schedule.idle_share == sum(ends[-1] - end for end in ends) / (ends[-1] * workers)


@given(st.integers(1, 300), st.integers(1, 4), st.integers(1, 12), st.integers(1, 300))
@example(photos=151, variants=1, workers=5, requested=2)
@example(photos=50, variants=4, workers=3, requested=3)  # several variants a job
def test_the_advice_is_the_fewest_shards_that_leave_little_idle(photos, variants, workers, requested):
    def idle_share(shards):
        return LoadBalance(count_jobs(shards, variants, workers), workers).idle_share

    possible = {len(shard_sizes(photos, size)) for size in range(1, min(requested, photos) + 1)}
    good = [shards for shards in possible if idle_share(shards) < MAX_IDLE]
    advised = better_samples_per_shard(photos, variants, workers, requested)
    assert (advised and len(shard_sizes(photos, advised))) == min(good, default=None)


def test_the_advice_about_enormous_shards_does_not_try_each_size(monkeypatch):
    tried = []
    monkeypatch.setattr(load_balancing, "count_jobs", lambda *of: tried.append(of) or count_jobs(*of))
    assert better_samples_per_shard(10**7, 1, 7919, 10**7) == 1329
    assert len(tried) < 10_000
