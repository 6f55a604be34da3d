"""The realism suite: compares dimmers on held-out pairs, without training an enhancement network.

Each pair's light image is dimmed with gamma 1, at the profile's usual exposure and at a drawn one, and with
gamma matched to the mean of the real dark image, four draws each, and compared with the real dark image
(`dimmagen.metrics.realism`). docs/realism.md explains the
measures. All results are a function of the dimmers, the pairs and the seed.
"""

import math
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dimmagen.core import keyed_random
from dimmagen.core.errors import UsageError
from dimmagen.core.storage import atomic_write
from dimmagen.core.threads import use_one_thread
from dimmagen.dimmers.dimmer import Draw, ImageDimmer
from dimmagen.dimmers.profile import Profile
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.images.codec import encode_png
from dimmagen.images.cropping import center_crop
from dimmagen.metrics.realism import floors
from dimmagen.metrics.realism.measures import Measured, Reference, measure
from dimmagen.metrics.realism.noise import NoiseStatistics
from dimmagen.metrics.realism.two_sample import patch_features

PairImages = tuple[str, np.ndarray, np.ndarray]
"""Name of a pair, its dark and its light image: uint8 (H, W, 3)."""
Mode = Literal["gamma1", "drawn", "matched"]
"""Gamma 1 at exposure 1, gamma 1 at a drawn exposure, or gamma matched to the mean of the real dark image."""
MODES: tuple[Mode, ...] = ("gamma1", "drawn", "matched")
REAL = "real, split halves"
AGAIN = "real, shot again"
PLAIN = "plain linear"
MAX_SIDE = 1024  # pixels; larger images are measured on their middle
MAX_PATCHES = 256  # per image in the two-sample test, evenly spread
_MATCH_TOLERANCE = 2e-3
_MATCH_STEPS = 12


@dataclass(frozen=True, slots=True)
class DimmingMethod:
    """A method that is compared: a dimmer, or a plain curve.

    Attributes:
        label: in tables and plots.
        dimmer: None for a plain curve.
        curve: (uint8 (H, W, 3) light image, parameter) -> uint8 (H, W, 3) dark image; None for a dimmer.
        parameter: (light image, mean grey level) -> the curve's parameter that gives this mean.
        default: the curve's parameter where no mean level is matched.
    """

    label: str
    dimmer: ImageDimmer | None = None
    curve: Callable[[np.ndarray, float], np.ndarray] | None = None
    parameter: Callable[[np.ndarray, float], float] | None = None
    default: float = math.nan

    def darken(
        self,
        light: np.ndarray,
        name: str,
        mean: float | None,
        draws: int,
        seed: int,
        exposure_drawn: bool = False,
    ) -> list[tuple[float, np.ndarray]]:
        """Dark images of one light image, with the default strength or matched to a mean level.

        Args:
            light: uint8 (H, W, 3).
            name: of the pair; the noise depends on it.
            mean: grey level to match, 0..255; None for gamma 1 (a curve's default parameter).
            draws: number of dark images; a plain curve draws nothing and always gives one.
            seed: of the draws.
            exposure_drawn: whether the exposure is drawn, as for a data set, where no mean is matched.

        Returns:
            (gamma or the curve's parameter, uint8 (H, W, 3) dark image) of each draw.
        """
        if self.dimmer is None:
            assert self.curve is not None
            assert self.parameter is not None
            strength = self.default if mean is None else self.parameter(light, mean)
            return [(strength, self.curve(light, strength))]
        images = []
        for index in range(draws):
            if mean is None and exposure_drawn:
                draw = replace(self.dimmer.draw(name, index, seed), gamma=1.0)
            else:
                gamma = 1.0 if mean is None else match_gamma(self.dimmer, light, name, index, mean, seed)
                draw = held_draw(self.dimmer, name, index, seed, gamma)
            images.append((draw.gamma, self.dimmer.dim(light, draw)))
        return images

    def darken_as_drawn(
        self, light: np.ndarray, name: str, mean: float | None, seed: int
    ) -> np.ndarray | None:
        """The first dark image of :meth:`darken` with the white balance and the noise level that `dim` draws.

        Returns:
            uint8 (H, W, 3); None for a method that draws neither.
        """
        dimmer = self.dimmer
        if dimmer is None:
            return None
        balance, level = dimmer.scene_spreads
        if not (any(balance) or level):
            return None
        gamma = 1.0 if mean is None else match_gamma(dimmer, light, name, 0, mean, seed, as_drawn=True)
        return dimmer.dim(light, held_draw(dimmer, name, 0, seed, gamma, as_drawn=True))


