"""What the realism suite finds on each pair: every measure of every method, and the floors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dimmagen.metrics.realism.measures import Measured
from dimmagen.metrics.realism.noise import NoiseStatistics

Mode = Literal["gamma1", "drawn", "matched"]
"""Gamma 1 at exposure 1, gamma 1 at a drawn exposure, or gamma matched to the mean of the real dark image."""
MODES: tuple[Mode, ...] = ("gamma1", "drawn", "matched")
REAL = "real, split halves"
AGAIN = "real, shot again"


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
