"""What the kernels for batches need of a camera model, so that it and they do not import each other."""

from typing import Protocol

import numpy as np

from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.camera.response import ResponseCurve


class Camera(Protocol):
    """What batches need of a :class:`.CameraModel`."""

    without: tuple[str, ...]

    @property
    def curve(self) -> ResponseCurve: ...
    @property
    def offsets(self) -> np.ndarray: ...
    @property
    def noise_curves(self) -> tuple[np.ndarray, np.ndarray]: ...
    def constants(self) -> tuple[np.ndarray, np.ndarray, bool, np.ndarray, np.ndarray]: ...
    def light_shifts(self, brightness: np.ndarray) -> np.ndarray: ...
    def tables(self, draw: Draw) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]: ...
    def kernel_arguments(self, draw: Draw) -> tuple: ...
