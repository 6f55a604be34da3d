"""A synthetic camera in whose images every part of the model is visible."""

import numpy as np

from dimmagen.dimmers.camera.model import CameraModel
from dimmagen.dimmers.camera.response import KNOTS, SIGMA_KNOTS
from dimmagen.dimmers.camera.structure import RADIUS


def long_filters() -> np.ndarray:
    """Filters of noise that is correlated far, farther in chroma and differently along rows and columns."""
    distance, reach = np.arange(RADIUS + 1), np.array([[[0.6], [0.9]], [[4.0], [2.2]]])
    return np.exp(-((distance / reach) ** 2) / 2) - 0.1 * (distance == 2)


def camera(**changes) -> CameraModel:
    """A camera with a strong effect of every part; `changes` are attributes of the model."""
    model = {
        "log_slopes": np.log(np.linspace(1.2, 2.6, KNOTS)),
        "log_exposure": -1.2,
        "balance": np.array([0.1, -0.02, -0.08]),
        "log_sigma": np.log([[6.0], [3.2], [12.6]]) + np.linspace(0.0, 0.9, 12),
        "correlation": np.array([[1.0, 0.3, -0.4], [0.3, 1.0, 0.3], [-0.4, 0.3, 1.0]]),
        "spatial": np.array([0.2, 0.5]),
        "tail": 4.0,
        "chroma_tail": 9.0,
        "toe": np.array([1.5, -2.0, 4.0]),
        "skew": np.linspace([0.5, -0.3, 0.2], [-0.4, 0.0, 0.1], SIGMA_KNOTS).T,
        "exposure_spread": 0.0,
    }
    return CameraModel(**{**model, **changes})


def structured(**changes) -> CameraModel:
    """The same camera with long filters, and noise of rows and columns."""
    structure = {"filters": long_filters(), "banding": np.array([[0.3, 0.1], [0.0, 0.2]])}
    return camera(**{"spatial": np.zeros(2), **structure, **changes})
