"""The plan: which pairs are in which shard, decided before anything is written."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dimmagen.core.shard_sizes import shard_sizes
from dimmagen.sources.light_images import LightImageRef, LightImages

MAX_VARIANTS_PER_JOB = 8
_JOBS_A_WORKER = 8  # at least, so that the last ones end at about the same time
_WORKERS_OF_A_CLUSTER = 64  # where their number is not known


@dataclass(frozen=True, slots=True)
class ShardJob:
    """The work for some shards that show the same light pictures, in this order, one variant each.

    A light picture is read and decoded once for all of them.

    Attributes:
        refs: the light pictures.
        shards, variants: equally many, at least one.
    """

    refs: tuple[LightImageRef, ...]
    shards: tuple[str, ...]
    variants: tuple[int, ...]

    @property
    def name(self) -> str:
        """For messages."""
        return " ".join(self.shards)


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


def variants_per_job(shards: int, variants: int, workers: int | None) -> int:
    """How many variants of a photo a worker makes at once: many, but so few that no worker idles at the end.

    Args:
        shards: to be made.
        variants: dark pictures per light picture.
        workers: None where their number is not known.
    """
    jobs = _JOBS_A_WORKER * (workers or _WORKERS_OF_A_CLUSTER)
    return max(1, min(MAX_VARIANTS_PER_JOB, variants, shards // jobs))


def count_jobs(shards_per_variant: int, variants: int, workers: int | None) -> int:
    """How many jobs :func:`plan_jobs` makes of a whole plan."""
    at_once = variants_per_job(shards_per_variant * variants, variants, workers)
    return shards_per_variant * -(-variants // at_once)


def plan_jobs(shards: Iterable[PlannedShard], lights: LightImages, variants: int) -> Iterator[ShardJob]:
    """Jobs that make some shards of a plan, in about their order; which ones go together changes no byte.

    Args:
        shards: in the plan's order, without those that are complete.
        lights: of the plan.
        variants: at most so many shards are one job.
    """
    alike: dict[tuple[int, int], list[PlannedShard]] = {}
    for planned in shards:
        alike.setdefault((planned.start, planned.stop), []).append(planned)
    groups = [group[at : at + variants] for group in alike.values() for at in range(0, len(group), variants)]
    for group in sorted(groups, key=lambda group: (group[0].variant, group[0].start)):
        yield ShardJob(
            refs=tuple(lights.refs(group[0].start, group[0].stop)),
            shards=tuple(planned.shard for planned in group),
            variants=tuple(planned.variant for planned in group),
        )


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
