"""What a run will need, estimated before it begins from a calibration and the light images.

Every amount is assumed to be proportional to the number of pixels: the measured amount per pixel of the
calibration pairs, times the pixels of all light images. The interval comes from the variation among the
calibration pairs, by bootstrap. It holds for the machine of the calibration, under the load that it had.
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Self

import numpy as np

from dimmagen.core.executors.base import Executor
from dimmagen.core.hashing import FileRecord
from dimmagen.dataset.croissant import croissant
from dimmagen.dataset.manifest import Run, build_manifest
from dimmagen.dataset.writer import ShardRecord, metadata_name, tar_name
from dimmagen.generate.estimate.calibration import MEASURED_STAGES, SHARED_STAGE, Calibration, CalibrationPair
from dimmagen.generate.estimate.load_balancing import LoadBalance, better_samples_per_shard
from dimmagen.generate.estimate.sample import LightImageTotals
from dimmagen.generate.pair import PairSettings
from dimmagen.generate.plan import count_jobs, shard_name, variants_per_job

CONFIDENCE = 0.9
_RESAMPLED = 2000
# A tar ends with two blocks of zeros and is padded to a whole record; samples are whole blocks of 512 bytes.
_TAR_END = 1024 + (10240 - 512) // 2
# Size above which fsspec's S3 file system uploads a file in parts, and the size of a part.
_ONE_REQUEST, _PART = 100 * 2**20, 50 * 2**20
# Ray's own share, which the calibration does not measure.
RAY_START_SECONDS = 4.0
RAY_WORKER_BYTES = 120 * 10**6


@dataclass(frozen=True, slots=True)
class Interval:
    """An expected value and the bounds of its 90 % confidence interval."""

    low: float
    expected: float
    high: float

    def times(self, factor: float, plus: float = 0) -> Self:
        """The interval scaled by `factor` and then shifted by `plus`."""
        return type(self)(*(value * factor + plus for value in (self.low, self.expected, self.high)))


@dataclass(frozen=True)
class RunEstimate:
    """What a run of `dimmagen dim` will make and need.

    Attributes:
        photos: number and size of the light images.
        settings: of the pairs.
        executor: `ray` or `serial`.
        workers: number of workers; 1 for `serial`.
        calibration: the measurements.
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
        """Variants of a light image for which it is read and decoded once."""
        return variants_per_job(self.shards, self.settings.variants, self.workers)

    @property
    def load_balance(self) -> LoadBalance:
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
        """The mean over all pairs of the set, from the amounts of the calibration pairs, (pairs,)."""
        pixels = np.array([pair.pixels for pair in self.calibration.pairs], np.float64)
        mean = self.photos.pixels / self.photos.count
        count = len(pixels)
        drawn = np.random.default_rng(0).integers(0, count, (_RESAMPLED, count))
        resampled = amounts[drawn].sum(1) / pixels[drawn].sum(1)
        low, high = np.quantile(resampled, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        return Interval(float(low), float(amounts.sum() / pixels.sum()), float(high)).times(mean)

    @cached_property
    def stage_seconds(self) -> dict[str, Interval]:
        """Time of one thread for one pair, by stage; a light image is decoded once for several pairs."""
        return {
            stage: self._per_pair(np.array([self._seconds(pair, stage) for pair in self.calibration.pairs]))
            for stage in MEASURED_STAGES
        }

    def _seconds(self, pair: CalibrationPair, stage: str) -> float:
        return pair.seconds[stage] / (self.variants_per_job if stage == SHARED_STAGE else 1)

    @cached_property
    def pair_seconds(self) -> Interval:
        """Time of one thread for one pair."""
        pairs = ((self._seconds(pair, stage) for stage in MEASURED_STAGES) for pair in self.calibration.pairs)
        return self._per_pair(np.array([sum(seconds) for seconds in pairs]))

    @property
    def job_seconds(self) -> Interval:
        """Time of one worker for the largest job: the most that a killed worker loses."""
        return self.pair_seconds.times(self.shard_samples[1] * self.variants_per_job)

    @property
    def making_seconds(self) -> Interval:
        """Time from the start of the first job to the end of the last one, with idle workers at the end."""
        return self.pair_seconds.times(self.load_balance.rounds * self.pairs / self.load_balance.jobs)

    @property
    def start_seconds(self) -> float:
        """Time from the end of the scan to the first pair."""
        return self.calibration.start_seconds + (RAY_START_SECONDS if self.executor == "ray" else 0)

    @property
    def total_seconds(self) -> Interval:
        """Time of the whole run: the scan, the start and the jobs."""
        return self.making_seconds.times(1, plus=self.photos.seconds + self.start_seconds)

    @cached_property
    def tar_bytes(self) -> Interval:
        """Size of all shards together."""
        bytes_per_pair = self._per_pair(
            np.array([pair.tar_bytes for pair in self.calibration.pairs], np.float64)
        )
        return bytes_per_pair.times(self.pairs, plus=_TAR_END * self.shards)

    @property
    def metadata_bytes(self) -> int:
        """Size of all parquet files together: a fixed part per file, and a part per row."""
        (few, small), (all_, large) = (
            self.calibration.metadata_sizes[0],
            self.calibration.metadata_sizes[-1],
        )
        bytes_per_row = (large - small) / (all_ - few)
        return round((large - bytes_per_row * all_) * self.shards + bytes_per_row * self.pairs)

    @property
    def listing_bytes(self) -> int:
        """Size of `manifest.json` and `croissant.json`, which list every shard."""
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
        """Size of the whole data set."""
        return self.tar_bytes.times(1, plus=self.metadata_bytes + self.listing_bytes)

    @property
    def bytes_per_second(self) -> float:
        """Write rate of all workers together, which the disk or the network must sustain."""
        busy = min(self.workers, self.load_balance.jobs)
        return busy * self.tar_bytes.expected / self.pairs / self.pair_seconds.expected

    @property
    def bytes_per_pixel(self) -> float:
        """Memory per pixel of the largest calibration image."""
        return (
            max(0, self.calibration.peak_bytes - self.calibration.base_bytes) / self.calibration.most_pixels
        )

    @property
    def worker_bytes(self) -> float:
        """Peak resident memory of one worker, with the largest light image."""
        ray = RAY_WORKER_BYTES if self.executor == "ray" else 0
        return self.calibration.base_bytes + self.bytes_per_pixel * self.photos.most_pixels + ray

    @property
    def requests(self) -> dict[str, int]:
        """Number of requests to an object store that holds the sources and the shards, by kind.

        One read per light image and job; each shard's tar (in parts if it is large), parquet file and record
        are written, and the record is deleted in the end.
        """
        tar = self.tar_bytes.expected / self.shards
        sent = 1 if tar < _ONE_REQUEST else 2 + -(-tar // _PART)
        return {
            "reads": self.photos.count * -(-self.settings.variants // self.variants_per_job),
            "writes": round(self.shards * (sent + 2)),
            "deletes": self.shards,
        }

    def cost(self, core_hour: float | None, gb_month: float | None) -> dict[str, Interval]:
        """Costs in the currency of the prices.

        Args:
            core_hour: price of one worker for one hour, idle or not; None to omit the computation.
            gb_month: price of 10^9 bytes for one month; None to omit the storage.

        Returns:
            `compute`, for the whole run, and `storage_a_month`, if their prices are given.
        """
        costs = {}
        if core_hour is not None:
            hours = self.making_seconds.times(1 / 3600, plus=self.start_seconds / 3600)
            costs["compute"] = hours.times(self.workers * core_hour)
        if gb_month is not None:
            costs["storage_a_month"] = self.total_bytes.times(gb_month / 1e9)
        return costs

    def to_dict(self) -> dict:
        """Every figure, for programs: numbers in seconds and bytes, intervals as low, expected and high."""
        balance, samples = self.load_balance, self.shard_samples
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
                "rounds": balance.rounds,
                "idle_in_last_round": balance.idle_workers,
                "idle_share": balance.idle_share,
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
