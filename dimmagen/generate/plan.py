"""The plan: which pairs are in which shard, decided before anything is written."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dimmagen.core.shard_sizes import shard_sizes
from dimmagen.sources.labels.index import Labels
from dimmagen.sources.light_image import LightImageRef
from dimmagen.sources.light_images import LightImages

MAX_VARIANTS_PER_JOB = 8
_JOBS_PER_WORKER = 8  # minimum, so that all workers end at about the same time
_WORKERS_OF_CLUSTER = 64  # assumed where their number is not known


@dataclass(frozen=True, slots=True)
class ShardJob:
    """The work for some shards with the same light images in the same order, one variant per shard.

    A light image is read and decoded once for all of them.

    Attributes:
        refs: the light images.
        shards, variants: names of the shards and their variants, of equal length, at least one.
        labels: of each light image, as :meth:`.Labels.records` gives them; empty in a run without labels.
        labels_extension: ending of the file with labels in a sample.
    """

    refs: tuple[LightImageRef, ...]
    shards: tuple[str, ...]
    variants: tuple[int, ...]
    labels: tuple[bytes, ...] = ()
    labels_extension: str = ""

    @property
    def name(self) -> str:
        """Names of the shards, for messages."""
        return " ".join(self.shards)

    def labels_by_key(self) -> dict[str, bytes]:
        """The labels by the key of their light image."""
        if not self.labels:
            return {}
        return {ref.key: record for ref, record in zip(self.refs, self.labels, strict=True)}


@dataclass(frozen=True, slots=True)
class PlannedShard:
    """A shard of the plan: one variant of the light images [`start`, `stop`) in canonical order.

    A plan of millions of pairs consists of thousands of these; the light images are looked up when a worker
    makes the shard.
    """

    shard: str
    variant: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


def variants_per_job(shards: int, variants: int, workers: int | None) -> int:
    """How many variants of a light image a job makes: many, but few enough that no worker idles at the end.

    Args:
        shards: number of shards to be made.
        variants: dark images per light image.
        workers: None where their number is not known.
    """
    jobs = _JOBS_PER_WORKER * (workers or _WORKERS_OF_CLUSTER)
    return max(1, min(MAX_VARIANTS_PER_JOB, variants, shards // jobs))


def count_jobs(shards_per_variant: int, variants: int, workers: int | None) -> int:
    """How many jobs :func:`plan_jobs` makes from a whole plan."""
    at_once = variants_per_job(shards_per_variant * variants, variants, workers)
    return shards_per_variant * -(-variants // at_once)


def plan_jobs(
    shards: Iterable[PlannedShard], lights: LightImages, variants: int, labels: Labels | None = None
) -> Iterator[ShardJob]:
    """Jobs that make some shards of a plan, in about their order; how they are grouped changes no byte.

    Args:
        shards: in the plan's order, without those that are complete.
        lights: the light images of the plan.
        variants: maximum number of shards per job.
        labels: of the light images; None in a run without labels.
    """
    alike: dict[tuple[int, int], list[PlannedShard]] = {}
    for planned in shards:
        alike.setdefault((planned.start, planned.stop), []).append(planned)
    groups = [group[at : at + variants] for group in alike.values() for at in range(0, len(group), variants)]
    for group in sorted(groups, key=lambda group: (group[0].variant, group[0].start)):
        start, stop = group[0].start, group[0].stop
        yield ShardJob(
            refs=tuple(lights.refs(start, stop)),
            shards=tuple(planned.shard for planned in group),
            variants=tuple(planned.variant for planned in group),
            labels=labels.records(start, stop) if labels else (),
            labels_extension=labels.member if labels else "",
        )


def shard_name(index: int) -> str:
    """The name of a shard, without folder and extension."""
    return f"train-{index:05d}"


def plan_shards(lights: int, variants: int, samples_per_shard: int, first: int = 0) -> list[PlannedShard]:
    """All shards of variant 0, then those of variant 1, and so on, so that more variants only append shards.

    Args:
        lights: number of light images.
        variants: dark images per light image, at least 1.
        samples_per_shard: maximum number of pairs per shard, at least 1.
        first: number of the first shard.
    """
    shards: list[PlannedShard] = []
    sizes = shard_sizes(lights, samples_per_shard)
    for variant in range(variants):
        start = 0
        for size in sizes:
            shards.append(PlannedShard(shard_name(first + len(shards)), variant, start, start + size))
            start += size
    return shards
