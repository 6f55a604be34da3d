"""Jobs on workers: how many rounds a run takes, and who has nothing to do in the last one.

All jobs of a run are of about the same size, so that a run goes in rounds: each worker does one job, then the
next. In the last round there may be fewer jobs than workers.
"""

from dataclasses import dataclass

from dimmagen.generate.plan import count_jobs

MAX_IDLE = 0.05


@dataclass(frozen=True, slots=True)
class LoadBalance:
    """Some jobs of equal work on some workers.

    Attributes:
        jobs: at least 1.
        workers: at least 1.
    """

    jobs: int
    workers: int

    @property
    def rounds(self) -> int:
        return -(-self.jobs // self.workers)

    @property
    def idle_workers(self) -> int:
        """Without a job in the last round."""
        return -self.jobs % self.workers

    @property
    def idle_share(self) -> float:
        """Of the workers' time from the first job to the last, in [0, 1)."""
        return self.idle_workers / (self.rounds * self.workers)


def better_samples_per_shard(photos: int, variants: int, workers: int, samples_per_shard: int) -> int | None:
    """The fewest shards, none above the size asked for, which leave less than `MAX_IDLE` of the time idle.

    Returns:
        A `samples_per_shard`; None where there is none, as with fewer pairs than workers.
    """
    for size in range(min(photos, samples_per_shard), 0, -1):
        jobs = count_jobs(-(-photos // size), variants, workers)
        if LoadBalance(jobs, workers).idle_share < MAX_IDLE:
            return -(-photos // -(-photos // size))  # the least that makes as few shards
    return None
