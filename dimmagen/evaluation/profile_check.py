"""Is a fitted profile good? Its camera model on pairs that it was not fitted to, in numbers and in words.

Each third of the pairs in turn is left out of a fit to the others, whose dark images are compared with the
camera's own (measures of :mod:`dimmagen.metrics.realism`, gamma matched). For comparison: plain darkening
by one factor, which every profile should beat, and the limit: one half of a real image against the other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dimmagen.core.errors import DimmagenError
from dimmagen.dimmers.camera.fit import fit_camera
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.dimmers.profile import Profile
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.evaluation.dimming_methods import PLAIN, PairImages, compared_methods
from dimmagen.evaluation.pair_comparison import PairComparison, measured_part
from dimmagen.evaluation.realism_results import REAL, PairResult

KEY = "check"  # in the provenance of a profile
FITTED = "this profile"
NOT_CHECKED = "It could not be cross-validated: without one of the pairs, too little is left to fit."
FOLDS = 3
TILES_PER_PAIR = 2  # of large images, so that the three fits do not take longer than the profile's own
MOST_PER_FOLD = 3  # pairs of a fold that are measured, evenly spread
# Shares of plain darkening's error, from the best to the worst.
_WORDS = (
    (0.25, "very close to the camera"),
    (0.5, "close to the camera"),
    (0.75, "half-way between plain darkening and the camera"),
    (1.0, "hardly closer to the camera than plain darkening"),
)
_WORST = "no closer to the camera than plain darkening"
_CLOSE = 0.5
_ADVICE = {
    "tone": "Its tones are the weakest part: give pairs with dark, middling and bright areas, and leave out "
    "a pair that was developed otherwise than the rest.",
    "colour": "Its colours are the weakest part: take all pairs with the same white balance.",
    "noise": "Its noise is the weakest part: take all pairs with the same ISO and without noise reduction.",
}

_Finite = Annotated[float, Field(allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class HeldOutPair:
    """A pair, and the camera model of the other pairs on it.

    Attributes:
        images: name, dark and light image.
        dimmer: fitted without this pair.
        result: of this dimmer, of plain darkening and of the real halves, in the mode `matched`.
    """

    images: PairImages
    dimmer: ImageDimmer
    result: PairResult


class Quality(BaseModel):
    """One property of dark images: the error of a profile, of plain darkening, and of the camera itself.

    Attributes:
        profile, linear, limit: mean errors, at least 0; the limit is that of a real image's halves.
    """

    model_config = ConfigDict(frozen=True)

    profile: _Finite
    linear: _Finite
    limit: _Finite

    @property
    def share(self) -> float:
        """The profile's error above the limit, as a share of plain darkening's: 0 is the camera itself."""
        room = max(self.linear - self.limit, 1e-3)
        return min(max((self.profile - self.limit) / room, 0.0), 2.0)


class ProfileCheck(BaseModel):
    """What the check of a profile found; it is kept in the profile's provenance.

    Attributes:
        pairs: number of pairs that were measured.
        held_out: what was left out of the fits, in words.
        tone: distance of the transfer curves at equal mean, grey levels.
        colour: difference in hue and saturation, CIEDE2000.
        noise: factor by which the noise is off, as its log2 without sign; mean of luma and chroma.
        luma_noise: log2 of the profile's noise over the camera's, with its sign.
    """

    model_config = ConfigDict(frozen=True)

    pairs: Annotated[int, Field(ge=1)]
    held_out: str
    tone: Quality
    colour: Quality
    noise: Quality
    luma_noise: _Finite

    @classmethod
    def of_profile(cls, profile: Profile) -> Self | None:
        """The check that a profile remembers; None if it remembers none."""
        try:
            return cls.model_validate(profile.provenance.get(KEY))
        except ValidationError:
            return None

    @cached_property
    def share(self) -> float:
        """Mean of the three shares of plain darkening's error."""
        return (self.tone.share + self.colour.share + self.noise.share) / 3

    @property
    def verdict(self) -> str:
        """How good the profile is, in one plain sentence."""
        words = next((words for limit, words in _WORDS if self.share <= limit), _WORST)
        parts = ", ".join(f"{name} {getattr(self, name).share:.0%}" for name in ("tone", "colour", "noise"))
        return (
            f"{words[0].upper()}{words[1:]}. On {self.held_out}, its dark images have "
            f"{self.share:.0%} of the error of plain darkening ({parts}), and "
            f"{_noise_in_words(self.luma_noise)}."
        )

    @property
    def advice(self) -> str:
        """What would make the profile better, in a sentence; empty if it is close to the camera."""
        worst = max(_ADVICE, key=lambda name: getattr(self, name).share)
        return _ADVICE[worst] if self.share > _CLOSE else ""

    def rows(self) -> list[tuple[str, ...]]:
        """A table: what, and the error of the profile, of plain darkening and of the camera itself."""
        numbers = [("tone, grey levels", self.tone, 2), ("colour, CIEDE2000", self.colour, 2)]
        rows = [
            (name, *(f"{value:.{digits}f}" for value in (one.profile, one.linear, one.limit)))
            for name, one, digits in numbers
        ]
        noise = (self.noise.profile, self.noise.linear, self.noise.limit)
        return [*rows, ("noise, factor off", *(f"{2**value:.2f}" for value in noise))]


