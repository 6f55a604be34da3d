"""The realism suite: several dimmers side by side on held-out pairs, without training an enhancer.

Each pair's light picture is dimmed with gamma 1 and with gamma matched to the real picture's mean, four
draws each, and compared with the real dark picture (`dimmagen.metrics.realism`). docs/realism.md says what
each measure means. Everything is a function of the dimmers, the pairs and the seed.
"""

import math
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from dimmagen.core import keyed_random
from dimmagen.core.errors import UsageError
from dimmagen.core.storage import atomic_write
from dimmagen.core.threads import use_one_thread
from dimmagen.dimmers.dimmer import Draw, ImageDimmer
from dimmagen.dimmers.profile import Profile
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.images.codec import encode_png
from dimmagen.metrics.realism import floors
from dimmagen.metrics.realism.measures import Measured, Reference, measure
from dimmagen.metrics.realism.noise import NoiseStatistics
from dimmagen.metrics.realism.two_sample import patch_features

Scene = tuple[str, np.ndarray, np.ndarray]  # name, dark, light
Mode = Literal["gamma1", "matched"]
MODES: tuple[Mode, ...] = ("gamma1", "matched")
REAL = "real, split halves"
LARGEST_SIDE = 1024  # of what is measured; the middle of larger pictures
MOST_PATCHES = 256  # of one picture in the two-sample test, evenly spread
_MATCH_TOLERANCE = 2e-3
_MATCH_STEPS = 12


@dataclass(frozen=True, slots=True)
class Contender:
    """Something that makes dark pictures of light ones: a dimmer, or a plain curve with its parameter."""

    label: str
    dimmer: ImageDimmer | None = None
    curve: Callable[[np.ndarray, float], np.ndarray] | None = None
    parameter: Callable[[np.ndarray, float], float] | None = None
    usual: float = math.nan

    def darken(
        self, light: np.ndarray, name: str, mean: float | None, draws: int, seed: int
    ) -> list[tuple[float, np.ndarray]]:
        """Dark pictures of one light picture, as usual or brought to a mean level.

        Args:
            light: uint8 (H, W, 3).
            name: the pair's; the noise depends on it.
            mean: grey level to match, or None for gamma 1 (a curve's usual parameter).
            draws: how many; a plain curve draws nothing and always gives one.
            seed: of the draws.

        Returns:
            (gamma or the curve's parameter, uint8 (H, W, 3)) of each draw.
        """
        if self.dimmer is None:
            assert self.curve is not None
            assert self.parameter is not None
            strength = self.usual if mean is None else self.parameter(light, mean)
            return [(strength, self.curve(light, strength))]
        images = []
        for index in range(draws):
            gamma = 1.0 if mean is None else match_gamma(self.dimmer, light, name, index, mean, seed)
            images.append((gamma, self.dimmer.dim(light, held_draw(self.dimmer, name, index, seed, gamma))))
        return images


@dataclass(frozen=True, slots=True)
class Shot:
    """One contender on one pair in one mode.

    Attributes:
        strengths: gamma of each draw; of a plain curve its parameter.
        values: every pairwise measure of each draw.
        transfer: float (256,), of the first draw; noise: of the first draw.
        features: of the real and of the synthetic patches, for the two-sample test; first draw.
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
    """All contenders on one pair; `nll` holds nats a pixel for the dimmers that know a likelihood."""

    name: str
    counts: np.ndarray  # pixels of the light picture at each of the 256 levels
    transfer: np.ndarray  # of the real picture
    noise: NoiseStatistics  # of the real picture
    shots: list[Shot]
    nll: dict[str, float]

    def shot(self, label: str, mode: Mode) -> Shot:
        return next(shot for shot in self.shots if (shot.label, shot.mode) == (label, mode))


def evaluate(
    dimmers: Mapping[str, ImageDimmer],
    pairs: Sequence[RealPair],
    *,
    draws: int = 4,
    seed: int = 0,
    workers: int = 1,
    on_pair: Callable[[], object] = lambda: None,
) -> list[PairResult]:
    """Measure dimmers and floors on held-out pairs.

    Args:
        dimmers: label -> dimmer, in the order of the tables.
        pairs: at least two, none of which the dimmers were fitted on; pictures larger than 1024 on a side
            are measured on their middle.
        draws: dark pictures a pair, dimmer and mode.
        seed: of the draws.
        workers: processes; the numbers do not depend on it.
        on_pair: called when a pair is done.

    Returns:
        One result a pair, in the order of `pairs`.

    Raises:
        UsageError: fewer than two pairs.
    """
    if len(pairs) < 2:
        raise UsageError(f"{len(pairs)} pair to evaluate on", "give at least two held-out pairs")
    cut = [(pair.name, middle(pair.dark), middle(pair.light)) for pair in pairs]
    job = _Job(contenders_of(dimmers, cut), draws, seed)
    results = []
    for result in _map(job, cut, min(workers, len(cut))):
        results.append(result)
        on_pair()
    return results


def contenders_of(dimmers: Mapping[str, ImageDimmer], pairs: Sequence[Scene]) -> list[Contender]:
    """The dimmers and the two plain curves, whose usual parameter is the median over (name, dark, light)."""
    curves = {
        "plain linear": (floors.darken_linear, floors.linear_factor),
        "plain gamma": (floors.darken_gamma, floors.gamma_exponent),
    }
    plain = [
        Contender(
            label,
            curve=curve,
            parameter=parameter,
            usual=float(np.median([parameter(light, float(dark.mean())) for _, dark, light in pairs])),
        )
        for label, (curve, parameter) in curves.items()
    ]
    return [Contender(label, dimmer) for label, dimmer in dimmers.items()] + plain


def middle(image: np.ndarray) -> np.ndarray:
    """The part of a picture that is measured: all of it up to 1024x1024, the middle of a larger one."""
    top, left = (max(0, (side - LARGEST_SIDE) // 2) for side in image.shape[:2])
    return np.ascontiguousarray(image[top : top + LARGEST_SIDE, left : left + LARGEST_SIDE])


def pairs_fitted_on(profile: Profile, pairs: Sequence[RealPair]) -> list[str]:
    """Names of the pairs that the profile says it was fitted on, by their dark pictures' SHA-256."""
    used = {entry["dark_sha256"] for entry in profile.provenance.get("pairs", []) if "dark_sha256" in entry}
    return [pair.name for pair in pairs if pair.dark_sha256 in used]


