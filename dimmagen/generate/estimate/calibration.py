"""Calibration: some pairs of a planned data set are made in memory by the run's own code, and measured.

They are made one after another in a new process, as a worker would make them, so that its startup time and
its memory are those of a worker. The pairs are discarded.
"""

import heapq
import io
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, cast

import numpy as np

from dimmagen.core import keyed_random
from dimmagen.core.errors import DimmagenError
from dimmagen.core.memory import peak_memory
from dimmagen.core.parquet import describe_rows
from dimmagen.core.tar import TarWriter
from dimmagen.core.threads import use_one_thread
from dimmagen.dataset.schema import schema_of_rows
from dimmagen.dataset.writer import add_sample
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.generate.pair import IMAGE_FORMATS, BuildDimmer, PairSettings, make_pair, prepare_light
from dimmagen.sources import light_images
from dimmagen.sources.light_images import LightImageRef

MEASURED_STAGES = ("decode", "dim", "encode", "pack")
"""Read, hash and decode the light image; dim it; encode and hash the dark image; pack both into a tar."""
SHARED_STAGE = "decode"
"""Done once for all variants of a light image in a job."""


@dataclass(frozen=True, slots=True)
class CalibrationPair:
    """The measurements of one pair.

    Attributes:
        pixels: number in the light image.
        seconds: by stage of :data:`MEASURED_STAGES`, on one thread.
        tar_bytes: size of the pair's members in a shard, including headers and padding.
    """

    pixels: int
    seconds: dict[str, float]
    tar_bytes: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """The measurements of some pairs and of the process that made them.

    Attributes:
        pairs: one entry per pair.
        start_seconds: from the start of the process to the end of the first pair, imports included.
        base_bytes: peak resident memory of the process before the first image.
        peak_bytes: peak resident memory after the last image.
        metadata_sizes: (rows, bytes) of parquet files with some and with all of the pairs' rows.
    """

    pairs: tuple[CalibrationPair, ...]
    start_seconds: float
    base_bytes: int
    peak_bytes: int
    metadata_sizes: tuple[tuple[int, int], ...]

    @property
    def most_pixels(self) -> int:
        return max(pair.pixels for pair in self.pairs)


def choose(
    refs: Iterable[LightImageRef], variants: int, count: int, seed: int
) -> list[tuple[LightImageRef, int]]:
    """A random sample of a data set's pairs, without replacement.

    It has as many different light images as possible, and the variants take turns. It depends on the keys of
    the light images, not on their order or where they are stored.

    Args:
        refs: the light images.
        variants: dark images per light image.
        count: maximum number of pairs.
        seed: random seed for the sample.

    Returns:
        (light image, variant) of each pair.
    """
    drawn = heapq.nsmallest(count, refs, key=lambda ref: keyed_random.rank(seed, ref.key, "probe"))
    rounds = range(min(count, len(drawn) * variants))
    return [
        (drawn[turn % len(drawn)], (turn % len(drawn) + turn // len(drawn)) % variants) for turn in rounds
    ]


def calibrate(
    chosen: Sequence[tuple[LightImageRef, int]],
    build_dimmer: BuildDimmer,
    settings: PairSettings,
    on_pair: Callable[[], None] = lambda: None,
) -> Calibration:
    """Make pairs in a new process and measure them.

    Args:
        chosen: light images with a variant, at least one.
        build_dimmer: picklable.
        settings: of the planned data set.
        on_pair: called after each pair.

    Raises:
        DimmagenError: an image can no longer be read or dimmed, or the process was killed, most likely
            because the memory ran out.
    """
    timed, began = [], time.monotonic()
    with ProcessPoolExecutor(1, get_context("spawn"), _begin, (build_dimmer, settings)) as pool:
        try:
            base = pool.submit(_warm_up).result()
            start = 0.0
            for ref, variant in chosen:
                timed.append(pool.submit(_measure, ref, variant).result())
                start = start or time.monotonic() - began
                on_pair()
            peak = pool.submit(peak_memory).result()
        except BrokenProcessPool as error:
            raise DimmagenError(
                "the process that makes the calibration pairs was killed, or could not load what it needs",
                'check whether the memory ran out, or try `executor="serial"` on a few images',
                code="worker-lost",
            ) from error
    rows = [row for _, row in timed]
    sizes = tuple((count, _metadata_size(rows[:count])) for count in sorted({len(rows) // 2, len(rows)}))
    return Calibration(tuple(pair for pair, _ in timed), start, base, peak, sizes)


def _metadata_size(rows: Sequence[dict]) -> int:
    return describe_rows(rows, schema_of_rows(rows)).bytes


class _TimedDimmer:
    """A dimmer that measures the time of its last call."""

    def __init__(self, dimmer: ImageDimmer) -> None:
        self._dimmer = dimmer
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dimmer, name)

    def dim(self, *arguments: Any) -> np.ndarray:
        began = time.perf_counter()
        try:
            return self._dimmer.dim(*arguments)
        finally:
            self.seconds = time.perf_counter() - began


# State of the calibration process: one dimmer.
_dimmer: ImageDimmer
_settings: PairSettings


def _begin(build_dimmer: BuildDimmer, settings: PairSettings) -> None:
    global _dimmer, _settings
    _dimmer, _settings = build_dimmer(), settings
    use_one_thread()


def _warm_up() -> int:
    """Compile what is compiled on first use; returns the peak memory so far, bytes."""
    light = np.zeros((64, 64, 3), np.uint8)
    dark = _dimmer.dim(light, _dimmer.draw("warm-up", 0, _settings.seed))
    IMAGE_FORMATS[_settings.image_format](dark)
    return peak_memory()


def _measure(ref: LightImageRef, variant: int) -> tuple[CalibrationPair, dict]:
    """Make one pair; returns its measurements and its row."""
    timed, buffer = _TimedDimmer(_dimmer), io.BytesIO()
    moments = [time.perf_counter()]
    light = prepare_light(light_images.load_light_image(ref), _settings)
    _ = light.sha256, light.pixel_sha256, light.lightness  # computed on first access
    moments.append(time.perf_counter())
    sample = make_pair(light, cast(ImageDimmer, timed), variant, _settings)
    moments.append(time.perf_counter())
    row = add_sample(TarWriter(buffer), sample)
    moments.append(time.perf_counter())
    decode, made, pack = np.diff(moments).tolist()
    seconds = (decode, timed.seconds, made - timed.seconds, pack)
    height, width, _ = light.pixels.shape
    return CalibrationPair(
        height * width, dict(zip(MEASURED_STAGES, seconds, strict=True)), buffer.tell()
    ), row
