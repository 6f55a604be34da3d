"""How light a photo should become where nobody says it: learnt from the light images that were trained on.

A dark image's mean says little, as it depends on how far the image was darkened. The shape of its histogram
says more: the light image's mean is regressed on the quantiles of the dark one relative to its mean.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dimmagen.enhance.inputs import mean_lightness

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
SPREADS = 2.0  # of the light images, that a choice may be away from their mean
_SHRINKAGE = 0.1  # of the ridge, for many images; fewer of them are trusted less
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class LightnessModel:
    """A linear model of the light image's mean, in [0, 1], by the histogram of the dark one.

    Attributes:
        mean, spread: mean and standard deviation over the light images.
        centre, scale: mean and standard deviation of each of the dark images' features.
        weights: of the standardised features.
        images: how many it was learnt from.
    """

    mean: float
    spread: float
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    images: int

    def choose(self, dark: np.ndarray) -> float:
        """The lightness that an image should get.

        Args:
            dark: uint8 (H, W, 3), RGB.

        Returns:
            In [0, 1], at most two standard deviations from the mean of the light images.
        """
        standardised = (features(dark) - self.centre) / self.scale
        change = float(standardised @ np.array(self.weights))
        limit = SPREADS * self.spread
        return min(1.0, max(0.0, self.mean + min(limit, max(-limit, change))))

    def as_json(self) -> dict[str, Any]:
        """The model as JSON values, for the header of a network."""
        return asdict(self)


def learn_lightness(examples: Iterable[tuple[np.ndarray, float]]) -> LightnessModel:
    """Fit the model by ridge regression; it becomes the mean alone where there are few examples.

    Args:
        examples: at least one of (dark image, uint8 (H, W, 3); mean of its light image, in [0, 1]).
    """
    pairs = [(features(dark), light) for dark, light in examples]
    inputs, lights = np.array([one for one, _ in pairs]), np.array([light for _, light in pairs])
    centre, scale = inputs.mean(0), np.maximum(inputs.std(0), 1e-3)
    standardised, count = (inputs - centre) / scale, len(lights)
    penalty = (_SHRINKAGE * count + len(QUANTILES)) * np.eye(len(QUANTILES))
    weights = np.linalg.solve(
        standardised.T @ standardised + penalty, standardised.T @ (lights - lights.mean())
    )
    mean, spread = _rounded(lights.mean(), lights.std())
    return LightnessModel(
        mean,
        spread,
        _rounded(*centre),
        _rounded(*scale),
        _rounded(*weights),
        count,
    )


def features(dark: np.ndarray) -> np.ndarray:
    """Logarithms of the quantiles of an image's values relative to their mean.

    Args:
        dark: uint8 (H, W, 3), RGB.

    Returns:
        float64 (6,): equal, to within rounding, for an image of other brightness.
    """
    counts = np.bincount(dark.ravel(), minlength=256)
    cumulated = counts.cumsum() / counts.sum()
    values = (np.searchsorted(cumulated, QUANTILES) + 0.5) / 256
    return np.log(values / max(mean_lightness(dark), 1 / 512))


def lightness_of_header(header: Mapping[str, Any]) -> LightnessModel | None:
    """The model in the header of a network; None where there is none, as in those of earlier versions."""
    stored = header.get("lightness")
    if not isinstance(stored, dict):
        return None
    try:
        centre, scale, weights = (
            tuple(float(value) for value in stored[name]) for name in ("centre", "scale", "weights")
        )
        mean, spread, images = float(stored["mean"]), float(stored["spread"]), int(stored["images"])
        model = LightnessModel(mean, spread, centre, scale, weights, images)
    except (KeyError, TypeError, ValueError):
        return None
    sizes = {len(centre), len(scale), len(weights)}
    return model if sizes == {len(QUANTILES)} and all(scale > 0 for scale in model.scale) else None


def _rounded(*values: float) -> tuple[float, ...]:
    """Without the last digits, which libraries of linear algebra do not agree on."""
    return tuple(round(float(value), _DIGITS) for value in values)
