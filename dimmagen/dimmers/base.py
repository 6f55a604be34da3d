"""The interface of every dark model, and the draw that it is given."""

from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True, slots=True)
class Draw:
    """Everything that is drawn for one pair; with the model and the light pixels it fixes the dark picture.

    Attributes:
        gamma: brightness factor of the dark picture relative to the profile's mean darkness (paper: gamma).
        tau: scale of the drawn noise (paper: tau; for the camera model 1.0 is the measured noise).
        exposure: factor on the mean darkness for the spread between scenes; 1.0 where the model has none.
        noise_seed: key of the counter-based pixel generator, in [0, 2**63).
    """

    gamma: float
    tau: float
    exposure: float
    noise_seed: int

    def record(self) -> dict[str, float | int]:
        return asdict(self)


class DimmerModel(Protocol):
    """What one kind of dimmer must offer; `profiles/` holds the kinds (camera, mdn, deterministic, ...)."""

    @property
    def kind(self) -> str: ...

    @property
    def gamma_range(self) -> tuple[float, float]:
        """Default of gamma's range."""
        ...

    @property
    def tau(self) -> float:
        """Default temperature."""
        ...

    @property
    def exposure_spread(self) -> float:
        """Standard deviation of ln(exposure) between scenes; 0 where the model has none."""
        ...

    def dim(self, light: np.ndarray, draw: Draw) -> np.ndarray:
        """uint8 (H, W, 3) RGB light -> uint8 (H, W, 3) RGB dark."""
        ...

    def settings(self) -> dict[str, str | int | float | bool]:
        """Switches that change the output: they go into the fingerprint and the manifest."""
        ...
