"""Load balancing: how many rounds of jobs a run takes, and how many workers are idle in the last round.

All jobs of a run have about the same size, so a run proceeds in rounds with one job per worker. In the last
round there may be fewer jobs than workers.
"""

from dataclasses import dataclass

from dimmagen.generate.plan import count_jobs

MAX_IDLE = 0.05


@dataclass(frozen=True, slots=True)
class LoadBalance:
    """Jobs of equal size on a number of workers.

    Attributes:
        jobs: number of jobs, at least 1.
        workers: number of workers, at least 1.
    """

    jobs: int
    workers: int

    @property
    def rounds(self) -> int:
        return -(-self.jobs // self.workers)

    @property
    def idle_workers(self) -> int:
        """Number of workers without a job in the last round."""
        return -self.jobs % self.workers

    @property
    def idle_share(self) -> float:
        """Idle share of the workers' time from the first job to the last, in [0, 1)."""
        return self.idle_workers / (self.rounds * self.workers)


def better_samples_per_shard(photos: int, variants: int, workers: int, samples_per_shard: int) -> int | None:
    """The largest shards, up to the requested size, with which less than `MAX_IDLE` of the time is idle.

    Args:
        photos: number of light images.
        variants: dark images per light image.
        workers: number of workers.
        samples_per_shard: the requested size.

    Returns:
        A value for `samples_per_shard`; None if there is none, as with fewer pairs than workers.
    """
    for shards in range(-(-photos // samples_per_shard), photos + 1):
        size = -(-photos // shards)  # the smallest that gives so few
        is_possible = -(-photos // size) == shards
        if is_possible and LoadBalance(count_jobs(shards, variants, workers), workers).idle_share < MAX_IDLE:
            return size
    return None