def _noise_in_words(log2_ratio: float) -> str:
    off = 2**log2_ratio - 1
    if abs(off) < 0.02:
        return "have the camera's amount of noise"
    return f"have {abs(off):.0%} {'more' if off > 0 else 'less'} noise than the camera's"


def hold_out_pairs(
    pairs: Sequence[RealPair], seed: int = 0, progress: Callable[[float], object] = lambda done: None
) -> list[HeldOutPair]:
    """Fit the camera model without some of the pairs, and measure it on these; three times.

    Args:
        pairs: checked pairs of one camera; of a single scene, each half in turn is held out.
        seed: of the fits and of the noise.
        progress: called with the completed fraction.

    Returns:
        Up to nine held-out pairs; none if what remains shows too little for a fit.
    """
    found = []
    folds = _folds(pairs)
    for number, (rest, held_out) in enumerate(folds):
        try:
            dimmer = ImageDimmer(fit_camera(rest, seed, TILES_PER_PAIR), FITTED, "0" * 64)
        except DimmagenError:
            return []
        for pair in held_out:
            images = measured_part(pair)
            methods = [one for one in compared_methods({FITTED: dimmer}, [images]) if one.label in _SHOWN]
            result = PairComparison(methods, 1, seed, ("matched",))(images)
            found.append(HeldOutPair(images, dimmer, result))
        progress((number + 1) / len(folds))
    return found


_SHOWN = (FITTED, PLAIN)


def check_profile(pairs: Sequence[RealPair], found: Sequence[HeldOutPair]) -> ProfileCheck | None:
    """The check of a profile.

    Args:
        pairs: to which it was fitted.
        found: from :func:`hold_out_pairs`.

    Returns:
        None if nothing could be measured, as of tiny images.
    """
    values = {label: [_values(one, label) for one in found] for label in (FITTED, PLAIN, REAL)}
    means = {label: np.mean(rows, axis=0) for label, rows in values.items() if rows}
    if not means or not np.isfinite(list(means.values())).all():
        return None
    tone, colour, noise = (
        Quality(
            profile=round(float(means[FITTED][index]), 4),
            linear=round(float(means[PLAIN][index]), 4),
            limit=round(float(means[REAL][index]), 4),
        )
        for index in range(3)
    )
    return ProfileCheck(
        pairs=len(found),
        held_out=_held_out(pairs),
        tone=tone,
        colour=colour,
        noise=noise,
        luma_noise=round(float(means[FITTED][3]), 4),
    )


def _values(one: HeldOutPair, label: str) -> tuple[float, float, float, float]:
    """Tone, colour, noise (log2 without sign) and luma noise (log2) of a method on a pair."""
    [measured] = one.result.method(label, "matched").values
    luma, chroma = measured["luma_noise"], measured["chroma_noise"]
    return measured["transfer_shape"], measured["chromaticity_error"], (abs(luma) + abs(chroma)) / 2, luma


def _held_out(pairs: Sequence[RealPair]) -> str:
    scenes = len(_scenes(pairs))
    if scenes == 1:
        return "the half of the picture that a fit did not see"
    if scenes < len(pairs):
        return "pairs of scenes that a fit to the others did not see"
    if scenes <= FOLDS:
        return "the pair that a fit to the others did not see"
    return "pairs that a fit to the others did not see"


def _folds(pairs: Sequence[RealPair]) -> list[tuple[list[RealPair], list[RealPair]]]:
    """(to fit, to measure) of each fold; all dark images of one light image are in the same."""
    scenes = _scenes(pairs)
    if len(scenes) == 1:
        scenes = [list(halves) for halves in zip(*map(_halves, pairs), strict=True)]
    folds = []
    for first in range(min(FOLDS, len(scenes))):
        held_out = [pair for scene in scenes[first::FOLDS] for pair in scene]
        rest = [pair for at, scene in enumerate(scenes) if at % FOLDS != first for pair in scene]
        chosen = np.linspace(0, len(held_out) - 1, min(MOST_PER_FOLD, len(held_out))).round().astype(int)
        folds.append((rest, [held_out[index] for index in chosen]))
    return folds


def _scenes(pairs: Sequence[RealPair]) -> list[list[RealPair]]:
    """The pairs by their light image, which several dark images may share, in their order."""
    scenes: dict[str, list[RealPair]] = {}
    for number, pair in enumerate(pairs):
        scenes.setdefault(pair.light_sha256 or str(number), []).append(pair)
    return list(scenes.values())


def _halves(pair: RealPair) -> list[RealPair]:
    """The upper and the lower half of a pair."""
    middle = pair.dark.shape[0] // 2
    return [
        replace(pair, name=f"{pair.name}, {name} half", dark=pair.dark[span], light=pair.light[span])
        for name, span in (("upper", slice(None, middle)), ("lower", slice(middle, None)))
    ]