@dataclass(frozen=True, slots=True)
class MethodResult:
    """One method on one pair in one mode.

    Attributes:
        label: of the method.
        mode: in which the light image was dimmed.
        strengths: gamma of each draw; for a plain curve, its parameter.
        values: for each draw, every pairwise measure by name.
        transfer: float (256,), mean dark level at each light level, of the first draw.
        noise: of the first draw.
        features: float (patches, features) of the real and of the synthetic image, for the two-sample test;
            first draw, with the white balance and noise level that `dim` draws.
    """

    label: str
    mode: Mode
    strengths: list[float]
    values: list[dict[str, float]]
    transfer: np.ndarray
    noise: NoiseStatistics
    features: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True)
class PairResult:
    """All methods on one pair.

    Attributes:
        name: of the pair.
        counts: int (256,), pixels of the light image at each level.
        transfer: float (256,), mean dark level at each light level, of the real pair.
        noise: of the real dark image.
        methods: every method in every mode.
        nll: negative log-likelihood of the real dark image in nats per pixel, by label, for the dimmers
            that have a likelihood.
    """

    name: str
    counts: np.ndarray
    transfer: np.ndarray
    noise: NoiseStatistics
    methods: list[MethodResult]
    nll: dict[str, float]

    def method(self, label: str, mode: Mode) -> MethodResult:
        """The result of one method in one mode."""
        return next(one for one in self.methods if (one.label, one.mode) == (label, mode))


def evaluate(
    dimmers: Mapping[str, ImageDimmer],
    pairs: Sequence[RealPair],
    *,
    draws: int = 4,
    seed: int = 0,
    workers: int = 1,
    modes: tuple[Mode, ...] = MODES,
    on_pair: Callable[[], object] = lambda: None,
) -> list[PairResult]:
    """Measure dimmers and floors on held-out pairs.

    Args:
        dimmers: label -> dimmer, in the order of the tables.
        pairs: at least two that the dimmers were not fitted on; images with a side of more than 1024 pixels
            are measured on their middle.
        draws: number of dark images per pair, dimmer and mode.
        seed: of the draws.
        workers: number of processes; the numbers do not depend on it.
        modes: in which the light images are dimmed.
        on_pair: called when a pair is done.

    Returns:
        One result per pair, in the order of `pairs`.

    Raises:
        UsageError: fewer than two pairs.
    """
    if len(pairs) < 2:
        raise UsageError(
            f"an evaluation needs at least two held-out pairs, not {len(pairs)}",
            "give more pairs",
            code="too-small",
            pairs=len(pairs),
        )
    cropped = [measured_part(pair) for pair in pairs]
    job = PairComparison(compared_methods(dimmers, cropped), draws, seed, modes)
    results = []
    for result in measure_each(job, cropped, min(workers, len(cropped))):
        results.append(result)
        on_pair()
    return results


def compared_methods(dimmers: Mapping[str, ImageDimmer], pairs: Sequence[PairImages]) -> list[DimmingMethod]:
    """The dimmers and the two plain curves, whose default parameter is the median over the pairs."""
    curves = {
        PLAIN: (floors.darken_linear, floors.linear_factor),
        "plain gamma": (floors.darken_gamma, floors.gamma_exponent),
    }
    plain = [
        DimmingMethod(
            label,
            curve=curve,
            parameter=parameter,
            default=float(np.median([parameter(light, float(dark.mean())) for _, dark, light in pairs])),
        )
        for label, (curve, parameter) in curves.items()
    ]
    return [DimmingMethod(label, dimmer) for label, dimmer in dimmers.items()] + plain


def measured_part(pair: RealPair) -> PairImages:
    """The part of a pair that is measured: all of it up to 1024x1024 pixels, the middle of a larger one."""
    return pair.name, center_crop(pair.dark, MAX_SIDE), center_crop(pair.light, MAX_SIDE)


