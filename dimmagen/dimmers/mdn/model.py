"""The paper's dimmer as a dimmer model: kinds `mdn`, and `deterministic`, its ablation without noise."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from dimmagen.core.philox import split_key
from dimmagen.dimmers.base import DimmerModel, Draw
from dimmagen.dimmers.mdn.illumination import LEVELS, repair_published
from dimmagen.dimmers.mdn.kernel import dim_expected, dim_pixels
from dimmagen.dimmers.noise import NORMAL_QUANTILES
from dimmagen.dimmers.profile import ModelFiles
from dimmagen.dimmers.stored_model import check_settings, read_tensors


@dataclass(frozen=True, eq=False)
class MdnFiles:
    """The content of a profile for the kinds `mdn` and `deterministic`, which share their files.

    Attributes:
        network: float32 tensors by the names and shapes of `NETWORK_SHAPES`; the head's 36 outputs are
            means, raw standard deviations and mixing logits, each (channel, component).
        mean, std: float32 (256,), see :mod:`dimmagen.dimmers.mdn.illumination`.
        published: whether the statistics are those of the authors, whose ends need a repair.
        sigma_floor: added to the mixtures' standard deviations.
        tau: default temperature.
        exposure_spread: standard deviation of ln(exposure) between scenes.
        gamma_range: default range of gamma.
    """

    network: dict[str, np.ndarray]
    mean: np.ndarray
    std: np.ndarray
    published: bool
    sigma_floor: float
    tau: float
    exposure_spread: float
    gamma_range: tuple[float, float] = (0.3, 2.0)

    NETWORK_SHAPES: ClassVar[dict[str, tuple[int, ...]]] = {
        "hidden.0.weight": (32, 5),
        "hidden.0.bias": (32,),
        "hidden.1.weight": (32, 32),
        "hidden.1.bias": (32,),
        "hidden.2.weight": (32, 32),
        "hidden.2.bias": (32,),
        "head.weight": (36, 32),
        "head.bias": (36,),
    }
    STATISTICS_SHAPES: ClassVar[dict[str, tuple[int, ...]]] = {"mean": (LEVELS,), "std": (LEVELS,)}

    RANGES: ClassVar[dict[str, tuple[float, float]]] = {
        "published": (False, True),
        "sigma_floor": (0.0, 1.0),
        "tau": (0.0, 1e6),
        "exposure_spread": (0.0, 10.0),
        "gamma_low": (1e-6, 1e6),
        "gamma_high": (1e-6, 1e6),
    }

    @classmethod
    def read(cls, folder: Path, settings: dict) -> Self:
        """Read and check the files of a profile.

        Args:
            folder: of the profile.
            settings: of the kind in `profile.json`.

        Raises:
            DimmagenError: a file is missing or damaged, or a setting is outside its range.
        """
        check_settings(folder, settings, cls.RANGES)
        return cls(
            network=read_tensors(folder / "mdn.safetensors", cls.NETWORK_SHAPES),
            **read_tensors(folder / "illumination.safetensors", cls.STATISTICS_SHAPES),
            published=settings["published"],
            sigma_floor=settings["sigma_floor"],
            tau=settings["tau"],
            exposure_spread=settings["exposure_spread"],
            gamma_range=(settings["gamma_low"], settings["gamma_high"]),
        )

    def models(self) -> list[ModelFiles]:
        """Model files of both kinds, for :func:`dimmagen.dimmers.profile.save_profile`."""
        files = {
            "mdn.safetensors": self.network,
            "illumination.safetensors": {"mean": self.mean, "std": self.std},
        }
        settings = {
            "published": self.published,
            "sigma_floor": self.sigma_floor,
            "tau": self.tau,
            "exposure_spread": self.exposure_spread,
            "gamma_low": self.gamma_range[0],
            "gamma_high": self.gamma_range[1],
        }
        return [ModelFiles(kind, files, settings) for kind in ("mdn", "deterministic")]


class _Base(DimmerModel):
    """The common part of both kinds: the network, and the mean darkness under a draw."""

    def __init__(self, files: MdnFiles) -> None:
        self.gamma_range, self.tau, self.exposure_spread = files.gamma_range, files.tau, files.exposure_spread
        repaired = repair_published if files.published else np.asarray
        self.mean, self.std = repaired(files.mean), repaired(files.std)
        self.sigma_floor = files.sigma_floor
        self.network = files.network

    def phi(self, draw: Draw) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of L_dark / L_light by light level for a draw: float32 (256,) each."""
        mean = draw.gamma * draw.exposure * self.mean.astype(np.float64)
        return mean.astype(np.float32), (draw.tau * self.std.astype(np.float64)).astype(np.float32)

    @cached_property
    def _weights(self) -> tuple[np.ndarray, ...]:
        return tuple(np.ascontiguousarray(self.network[name]) for name in MdnFiles.NETWORK_SHAPES)


class MdnModel(_Base):
    """Mean darkness by light level, noise of the illumination, and the colour drawn from the network.

    phi ~ N(gamma exposure mean[L], (tau std[L])^2) per pixel, clipped to [0, 1]; L_dark = phi L; each channel
    of R_dark from its mixture, clipped at 0, renormalised; dark = 3 L_dark R_dark, rounded half to even.
    The plain implementation is :func:`dimmagen.dimmers.mdn.definition.dim_plainly`.
    """

    kind = "mdn"

    def dim(self, light: np.ndarray, draw: Draw) -> np.ndarray:
        """Dim one image: uint8 (H, W, 3) RGB -> uint8 (H, W, 3) RGB."""
        dark = np.empty(light.shape, np.uint8)
        dim_pixels(
            np.ascontiguousarray(light).reshape(-1, 3),
            dark.reshape(-1, 3),
            self._weights,
            np.float32(self.sigma_floor),
            *self.phi(draw),
            NORMAL_QUANTILES,
            split_key(draw.noise_seed),
        )
        return dark

    def settings(self) -> dict:
        return {"compat": "default"}

    def negative_log_likelihood(self, light: np.ndarray, dark: np.ndarray) -> float:
        """Eq. 5 for a real pair, dequantised and without black pixels; lower is better.

        Args:
            light, dark: uint8 (H, W, 3), RGB.

        Returns:
            Mean over the pixels, in nats.
        """
        from dimmagen.dimmers.mdn import network  # imports torch, which dimming does not need

        return network.pair_likelihood(self.network, self.sigma_floor, light, dark)


class DeterministicModel(_Base):
    """The paper's ablation: the mean darkness and the mixture's mean colour, without any noise."""

    kind = "deterministic"

    def dim(self, light: np.ndarray, draw: Draw) -> np.ndarray:
        """Dim one image: uint8 (H, W, 3) RGB -> uint8 (H, W, 3) RGB; uses gamma and exposure of the draw."""
        dark = np.empty(light.shape, np.uint8)
        phi_mean, _ = self.phi(draw)
        pixels = np.ascontiguousarray(light).reshape(-1, 3)
        dim_expected(pixels, dark.reshape(-1, 3), self._weights, phi_mean)
        return dark

    def settings(self) -> dict:
        return {}
