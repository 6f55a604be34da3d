"""The plan: which pairs are in which shard, decided before anything is written."""

from collections.abc import Sequence
from dataclasses import dataclass

from dimmagen.lights import LightRef


@dataclass(frozen=True, slots=True)
class ShardJob:
    """The work for one shard: one variant of each of some light pictures, in this order."""

    shard: str
    variant: int
    refs: tuple[LightRef, ...]


def shard_name(index: int) -> str:
    return f"train-{index:05d}"


def shard_sizes(samples: int, samples_per_shard: int) -> list[int]:
    """The fewest shards that hold at most `samples_per_shard` each, in sizes that differ by at most one."""
    count = -(-samples // samples_per_shard)
    return [samples // count + (index < samples % count) for index in range(count)]


def plan_shards(refs: Sequence[LightRef], variants: int, samples_per_shard: int) -> list[ShardJob]:
    """One job a shard: all shards of variant 0, then those of variant 1 ..., so more variants only append.

    Args:
        refs: the light pictures in canonical order.
        variants: dark pictures per light picture, at least 1.
        samples_per_shard: upper limit, at least 1.
    """
    jobs: list[ShardJob] = []
    sizes = shard_sizes(len(refs), samples_per_shard)
    for variant in range(variants):
        start = 0
        for size in sizes:
            jobs.append(ShardJob(shard_name(len(jobs)), variant, tuple(refs[start : start + size])))
            start += size
    return jobs
