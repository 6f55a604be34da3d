"""A camera's response curve: grey level <-> logarithm of the light that caused it.

Two exposures of one scene differ by one factor of light, so dark = T(k · T⁻¹(light)) with one curve T for
all images of a camera (Debevec and Malik 1997; Mann and Picard 1995, "comparametric" curves). The curve
explains why the ratio dark / light depends on the level and on the exposure, and why a weaker exposure
saturates colours; one factor k per image then determines its darkness.
"""

from dataclasses import dataclass

import numpy as np

KNOTS = 14
SIGMA_KNOTS = 12  # of the noise curves
BLACK = 2.0  # grey levels added before the logarithm, so that black has a finite position on the axis
FINE = 1024


def level_axis(level: np.ndarray | float) -> np.ndarray:
    """ln((level + 2) / 257), any shape: on this axis, knots of curves over grey levels are evenly spaced."""
    return np.log((np.asarray(level, np.float64) + BLACK) / (255 + BLACK))


def sigma_axis() -> np.ndarray:
    """Positions of the knots of the noise curves, on :func:`level_axis`: float64 (12,)."""
    return np.linspace(level_axis(0.0), 0.0, SIGMA_KNOTS)


@dataclass(frozen=True, eq=False)
class ResponseCurve:
    """Monotone curve between grey levels and log light, defined by `KNOTS` log-slopes, interpolated linearly.

    Attributes:
        log_slopes: float64 (14,), ln of d(log light) / d(level_axis) at knots evenly spaced on
            :func:`level_axis`. The scale of log light is arbitrary (a power of the light corresponds to a
            power of k); fitting pulls the log-slopes towards those of sRGB.
    """

    log_slopes: np.ndarray

    def __post_init__(self) -> None:
        axis = np.linspace(level_axis(0.0), 0.0, FINE)
        slopes = np.exp(np.interp(axis, np.linspace(axis[0], 0.0, KNOTS), self.log_slopes))
        steps = (slopes[1:] + slopes[:-1]) / 2 * np.diff(axis)
        rising = np.concatenate([[0.0], np.cumsum(steps)])
        object.__setattr__(self, "_levels", np.exp(axis) * (255 + BLACK) - BLACK)
        object.__setattr__(self, "_log_light", rising - rising[-1])

    @property
    def knots(self) -> tuple[np.ndarray, np.ndarray]:
        """The curve as it is interpolated: log light and grey levels, rising, float64 (1024,) each."""
        return self._log_light, self._levels

    _levels: np.ndarray = None  # type: ignore[assignment]
    _log_light: np.ndarray = None  # type: ignore[assignment]

    def log_light(self, level: np.ndarray | float) -> np.ndarray:
        """Grey level in [0, 255] -> log light, at most 0 (white); any shape."""
        return np.interp(level, self._levels, self._log_light)

    def level(self, log_light: np.ndarray | float) -> np.ndarray:
        """Log light -> grey level in [0, 255], any shape; clipped to 0 below black and to 255 above white."""
        return np.interp(log_light, self._log_light, self._levels)
