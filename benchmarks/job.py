"""The whole `dimmagen dim`, start and end included: pairs/s, against what the stages alone would allow.

    python -m benchmarks.job [--quick] [--data FOLDER] [--json FILE]

The photos are packed as MixHQ first. Each run makes so many variants that it lasts `SECONDS`.
"""

import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.figures import Figure, Options, alternately, main
from benchmarks.photos import sources
from benchmarks.processes import run_seconds, seconds_to_first
from benchmarks.stages import mean_pair_seconds
from dimmagen.core.processors import processor_count
from dimmagen.core.threads import use_one_thread
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.sources.light_image import LightImageRef
from dimmagen.sources.light_images import open_light_images

SECONDS, QUICK_SECONDS = 90, 1
RUNS = (("ray", 2), ("serial", 1))
_SAMPLES_PER_SHARD = 100


class Work:
    """Places and amounts that all runs have in common."""

    def __init__(self, folder: Path, options: Options) -> None:
        self.folder = folder
        self.options = options
        self.mixhq = folder / "mixhq"
        run_seconds("build-mixhq", "--out", self.mixhq, *_each("--source", sources(options)))
        self.refs: list[LightImageRef] = list(open_light_images([str(self.mixhq)]).refs())
        self._made = 0

    def words(self, executor: str, workers: int, variants: int, samples_per_shard: int) -> list[object]:
        """Of a run into a new folder."""
        self._made += 1
        where = ["--profile", "lol3", "--source", self.mixhq, "--shards", self.out]
        how = ["--executor", executor, "--workers", workers, "--variants", variants]
        return ["dim", *where, *how, "--samples-per-shard", samples_per_shard]

    @property
    def out(self) -> Path:
        return self.folder / f"out{self._made}"


def measure(options: Options) -> Iterator[Figure]:
    use_one_thread()
    dimmer = ImageDimmer.from_profile("lol3")
    with tempfile.TemporaryDirectory() as folder:
        work = Work(Path(folder), options)
        mean_pair_seconds(work.refs[:1], dimmer, work.folder)  # the first call compiles
        alone = mean_pair_seconds(work.refs, dimmer, work.folder)
        yield from _starts(work)
        wanted = QUICK_SECONDS if options.quick else SECONDS
        actions = [
            partial(pairs_a_second, work, *run, _variants(work, wanted, alone, run[1])) for run in RUNS
        ]
        actions.append(partial(mean_pair_seconds, work.refs, dimmer, work.folder))
        *rates, alones = alternately(actions, options.runs(3))
        yield Figure("decode, dim and encode of a pair, alone", "ms", [1000 * value for value in alones])
        for (executor, workers), values in zip(RUNS, rates, strict=True):
            name = f"{executor}, {workers} worker{'s' * (workers > 1)}"
            yield Figure(name, "pairs/s", values)
            cores = min(workers, processor_count())
            share = [rate * one / cores for rate, one in zip(values, alones, strict=True)]
            yield Figure(f"{name}, of {cores} / (decode + dim + encode)", "ratio", share)


def _starts(work: Work) -> Iterator[Figure]:
    actions = [partial(_start_seconds, work, executor) for executor in ("serial", "ray")]
    serial, ray = alternately(actions, work.options.runs(5))
    yield Figure("start to first pair, serial", "s", serial)
    yield Figure("start to first pair, ray", "s", ray)


def _start_seconds(work: Work, executor: str) -> float:
    words = work.words(executor, workers=2, variants=1, samples_per_shard=1)
    return seconds_to_first(work.out / "shards", "train-*.tar", *words)


def pairs_a_second(work: Work, executor: str, workers: int, variants: int) -> float:
    """Of the whole process, from its start to its end."""
    words = work.words(executor, workers, variants, _SAMPLES_PER_SHARD)
    rate = variants * len(work.refs) / run_seconds(*words)
    shutil.rmtree(work.out)  # gigabytes
    return rate


def _variants(work: Work, wanted: float, alone: float, workers: int) -> int:
    return max(1, round(wanted * workers / (alone * len(work.refs))))


def _each(option: str, values: list[str]) -> list[str]:
    return [word for value in values for word in (option, value)]


if __name__ == "__main__":
    main("job", measure, __doc__)
