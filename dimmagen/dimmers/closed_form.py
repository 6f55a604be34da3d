"""Dimmers that need no pairs: formulas from the literature, as baselines and for users without pairs.

Their constants are generic: the medians of LOL's training pairs where they must be those of a camera,
otherwise the ranges of the cited papers.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dimmagen.core import keyed_random
from dimmagen.dimmers.base import Draw, FormulaDimmer
from dimmagen.dimmers.noise import normals

BAND = 1 << 18  # pixels at a time, so that an image of any size needs little memory


def _dim_in_bands(
    light: np.ndarray, draw: Draw, frame: int, dim: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """Apply `dim` to bands of pixels.

    Args:
        light: uint8 (H, W, 3).
        draw: the draws of the pair.
        frame: of a clip; its noise is a block of its own.
        dim: (uint8 light (N, 3), float32 noise (N, 3)) -> dark grey levels, float (N, 3); the noise is
            standard normal, multiplied by tau.

    Returns:
        uint8 (H, W, 3), rounded half to even and clipped.
    """
    pixels = light.reshape(-1, 3)
    dark = np.empty_like(pixels)
    for first in range(0, len(pixels), BAND):
        band = pixels[first : first + BAND]
        noise = np.float32(draw.tau) * normals(first, len(band), draw.noise_seed, frame)[:, :3]
        dark[first : first + BAND] = np.clip(np.rint(dim(band, noise)), 0, 255)
    return dark.reshape(light.shape)


def _drawn(draw: Draw, low: float, high: float, purpose: str) -> float:
    """Another scalar of one image, from U(low, high); a pure function of the draw."""
    return keyed_random.uniform_between(low, high, draw.noise_seed, "", 0, purpose)


class _ClosedForm(FormulaDimmer):
    """A formula whose scalars are drawn once per image, or once per clip, from the draw's `noise_seed`."""

    def dim(self, light: np.ndarray, draw: Draw) -> np.ndarray:
        return self.dim_frame(light, draw, 0)


@dataclass(frozen=True)
class LinearModel(_ClosedForm):
    """Shorter exposure as one factor on the 8-bit values, plus Poisson-Gaussian noise.

    dark = f I + n with f = gamma * exposure * `darkness`, n ~ N(0, `shot` f I + `read`^2), in grey levels:
    the Gaussian form of Poisson-Gaussian noise (Foi et al., "Practical Poissonian-Gaussian noise modeling",
    2008). The constants are the medians of 40 LOL training pairs.
    """

    darkness: float = 0.12
    shot: float = 0.02
    read: float = 1.5
    exposure_spread: float = 0.0
    gamma_range: tuple[float, float] = (0.3, 2.0)
    tau: float = 1.0
    kind = "linear"

    def dim_frame(self, light: np.ndarray, draw: Draw, frame: int) -> np.ndarray:
        factor = np.float32(self.darkness * draw.gamma * draw.exposure)

        def dim(band: np.ndarray, noise: np.ndarray) -> np.ndarray:
            dark = band * factor
            return dark + noise * np.sqrt(self.shot * dark + self.read**2)

        return _dim_in_bands(light, draw, frame, dim)

    def settings(self) -> dict:
        return {"darkness": self.darkness, "shot": self.shot, "read": self.read}


@dataclass(frozen=True)
class GammaModel(_ClosedForm):
    """Linear scaling and a power, as AGLLNet's training pairs were made.

    dark = gamma * exposure * beta (alpha I)^p + n with alpha ~ U(0.9, 1), beta ~ U(0.5, 1), p ~ U(1.5, 5)
    drawn once per image (Lv, Li, Lu, "Attention guided low-light image enhancement", 2021, Eq. 1), and
    Poisson-Gaussian noise as for `linear`. The draw's gamma is 1 by default: the power darkens the image.
    """

    shot: float = 0.02
    read: float = 1.5
    exposure_spread: float = 0.0
    gamma_range: tuple[float, float] = (1.0, 1.0)
    tau: float = 1.0
    kind = "gamma"

    def dim_frame(self, light: np.ndarray, draw: Draw, frame: int) -> np.ndarray:
        alpha, beta = _drawn(draw, 0.9, 1.0, "alpha"), _drawn(draw, 0.5, 1.0, "beta")
        levels = (alpha * np.arange(256) / 255) ** _drawn(draw, 1.5, 5.0, "power")
        curve = (255 * beta * draw.gamma * draw.exposure * levels).astype(np.float32)

        def dim(band: np.ndarray, noise: np.ndarray) -> np.ndarray:
            dark = curve[band]
            return dark + noise * np.sqrt(self.shot * dark + self.read**2)

        return _dim_in_bands(light, draw, frame, dim)

    def settings(self) -> dict:
        return {"shot": self.shot, "read": self.read}


