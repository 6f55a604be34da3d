"""What a transform draws for an image: a profile of the mix, and the draw of its dimmer."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from dimmagen.core import keyed_random
from dimmagen.core.errors import UnknownNameError, UsageError
from dimmagen.core.registry import did_you_mean
from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.dimmer import DimmerBuilder, ImageDimmer

Gamma = float | tuple[float, float]
Level = float | tuple[float, float]
Curriculum = Callable[[int], Level]


@dataclass(frozen=True, slots=True)
class LowLightDraw:
    """All that was drawn for one image or clip; with the light image, it determines the dark one.

    Attributes:
        profile: as it was given to the transform; empty if the image stays light.
        draw: of the profile's dimmer; None if the image stays light.
    """

    profile: str
    draw: Draw | None

    def record(self) -> dict[str, Any]:
        """The draw as JSON can store it: {"profile": ..., "draw": {...} or null}."""
        return {"profile": self.profile, "draw": self.draw and self.draw.record()}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """The draw of a record.

        Raises:
            UsageError: it is not a record of :meth:`record`.
        """
        try:
            draw = record["draw"]
            return cls(str(record["profile"]), None if draw is None else Draw(**draw))
        except (KeyError, TypeError) as error:
            raise UsageError(
                f"this is not the record of a draw ({error})",
                "give what `record()` of a draw returned",
                code="usage",
                parameter="draw",
            ) from None


class ProfileMix:
    """Draws from one profile or a weighted mix of several. A pickled mix has only names and options.

    Args:
        profiles: names or folders.
        weights: relative frequencies of the profiles; default equal.
        gamma: fixed, or a range from which it is drawn; default each profile's range.
        options: as for :meth:`.ImageDimmer.from_profile`.

    Raises:
        UsageError: a profile or an option is unknown, or a value is out of its range.
        DimmagenError: a profile is damaged.
    """

    def __init__(
        self,
        profiles: Sequence[str | Path],
        weights: Sequence[float] | None = None,
        gamma: Gamma | None = None,
        **options: Any,
    ) -> None:
        self.names = tuple(str(profile) for profile in profiles)
        if not self.names:
            raise UsageError(
                "`profile` is empty",
                "name at least one profile",
                code="missing-argument",
                parameter="profile",
            )
        self._shares = _cumulative_shares(weights, len(self.names))
        gamma_range = None if gamma is None else as_range(gamma, "gamma")
        self._builders = {
            name: DimmerBuilder(name, gamma_range=gamma_range, **options) for name in self.names
        }

    def draw(self, key: str, variant: int, seed: int, level: Level | None = None) -> LowLightDraw:
        """The draw of one image: a pure function of the arguments, the profiles and the options.

        Args:
            key, variant, seed: as for :meth:`.ImageDimmer.draw`.
            level: darkness within the range of gamma, in [0, 1], or a range of it; see :func:`gammas_at`.
        """
        at = keyed_random.uniform(seed, key, variant, "profile") if len(self.names) > 1 else 0.0
        name = next(name for name, share in zip(self.names, self._shares, strict=True) if at < share)
        dimmer = self.dimmer(name)
        if level is not None:
            dimmer = dimmer.with_gammas(*gammas_at(level, dimmer.gamma_range))
        return LowLightDraw(name, dimmer.draw(key, variant, seed))

    def dimmer(self, name: str) -> ImageDimmer:
        """The dimmer of one of the profiles.

        Raises:
            UsageError: it is not in the mix.
        """
        if name not in self._builders:
            raise UnknownNameError(
                f"the draw is of profile {name!r}, which this transform does not have",
                f"{did_you_mean(name, self.names)}it has {', '.join(self.names)}",
                kind="profile",
                name=name,
            )
        return self._builders[name]()


def gammas_at(level: Level, gamma_range: tuple[float, float]) -> tuple[float, float]:
    """The range of gamma at a level of darkness: 0 is the brightest gamma of a range, 1 the darkest.

    In between, gamma changes by equal factors: gamma = brightest^(1 - level) darkest^level.

    Raises:
        UsageError: a level is not in [0, 1].
    """
    levels = as_range(level, "level")
    for one in levels:
        if not 0 <= one <= 1:
            raise UsageError(
                f"`level` is {one:g}",
                "give a value from 0 (as bright as the profile's range allows) to 1 (as dark)",
                code="out-of-range",
                parameter="level",
                value=one,
            )
    darkest, brightest = min(gamma_range), max(gamma_range)
    low, high = sorted(brightest ** (1 - one) * darkest**one for one in levels)
    return low, high


def as_range(value: float | Sequence[float], name: str) -> tuple[float, float]:
    """(low, high) of a number or of two.

    Raises:
        UsageError: it is neither.
    """
    try:
        low, high = (value, value) if isinstance(value, (int, float)) else value
        return float(low), float(high)
    except (TypeError, ValueError):
        raise UsageError(
            f"`{name}` is {value!r}",
            "give a number, or the lowest and the highest one",
            code="usage",
            parameter=name,
        ) from None


def _cumulative_shares(weights: Sequence[float] | None, count: int) -> list[float]:
    """Upper ends of the profiles' parts of [0, 1]; the last one is 1."""
    weights = [1.0] * count if weights is None else list(weights)
    if len(weights) != count or min(weights) < 0 or not sum(weights) > 0:
        raise UsageError(
            f"`weights` is {weights} for {count} profile{'s' * (count > 1)}",
            "give one number for each profile, none negative and not all zero",
            code="usage",
            parameter="weights",
        )
    sums = list(itertools.accumulate(weights))
    last = max(number for number, weight in enumerate(weights) if weight > 0)
    return [1.0 if number >= last else one / sums[-1] for number, one in enumerate(sums)]
