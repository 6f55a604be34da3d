"""The paper's dimmer as a dark model: kinds `mdn`, and `deterministic`, its ablation without noise."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from dimmagen.philox import split_key
from dimmagen.profiles.dark_model import Draw
from dimmagen.profiles.illumination import LEVELS, repair_published
from dimmagen.profiles.mdn_kernel import dim_pixels
from dimmagen.profiles.noise import NORMAL_QUANTILES
from dimmagen.profiles.profile import read_tensors

NETWORK_FILE = "mdn.safetensors"
STATISTICS_FILE = "illumination.safetensors"
STATISTICS_SHAPES: dict[str, tuple[int, ...]] = {"mean": (LEVELS,), "std": (LEVELS,)}
NETWORK_SHAPES: dict[str, tuple[int, ...]] = {
    "hidden.0.weight": (32, 5),
    "hidden.0.bias": (32,),
    "hidden.1.weight": (32, 32),
    "hidden.1.bias": (32,),
    "hidden.2.weight": (32, 32),
    "hidden.2.bias": (32,),
    "head.weight": (36, 32),
    "head.bias": (36,),
}


@dataclass(frozen=True, eq=False)
class MdnModel:
    """Mean darkness by light level, noise of the illumination, and the colour drawn from the network.

    phi ~ N(gamma exposure mean[L], (tau std[L])^2) per pixel, clipped to [0, 1]; L_dark = phi L; each channel
    of R_dark from its mixture, clipped at 0, renormalised; dark = 3 L_dark R_dark, rounded half to even.

    Attributes:
        network: the tensors of `NETWORK_SHAPES`.
        mean, std: float32 (256,), see :mod:`dimmagen.profiles.illumination`.
        sigma_floor: added to the mixture's deviations.
    """

    network: dict[str, np.ndarray]
    mean: np.ndarray
    std: np.ndarray
    sigma_floor: float
    gamma_range: tuple[float, float]
    tau: float
    exposure_spread: float
    kind = "mdn"

    def dim(self, light: np.ndarray, draw: Draw) -> np.ndarray:
        """uint8 (H, W, 3) RGB light -> uint8 (H, W, 3) RGB dark."""
        dark = np.empty_like(light)
        dim_pixels(
            np.ascontiguousarray(light).reshape(-1, 3),
            dark.reshape(-1, 3),
            *self._weights,
            np.float32(self.sigma_floor),
            (np.float64(draw.gamma * draw.exposure) * self.mean).astype(np.float32),
            (np.float64(draw.tau) * self.std).astype(np.float32),
            NORMAL_QUANTILES,
            *split_key(draw.noise_seed),
        )
        return dark

    def settings(self) -> dict:
        return {}

    @cached_property
    def _weights(self) -> tuple[np.ndarray, ...]:
        return tuple(np.ascontiguousarray(self.network[name]) for name in NETWORK_SHAPES)


def load(folder: Path, settings: dict) -> MdnModel:
    """The model of a profile's folder; published statistics have their ends mended."""
    statistics = read_tensors(folder / STATISTICS_FILE, STATISTICS_SHAPES)
    if settings["published"]:
        statistics = {name: repair_published(array) for name, array in statistics.items()}
    return MdnModel(
        network=read_tensors(folder / NETWORK_FILE, NETWORK_SHAPES),
        sigma_floor=settings["sigma_floor"],
        gamma_range=(settings["gamma_low"], settings["gamma_high"]),
        tau=settings["tau"],
        exposure_spread=settings["exposure_spread"],
        **statistics,
    )
