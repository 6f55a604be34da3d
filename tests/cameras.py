"""A synthetic camera in whose images every part of the model is visible."""

import numpy as np

from dimmagen.dimmers.camera.model import SIGMA_KNOTS, CameraModel
from dimmagen.dimmers.camera.response import KNOTS


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
