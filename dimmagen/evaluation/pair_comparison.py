"""Methods measured against the real dark image of one pair, and many pairs in several processes."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

import numpy as np

from dimmagen.core.errors import DimmagenError
from dimmagen.core.threads import use_one_thread
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.evaluation.dimming_methods import DimmingMethod, PairImages
from dimmagen.evaluation.realism_results import MODES, REAL, MethodResult, Mode, PairResult, floor_results
from dimmagen.images.cropping import center_crop
from dimmagen.metrics.realism import floors
from dimmagen.metrics.realism.measures import Measured, Reference, measure
from dimmagen.metrics.realism.two_sample import patch_features

MAX_SIDE = 1024  # pixels; larger images are measured on their middle
MAX_PATCHES = 256  # per image in the two-sample test, evenly spread


def measured_part(pair: RealPair) -> PairImages:
    """The part of a pair that is measured: all of it up to 1024x1024 pixels, the middle of a larger one."""
    return pair.name, center_crop(pair.dark, MAX_SIDE), center_crop(pair.light, MAX_SIDE)


@dataclass(frozen=True)
class PairComparison:
    """Measures methods, and one half of the real image against the other, on one pair.

    Attributes:
        methods: to compare.
        draws: number of dark images per method and mode.
        seed: of the draws.
        modes: in which the light image is dimmed.
    """

    methods: list[DimmingMethod]
    draws: int
    seed: int
    modes: tuple[Mode, ...] = MODES

    def __call__(self, pair: PairImages) -> PairResult:
        name, dark, light = pair
        reference = Reference(dark, light)
        features = patches_of(dark, light)
        results = [
            self._measure(method, mode, reference, name, light, features)
            for method in self.methods
            for mode in self.modes
        ]
        return PairResult(
            name,
            reference.counts,
            reference.real.transfer,
            reference.real.noise,
            results + self._split_halves(dark, light),
            self._likelihoods(dark, light),
        )

    def _measure(
        self,
        method: DimmingMethod,
        mode: Mode,
        reference: Reference,
        name: str,
        light: np.ndarray,
        features: np.ndarray,
    ) -> MethodResult:
        mean = reference.real.mean if mode == "matched" else None
        darkened = method.darken(light, name, mean, self.draws, self.seed, exposure_drawn=mode == "drawn")
        strengths, images = zip(*darkened, strict=True)
        measured = [Measured(image, reference) for image in images]
        as_drawn = None if mode == "drawn" else method.darken_as_drawn(light, name, mean, self.seed)
        return MethodResult(
            method.label,
            mode,
            list(strengths),
            [measure(reference, one) for one in measured],
            measured[0].transfer,
            measured[0].noise,
            (features, patches_of(images[0] if as_drawn is None else as_drawn, light)),
        )

    def _split_halves(self, dark: np.ndarray, light: np.ndarray) -> list[MethodResult]:
        """The floor: the odd rows of the real pair measured against its even rows, in every mode."""
        (even, odd), (even_light, odd_light) = floors.split_halves(dark), floors.split_halves(light)
        reference = Reference(even, even_light)
        other = Measured(odd, reference)
        values = [measure(reference, other)]
        features = (patches_of(even, even_light), patches_of(odd, odd_light))
        return floor_results(REAL, self.modes, values, other, features)

    def _likelihoods(self, dark: np.ndarray, light: np.ndarray) -> dict[str, float]:
        likelihoods = {}
        for method in self.methods:
            model = method.dimmer and method.dimmer.model
            likelihood = getattr(model, "negative_log_likelihood", None)
            if likelihood is not None:
                likelihoods[method.label] = float(likelihood(light, dark))
        return likelihoods


def patches_of(dark: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Features of at most `MAX_PATCHES` patches for the two-sample test, float (patches, features).

    Args:
        dark, light: uint8 (H, W, 3), aligned.
    """
    features = patch_features(dark, light)
    count = min(len(features), MAX_PATCHES)
    return features[np.linspace(0, len(features) - 1, count).astype(np.intp)] if count else features


_job: Callable[[Any], PairResult] | None = None  # of this worker process


def measure_each(
    job: Callable[[Any], PairResult], pairs: Sequence[Any], workers: int
) -> Iterator[PairResult]:
    """The results of a job for each pair, in their order, by several processes.

    Args:
        job: to be pickled; called with one pair.
        pairs: to be pickled.
        workers: number of processes.

    Raises:
        DimmagenError: a process was killed, most likely because the memory ran out.
    """
    most = 61 if os.name == "nt" else len(pairs)  # Windows can wait for no more
    workers = min(workers, len(pairs), most)
    if workers <= 1:
        yield from map(job, pairs)
        return
    context = multiprocessing.get_context("spawn")  # numba and torch do not survive a fork
    with ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(job,)) as pool:
        try:
            yield from pool.map(_work, pairs)
        except BrokenProcessPool as error:
            raise DimmagenError(
                "a process that measures pairs was killed, or could not load what it needs",
                "check whether the memory ran out, and give fewer `workers`",
                code="worker-lost",
            ) from error


def _start_worker(job: Callable[[Any], PairResult]) -> None:
    global _job
    _job = job
    use_one_thread()


def _work(pair: Any) -> PairResult:
    assert _job is not None
    return _job(pair)