def held_draw(dimmer: ImageDimmer, name: str, index: int, seed: int, gamma: float) -> Draw:
    """The draw of an evaluation: gamma as asked, no exposure of the scene's own, noise by pair and index."""
    tau = round(float(dimmer.temperature), keyed_random.DECIMALS)
    return Draw(gamma, tau, exposure=1.0, noise_seed=keyed_random.bits63(seed, name, index, "noise"))


def match_gamma(
    dimmer: ImageDimmer, light: np.ndarray, name: str, index: int, mean: float, seed: int
) -> float:
    """The gamma whose dark picture has a mean level, to 0.2 %, by the secant method on the logarithms.

    Searched on every second pixel of every second row, which has the same mean. Where no gamma gives the
    mean (a white sky stays bright), the last one tried: `mean_error` then tells how far off it is.
    """
    small = np.ascontiguousarray(light[::2, ::2])

    def error(log_gamma: float) -> float:
        dark = dimmer.dim(small, held_draw(dimmer, name, index, seed, math.exp(log_gamma)))
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
    """Write each contender's first gamma-1 picture of each pair, whole, as `folder/<label>/<name>.png`."""
    whole = [(pair.name, pair.dark, pair.light) for pair in pairs]
    for contender in contenders_of(dimmers, whole):
        target = folder / file_name(contender.label)
        target.mkdir(parents=True, exist_ok=True)
        for name, _, light in whole:
            [(_, image)] = contender.darken(light, name, None, 1, seed)
            atomic_write(target / f"{name}.png", encode_png(image))


def file_name(label: str) -> str:
    """A label as the name of a folder."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in label)


@dataclass(frozen=True)
class _Job:
    contenders: list[Contender]
    draws: int
    seed: int

    def __call__(self, pair: Scene) -> PairResult:
        name, dark, light = pair
        reference = Reference(dark, light)
        features = _features(dark, light)
        shots = [
            self._shot(contender, mode, reference, name, light, features)
            for contender in self.contenders
            for mode in MODES
        ]
        return PairResult(
            name,
            reference.counts,
            reference.real.transfer,
            reference.real.noise,
            shots + self._split_halves(dark, light),
            self._likelihoods(dark, light),
        )

    def _shot(
        self,
        contender: Contender,
        mode: Mode,
        reference: Reference,
        name: str,
        light: np.ndarray,
        features: np.ndarray,
    ) -> Shot:
        mean = reference.real.mean if mode == "matched" else None
        strengths, images = zip(*contender.darken(light, name, mean, self.draws, self.seed), strict=True)
        measured = [Measured(image, reference) for image in images]
        return Shot(
            contender.label,
            mode,
            list(strengths),
            [measure(reference, one) for one in measured],
            measured[0].transfer,
            measured[0].noise,
            (features, _features(images[0], light)),
        )

    def _split_halves(self, dark: np.ndarray, light: np.ndarray) -> list[Shot]:
        (even, odd), (even_light, odd_light) = floors.split_halves(dark), floors.split_halves(light)
        reference = Reference(even, even_light)
        other = Measured(odd, reference)
        values = [measure(reference, other)]
        features = (_features(even, even_light), _features(odd, odd_light))
        return [Shot(REAL, mode, [], values, other.transfer, other.noise, features) for mode in MODES]

    def _likelihoods(self, dark: np.ndarray, light: np.ndarray) -> dict[str, float]:
        likelihoods = {}
        for contender in self.contenders:
            model = contender.dimmer and contender.dimmer.model
            likelihood = getattr(model, "negative_log_likelihood", None)
            if likelihood is not None:
                likelihoods[contender.label] = float(likelihood(light, dark))
        return likelihoods


def _features(dark: np.ndarray, light: np.ndarray) -> np.ndarray:
    features = patch_features(dark, light)
    count = min(len(features), MOST_PATCHES)
    return features[np.linspace(0, len(features) - 1, count).astype(np.intp)] if count else features


_job: _Job | None = None  # of this worker process


def _map(job: _Job, pairs: Sequence[Scene], workers: int) -> Iterator[PairResult]:
    if workers <= 1:
        yield from map(job, pairs)
        return
    context = multiprocessing.get_context("spawn")  # numba and torch do not survive a fork
    with ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(job,)) as pool:
        yield from pool.map(_work, pairs)


def _start_worker(job: _Job) -> None:
    global _job
    _job = job
    use_one_thread()


def _work(pair: Scene) -> PairResult:
    assert _job is not None
    return _job(pair)
