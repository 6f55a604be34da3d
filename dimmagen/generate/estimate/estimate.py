"""What a run will take, told before it begins: from what a probe measured and what is there to dim.

Every amount is proportional to the pictures' pixels, as near as a forecast needs it: what the probed pairs
took for each pixel, times the pixels of all photos, which are known. How far the probed pairs differ among
themselves gives the interval, by bootstrap. It holds for the machine that was probed, as busy as it was.
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Self

import numpy as np

from dimmagen.core.hashing import FileRecord
from dimmagen.dataset.croissant import croissant
from dimmagen.dataset.manifest import Run, build_manifest
from dimmagen.dataset.writer import ShardRecord, metadata_name, tar_name
from dimmagen.generate.estimate.calibration import MEASURED_STAGES, SHARED_STAGE, Calibration, CalibrationPair
from dimmagen.generate.estimate.load_balancing import LoadBalance, better_samples_per_shard
from dimmagen.generate.estimate.sample import LightImageTotals
from dimmagen.generate.pair import PairSettings
from dimmagen.generate.plan import count_jobs, shard_name, variants_per_job
from dimmagen.generate.run import Executor

CONFIDENCE = 0.9
_RESAMPLED = 2000
# A tar ends with two blocks of zeros and is filled up to a whole record; samples are whole blocks of 512.
_TAR_END = 1024 + (10240 - 512) // 2
# What one upload may hold before fsspec's S3 file system sends it in parts, and a part's size.
_ONE_REQUEST, _PART = 100 * 2**20, 50 * 2**20
# Ray's own share, which the probe does not run.
RAY_START_SECONDS = 4.0
RAY_WORKER_BYTES = 120 * 10**6


@dataclass(frozen=True, slots=True)
class Interval:
    """An expected value between the bounds that hold in 9 of 10 probes."""

    low: float
    expected: float
    high: float

    def times(self, factor: float, plus: float = 0) -> Self:
        return type(self)(*(value * factor + plus for value in (self.low, self.expected, self.high)))


@dataclass(frozen=True)
class RunEstimate:
    """What a run of `dimmagen dim` will make and take.

    Attributes:
        photos: what is there to dim.
        settings: of the pairs.
        executor, workers: who makes them; `serial` is one worker.
        calibration: what was measured.
    """

    photos: LightImageTotals
    settings: PairSettings
    executor: Executor
    workers: int
    calibration: Calibration

    @property
    def pairs(self) -> int:
        return self.photos.count * self.settings.variants

    @property
    def _shards_per_variant(self) -> int:
        return -(-self.photos.count // self.settings.samples_per_shard)

    @property
    def shards(self) -> int:
        return self._shards_per_variant * self.settings.variants

    @property
    def variants_per_job(self) -> int:
        """Of each photo, for which it is read and decoded once."""
        return variants_per_job(self.shards, self.settings.variants, self.workers)

    @property
    def schedule(self) -> LoadBalance:
        return LoadBalance(
            count_jobs(self._shards_per_variant, self.settings.variants, self.workers), self.workers
        )

    @property
    def shard_samples(self) -> tuple[int, int]:
        """Pairs in the smallest and in the largest shard; see :func:`dimmagen.generate.plan.shard_sizes`."""
        smallest, left = divmod(self.photos.count, self._shards_per_variant)
        return smallest, smallest + (left > 0)

    @property
    def better_samples_per_shard(self) -> int | None:
        return better_samples_per_shard(
            self.photos.count, self.settings.variants, self.workers, self.settings.samples_per_shard
        )

    def _per_pair(self, amounts: np.ndarray) -> Interval:
        """The mean over all pairs of the set, from the amounts of the probed ones, float (probed,)."""
        pixels = np.array([pair.pixels for pair in self.calibration.pairs], np.float64)
        mean = self.photos.pixels / self.photos.count
        count = len(pixels)
        drawn = np.random.default_rng(0).integers(0, count, (_RESAMPLED, count))
        resampled = amounts[drawn].sum(1) / pixels[drawn].sum(1)
        low, high = np.quantile(resampled, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        return Interval(float(low), float(amounts.sum() / pixels.sum()), float(high)).times(mean)

    @cached_property
    def stage_seconds(self) -> dict[str, Interval]:
        """Of one thread, for one pair, by stage; a photo is decoded once for several pairs."""
        return {
            stage: self._per_pair(np.array([self._seconds(pair, stage) for pair in self.calibration.pairs]))
            for stage in MEASURED_STAGES
        }

    def _seconds(self, pair: CalibrationPair, stage: str) -> float:
        return pair.seconds[stage] / (self.variants_per_job if stage == SHARED_STAGE else 1)

    @cached_property
    def pair_seconds(self) -> Interval:
        """Of one thread, for one pair."""
        pairs = ((self._seconds(pair, stage) for stage in MEASURED_STAGES) for pair in self.calibration.pairs)
        return self._per_pair(np.array([sum(seconds) for seconds in pairs]))

    @property
    def job_seconds(self) -> Interval:
        """Of one worker, for the largest job: what a kill costs it at most."""
        return self.pair_seconds.times(self.shard_samples[1] * self.variants_per_job)

    @property
    def making_seconds(self) -> Interval:
        """From the first job's beginning to the last one's end, workers idle in the last round included."""
        return self.pair_seconds.times(self.schedule.rounds * self.pairs / self.schedule.jobs)

    @property
    def start_seconds(self) -> float:
        """From the photos' being known to the first pair."""
        return self.calibration.start_seconds + (RAY_START_SECONDS if self.executor == "ray" else 0)

    @property
    def total_seconds(self) -> Interval:
        return self.making_seconds.times(1, plus=self.photos.seconds + self.start_seconds)

    @cached_property
    def tar_bytes(self) -> Interval:
        """Of all shards together."""
        a_pair = self._per_pair(np.array([pair.tar_bytes for pair in self.calibration.pairs], np.float64))
        return a_pair.times(self.pairs, plus=_TAR_END * self.shards)

    @property
    def metadata_bytes(self) -> int:
        """Of all parquet files together: a fixed part for each, and a part for each row."""
        (few, small), (all_, large) = (
            self.calibration.metadata_sizes[0],
            self.calibration.metadata_sizes[-1],
        )
        a_row = (large - small) / (all_ - few)
        return round((large - a_row * all_) * self.shards + a_row * self.pairs)

    @property
    def listing_bytes(self) -> int:
        """Of `manifest.json` and `croissant.json`, which name every shard."""
        name = shard_name(self.shards - 1)
        size = round(self.tar_bytes.expected / self.shards)
        metadata = FileRecord(metadata_name(name), round(self.metadata_bytes / self.shards), "0" * 64)
        shard = ShardRecord(tar_name(name), self.shard_samples[1], size, "0" * 64, metadata)
        sizes = []
        for shards in ([shard], [shard, shard]):
            manifest = build_manifest(Run({}, {}), "", {}, 0, shards, [])
            sizes.append(len(manifest.dump()) + len(croissant("", "", "", shards)))
        return sizes[0] + (sizes[1] - sizes[0]) * (self.shards - 1)

    @property
    def total_bytes(self) -> Interval:
        return self.tar_bytes.times(1, plus=self.metadata_bytes + self.listing_bytes)

    @property
    def bytes_per_second(self) -> float:
        """Bytes that all workers together write: what the disk or the network must take."""
        busy = min(self.workers, self.schedule.jobs)
        return busy * self.tar_bytes.expected / self.pairs / self.pair_seconds.expected

    @property
    def bytes_per_pixel(self) -> float:
        """Of memory, in the largest picture that was probed."""
        return (
            max(0, self.calibration.peak_bytes - self.calibration.base_bytes) / self.calibration.most_pixels
        )

    @property
    def worker_bytes(self) -> float:
        """Peak resident memory of one worker, with the largest photo."""
        ray = RAY_WORKER_BYTES if self.executor == "ray" else 0
        return self.calibration.base_bytes + self.bytes_per_pixel * self.photos.most_pixels + ray

    @property
    def requests(self) -> dict[str, int]:
        """To an object store that holds photos and shards: a read for each photo of a job; each shard's tar
        (in parts where it is large), parquet and record are sent, and the record is removed in the end."""
        tar = self.tar_bytes.expected / self.shards
        sent = 1 if tar < _ONE_REQUEST else 2 + -(-tar // _PART)
        return {
            "reads": self.photos.count * -(-self.settings.variants // self.variants_per_job),
            "writes": round(self.shards * (sent + 2)),
            "deletes": self.shards,
        }

    def cost(self, core_hour: float | None, gb_month: float | None) -> dict[str, Interval]:
        """In the currency of the prices: the workers' time, idle or not, and a month of keeping the set."""
        found = {}
        if core_hour is not None:
            hours = self.making_seconds.times(1 / 3600, plus=self.start_seconds / 3600)
            found["compute"] = hours.times(self.workers * core_hour)
        if gb_month is not None:
            found["storage_a_month"] = self.total_bytes.times(gb_month / 1e9)
        return found

    def to_dict(self) -> dict:
        """All of it, for programs: plain numbers in seconds and bytes, intervals as low, expected, high."""
        schedule, samples = self.schedule, self.shard_samples
        return {
            "photos": asdict(self.photos),
            "settings": asdict(self.settings),
            "probe": {
                "pairs": len(self.calibration.pairs),
                "confidence": CONFIDENCE,
                "pair_seconds": asdict(self.pair_seconds),
                "stage_seconds": {name: asdict(value) for name, value in self.stage_seconds.items()},
            },
            "pairs": self.pairs,
            "shards": self.shards,
            "samples_per_shard": {"smallest": samples[0], "largest": samples[1]},
            "bytes": {
                "shards": asdict(self.tar_bytes),
                "metadata": self.metadata_bytes,
                "manifest": self.listing_bytes,
                "total": asdict(self.total_bytes),
            },
            "workers": {
                "executor": self.executor,
                "count": self.workers,
                "variants_per_job": self.variants_per_job,
                "rounds": schedule.rounds,
                "idle_in_last_round": schedule.idle_workers,
                "idle_share": schedule.idle_share,
                "better_samples_per_shard": self.better_samples_per_shard,
            },
            "seconds": {
                "look_at_photos": self.photos.seconds,
                "start": self.start_seconds,
                "job": asdict(self.job_seconds),
                "making": asdict(self.making_seconds),
                "total": asdict(self.total_seconds),
            },
            "memory": {
                "worker_bytes": round(self.worker_bytes),
                "bytes_per_pixel": self.bytes_per_pixel,
                "all_workers_bytes": round(self.worker_bytes * self.workers),
            },
            "bytes_written_a_second": self.bytes_per_second,
            "requests": self.requests,
        }