def pairs_fitted_on(profile: Profile, pairs: Sequence[RealPair]) -> list[str]:
    """Names of the pairs that a profile was fitted on, according to the hashes in its provenance."""
    used = {entry["dark_sha256"] for entry in profile.provenance.get("pairs", []) if "dark_sha256" in entry}
    return [pair.name for pair in pairs if pair.dark_sha256 in used]


def held_draw(
    dimmer: ImageDimmer, name: str, index: int, seed: int, gamma: float, as_drawn: bool = False
) -> Draw:
    """The draw of an evaluation: the given gamma, exposure 1, and noise keyed by pair and index.

    Args:
        dimmer: that draws.
        name, index, seed, gamma: of the draw.
        as_drawn: with the white balance and noise level that `dim` draws, in place of the camera's own.
    """
    noise_seed = keyed_random.bits63(seed, name, index, "noise")
    if as_drawn:
        return replace(dimmer.draw(name, index, seed), gamma=gamma, exposure=1.0, noise_seed=noise_seed)
    tau = round(float(dimmer.temperature), keyed_random.DECIMALS)
    return Draw(gamma, tau, exposure=1.0, noise_seed=noise_seed)


def match_gamma(
    dimmer: ImageDimmer,
    light: np.ndarray,
    name: str,
    index: int,
    mean: float,
    seed: int,
    as_drawn: bool = False,
) -> float:
    """The gamma whose dark image has a given mean, to 0.2 %, by the secant method on the logarithms.

    The search uses every second pixel of every second row, which has the same mean. If no gamma gives the
    mean (a white sky stays bright), the last one tried is returned: the measure `mean_error` then shows how
    far off it is.

    Args:
        dimmer: to match.
        light: uint8 (H, W, 3).
        name, index, seed, as_drawn: of the draw, see :func:`held_draw`.
        mean: grey level of the dark image, 0..255.
    """
    small = np.ascontiguousarray(light[::2, ::2])

    def error(log_gamma: float) -> float:
        dark = dimmer.dim(small, held_draw(dimmer, name, index, seed, math.exp(log_gamma), as_drawn))
        return math.log(max(float(dark.mean()), 1e-3) / max(mean, 1e-3))

    at, off, slope = 0.0, error(0.0), 1.0
    for _ in range(_MATCH_STEPS):
        if abs(off) < _MATCH_TOLERANCE:
            break
        step = min(1.5, max(-1.5, -off / slope))
        after = error(at + step)
        slope = min(4.0, max(0.25, (after - off) / step))
        at, off = at + step, after
    return round(math.exp(at), keyed_random.DECIMALS)


def dump(dimmers: Mapping[str, ImageDimmer], pairs: Sequence[RealPair], folder: Path, seed: int = 0) -> None:
    """Write one gamma-1 image of every method and pair, in full size, as `folder/<label>/<name>.png`."""
    whole = [(pair.name, pair.dark, pair.light) for pair in pairs]
    for method in compared_methods(dimmers, whole):
        target = folder / folder_name(method.label)
        target.mkdir(parents=True, exist_ok=True)
        for name, _, light in whole:
            [(_, image)] = method.darken(light, name, None, 1, seed)
            atomic_write(target / f"{name}.png", encode_png(image))


def folder_name(label: str) -> str:
    """A label as the name of a folder: with `-` in place of special characters."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in label)


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


def floor_results(
    label: str,
    modes: Sequence[Mode],
    values: list[dict[str, float]],
    other: Measured,
    features: tuple[np.ndarray, np.ndarray],
) -> list[MethodResult]:
    """One real dark image as if a dimmer had made it from the light image of another; the same in every mode.

    Args:
        label: of the floor.
        modes: to report it in.
        values: every measure by name, of each comparison.
        other: the dark image that takes the place of a synthetic one in the first comparison.
        features: of the two dark images of the first comparison.
    """
    return [MethodResult(label, mode, [], values, other.transfer, other.noise, features) for mode in modes]


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
    """
    if workers <= 1:
        yield from map(job, pairs)
        return
    context = multiprocessing.get_context("spawn")  # numba and torch do not survive a fork
    with ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(job,)) as pool:
        yield from pool.map(_work, pairs)


def _start_worker(job: Callable[[Any], PairResult]) -> None:
    global _job
    _job = job
    use_one_thread()


def _work(pair: Any) -> PairResult:
    assert _job is not None
    return _job(pair)
