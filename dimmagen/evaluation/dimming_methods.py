"""What the realism suite compares: dimmers and plain curves, at their own strength or at a given one."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dimmagen.core import keyed_random
from dimmagen.dimmers.dimmer import Draw, ImageDimmer
from dimmagen.metrics.realism import floors

PairImages = tuple[str, np.ndarray, np.ndarray]
"""Name of a pair, its dark and its light image: uint8 (H, W, 3)."""
PLAIN = "plain linear"
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
