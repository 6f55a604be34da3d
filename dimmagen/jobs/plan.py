"""The plan: which pairs are in which shard, decided before anything is written."""

from dataclasses import dataclass

from dimmagen.lights import LightRef, LightSet
from dimmagen.shards.sizes import shard_sizes


@dataclass(frozen=True, slots=True)
class ShardJob:
    """The work for one shard: one variant of each of some light pictures, in this order."""

    shard: str
    variant: int
    refs: tuple[LightRef, ...]


@dataclass(frozen=True, slots=True)
class PlannedShard:
    """A shard of the plan: one variant of the light pictures from `start` to `stop` in canonical order.

    A plan of millions of pairs is thousands of these; the light pictures are looked up when a worker is to
    make the shard.
    """

    shard: str
    variant: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def job(self, lights: LightSet) -> ShardJob:
        """With the light pictures themselves, as a worker wants it."""
        return ShardJob(self.shard, self.variant, tuple(lights.refs(self.start, self.stop)))


def shard_name(index: int) -> str:
    return f"train-{index:05d}"


def plan_shards(lights: int, variants: int, samples_per_shard: int) -> list[PlannedShard]:
    """All shards of variant 0, then those of variant 1 ..., so that more variants only append shards.

    Args:
        lights: number of light pictures.
        variants: dark pictures per light picture, at least 1.
        samples_per_shard: upper limit, at least 1.
    """
    shards: list[PlannedShard] = []
    sizes = shard_sizes(lights, samples_per_shard)
    for variant in range(variants):
        start = 0
        for size in sizes:
            shards.append(PlannedShard(shard_name(len(shards)), variant, start, start + size))
            start += size
    return shards