# A typical camera's colour matrix, sensor -> linear sRGB; rows sum to 1, so that gray stays gray.
_COLOUR_MATRIX = np.array([[1.70, -0.55, -0.15], [-0.25, 1.60, -0.35], [0.00, -0.55, 1.55]])


@dataclass(frozen=True)
class LidModel(_ClosedForm):
    """Low-illumination degradation: less light and sensor noise, simulated in the camera pipeline.

    Inverse sRGB curve, inverse colour matrix and white balance; exposure; shot and read noise; quantisation
    by the analog-to-digital converter; then the same pipeline forward, as in MAET (Cui et al., "Multitask AET
    with orthogonal tangent regularity for dark object detection", 2021), which follows unprocessing (Brooks
    et al., "Unprocessing images for learned raw denoising", 2019); the distribution of the noise levels is
    that of the latter. Their tone curve is omitted: it is unknown for images of unknown origin. Drawn once
    per image: white balance gains, noise level, bit depth. `darkness` is the remaining fraction of the light.
    """

    darkness: float = 0.1
    exposure_spread: float = 0.0
    gamma_range: tuple[float, float] = (0.3, 2.0)
    tau: float = 1.0
    kind = "lid"

    def dim_frame(self, light: np.ndarray, draw: Draw, frame: int) -> np.ndarray:
        gains = np.array([_drawn(draw, 1.9, 2.4, "red"), 1.0, _drawn(draw, 1.5, 1.9, "blue")])
        to_sensor = (np.linalg.inv(_COLOUR_MATRIX) / gains[:, None]).astype(np.float32)
        from_sensor = (_COLOUR_MATRIX * gains).astype(np.float32)
        log_shot = np.log(1e-4) + (np.log(0.012) - np.log(1e-4)) * _drawn(draw, 0, 1, "shot")
        spread = keyed_random.normal(draw.noise_seed, "", 0, "read")
        shot, read_variance = np.exp(log_shot), np.exp(2.18 * log_shot + 1.20 + 0.26 * spread)
        steps = 2.0 ** (12 + 2 * int(3 * _drawn(draw, 0, 0.999999, "bits"))) - 1  # 12, 14 or 16 bits

        factor = np.float32(self.darkness * draw.gamma * draw.exposure)

        def dim(band: np.ndarray, noise: np.ndarray) -> np.ndarray:
            sensor = np.clip(_LINEAR[band] @ to_sensor.T, 0, 1) * factor
            sensor += noise * np.sqrt(np.float32(shot) * sensor + np.float32(read_variance))
            sensor = np.rint(np.clip(sensor, 0, 1) * np.float32(steps)) / np.float32(steps)
            return 255 * _srgb(np.clip(sensor @ from_sensor.T, 0, 1))

        return _dim_in_bands(light, draw, frame, dim)

    def settings(self) -> dict:
        return {"darkness": self.darkness}


def _srgb(linear: np.ndarray) -> np.ndarray:
    """Linear light in [0, 1] -> sRGB in [0, 1] (IEC 61966-2-1)."""
    bright = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, 12.92 * linear, bright)


def _linear_levels() -> np.ndarray:
    """The 256 levels of sRGB as linear light, float32 (256,)."""
    encoded = np.arange(256) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


_LINEAR = _linear_levels()
