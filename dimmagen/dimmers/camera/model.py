"""The camera model: dark = response(exposure x light) + the camera's noise, quantised. Kind `camera`.

The signal is physical: both images of a pair show one scene through one response curve, so a single factor of
light leads from the light image to the dark one (:mod:`dimmagen.dimmers.camera.response`). The noise is that
of the camera, as measured on the dark images: a standard deviation and a skew for each channel as smooth
curves over its grey level, one correlation between the channels, the tails of luma and chroma, and the
correlation between neighbours. It depends on the dark level, not on the scene: half the light means less
signal with nearly the same noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from scipy.special import ndtri, stdtrit  # scipy.stats would take a second and 50 MB to import

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.philox import split_key
from dimmagen.core.registry import did_you_mean
from dimmagen.dimmers.base import DimmerModel, Draw
from dimmagen.dimmers.camera import kernel, structure_kernel
from dimmagen.dimmers.camera.chroma import suppress_fine_chroma
from dimmagen.dimmers.camera.highlights import code_levels, code_rises, encode_light
from dimmagen.dimmers.camera.response import SIGMA_KNOTS, ResponseCurve, level_axis, sigma_axis
from dimmagen.dimmers.camera.stored import KIND, CameraFields, read_fields
from dimmagen.dimmers.camera.structure import Structure, structure_of
from dimmagen.dimmers.jpeg import through_jpeg

if TYPE_CHECKING:
    from torch import Tensor

REFERENCE_LEVEL = 160.0  # gamma and exposure are factors on the dark level of this light level
TOE_LEVEL = 6.0  # grey levels over which the black offset of a channel fades
LARGEST_SKEW = 0.5
PARTS = (
    *("response", "toe", "balance", "white-balance-spread", "fine-chroma", "highlights"),
    *("intensity", "noise-by-luma", "correlation", "tails", "skew"),
    *("spatial", "banding", "noise-spread", "jpeg"),
)

# Rows are orthonormal directions: luma, then two chroma axes.
OPPONENT = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], np.float64) / np.sqrt([[3], [2], [6]])


def toe_level(level: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """What a black offset takes from a dark level: offset · exp(-level / 6), in grey levels.

    A camera does not subtract the same black from each channel: the darkest greys have a cast that brighter
    ones do not have.

    Args:
        level: float (...), dark level of the response curve.
        offset: float, broadcast to it: what is taken at black.
    """
    return offset * np.exp(-level / TOE_LEVEL)


@dataclass(frozen=True, eq=False)
class CameraModel(CameraFields, DimmerModel):
    """The dimmer model of one camera: what is measured of it (:class:`.CameraFields`), and what is left out.

    Attributes:
        without: those of `PARTS` that are switched off (see :meth:`switched_off`).
    """

    without: tuple[str, ...] = ()

    kind = KIND
    fitted: ClassVar[bool] = True
    compats: ClassVar[tuple[str, ...]] = ("default",)
    parts = PARTS
    on_device = True

    @classmethod
    def load(cls, folder: Path | None, settings: dict[str, Any], compat: str = "default") -> Self:
        """Load the camera model of a profile.

        Args:
            folder: of the profile; one of dimmagen 0.1.0 gives the images that it gave there.
            settings: of the kind `camera` in `profile.json`.
            compat: `default`.

        Raises:
            DimmagenError: a file is missing or damaged, or a setting is outside its range.
        """
        if folder is None:
            raise DimmagenError(
                "a camera model is loaded from the folder of a profile",
                "give a `folder`",
                code="missing-argument",
                parameter="folder",
            )
        return cls(**read_fields(folder, settings))

    @classmethod
    def parameters(cls) -> dict[str, Any]:
        """Empty: a fitted kind has no constants."""
        return {}

    def settings(self) -> dict[str, str | int | float | bool]:
        """The switches that change the output, and whether a white balance is drawn for each image."""
        drawn = {"white_balance": "drawn"} if any(self.balance_spread) else {}
        return {"without": ",".join(self.without), **drawn}

    def switched_off(self, *parts: str) -> "CameraModel":
        """A copy of the model without some of its parts, for ablations.

        `response`: darken by one factor per image instead of the curve. `toe`: no black offsets. `balance`:
        no colour cast of the camera. `white-balance-spread`: no colour cast drawn for each image.
        `fine-chroma`: all fine chroma of the light image, its noise too. `highlights`: clipped light is
        white. `intensity`: one noise level per channel. `noise-by-luma`: the noise of a channel depends on
        its own level, not on luma's. `correlation`: independent channels. `tails`: Gaussian noise. `skew`:
        symmetric noise. `spatial`: white noise. `banding`: no noise of rows and columns. `noise-spread`: the
        same noise level in all images. `jpeg`: no compression.

        Raises:
            UsageError: a part is not one of `PARTS`.
        """
        unknown = [part for part in parts if part not in PARTS]
        if unknown:
            raise UsageError(
                f"the camera model has no part {', '.join(unknown)}",
                f"{did_you_mean(unknown[0], PARTS)}it has {', '.join(PARTS)}",
                code="unknown-name",
                parameter="without",
                name=unknown[0],
            )
        without = tuple(part for part in PARTS if part in {*self.without, *parts})
        # Without a response, dark images are the light one times a factor, whatever the white balance.
        fixed = not {"white-balance-spread", "response"}.isdisjoint(without)
        return replace(
            self,
            without=without,
            balance_spread=(0.0, 0.0) if fixed else self.balance_spread,
            noise_spread=0.0 if "noise-spread" in without else self.noise_spread,
        )

    def dim(self, light: np.ndarray, draw: Draw) -> np.ndarray:
        """Dim one image: uint8 (H, W, 3) RGB -> uint8 (H, W, 3) RGB."""
        return self.develop(self.expose(light, draw))

    def expose(self, light: np.ndarray, draw: Draw) -> np.ndarray:
        """The dark image before it is stored: uint8 (H, W, 3) RGB -> uint8 (H, W, 3) RGB."""
        out = np.empty_like(light)
        arguments, key = self.kernel_arguments(draw), split_key(draw.noise_seed)
        filtered = suppress_fine_chroma(light, self.chroma_share)
        light = np.ascontiguousarray(encode_light(light, filtered) if self.highlights else filtered)
        if self.structure is None:
            kernel.dim_image(light, *arguments, *key, out)
        else:
            parts = self.structure.taps, self.structure.weights
            structure_kernel.dim_image(light, *arguments[:5], *parts, *arguments[7:], *key, out)
        return out

    def develop(self, exposed: np.ndarray) -> np.ndarray:
        """Store as JPEG and decode, if the camera does: uint8 (H, W, 3) RGB -> uint8 (H, W, 3) RGB."""
        return through_jpeg(exposed, self.compression) if self.compression else exposed

    def expose_tensors(self, lights: "Tensor", draws: Sequence[Draw], kernel: str = "auto") -> "Tensor":
        """:meth:`expose` for a batch on any device, with the same bits.

        Args:
            lights: uint8 (B, 3, H, W), RGB.
            draws: one per image.
            kernel: `torch`, `triton`, or `auto`: Triton's on a GPU where it is installed and works.

        Returns:
            uint8 (B, 3, H, W) on the same device.

        Raises:
            UsageError: Triton's kernel is asked for and does not run here.
        """
        from dimmagen.dimmers.camera.batches import dim_batch  # imports torch

        return dim_batch(self, lights, draws, kernel)

    @property
    def develops(self) -> bool:  # type: ignore[override]
        """Whether the camera stores JPEG files."""
        return self.compression > 0

    @property
    def compression(self) -> int:
        """JPEG quality of the stored dark image; 0 for no compression."""
        return 0 if "jpeg" in self.without else self.jpeg_quality

    @property
    def chroma_share(self) -> float:
        """Share of the light image's fine chroma that is dimmed; 1 where the part is switched off."""
        return 1.0 if "fine-chroma" in self.without else self.fine_chroma

    @property
    def highlights(self) -> float:
        """The headroom of clipped light; 0 where the part is switched off, or the response."""
        return 0.0 if {"highlights", "response"} & {*self.without} else self.headroom

    def light_codes(self) -> tuple[np.ndarray, np.ndarray]:
        """Light level and log light of each code that a light image consists of: float64 (256,) each.

        Without headroom, codes are light levels.
        """
        if not self.highlights:
            levels = np.arange(256.0)
            return levels, self.curve.log_light(levels)
        levels = code_levels()
        return levels, self.curve.log_light(levels) + self.highlights * code_rises()

    def kernel_arguments(self, draw: Draw) -> tuple:
        """The arguments `level` to `by_luma` of :func:`dimmagen.dimmers.camera.kernel.dim_image`."""
        return *self.tables(draw), *self.constants()

    def constants(self) -> tuple[np.ndarray, np.ndarray, bool, np.ndarray, np.ndarray, bool]:
        """Those of :meth:`kernel_arguments` that are equal for all draws: `mix` to `by_luma`."""
        luma, chroma = map(noise_quantiles, self.tails)
        by_luma = self.noise_by_luma and "noise-by-luma" not in self.without
        return self._mix, self._taps, bool(self._side_taps.any()), luma, chroma, by_luma

    def tables(self, draw: Draw) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
        """Dark level, factor of the noise z and factor of z² for each light level, or code of it.

        Returns:
            Three int32 (3, 256), in the kernel's units, and whether any factor of z² is not 0.
        """
        curve = self.dark_codes(draw.gamma * draw.exposure, draw.balance)
        sigma = np.minimum(draw.tau * self.noise_level(curve), kernel.LARGEST_SIGMA)
        largest = (kernel.LARGEST_SLOPE - sigma) / kernel.LARGEST_NOISE
        bend = np.clip(sigma * self.noise_skew(curve), -largest, largest)
        level = self._with_toe(curve) - bend  # z² - 1 has the mean 0
        bends = _fixed(bend, kernel.BEND_BITS)
        return _fixed(level, kernel.LEVEL_BITS), _fixed(sigma, kernel.SIGMA_BITS), bends, bool(bends.any())

    def dark_levels(self, brightness: float = 1.0, balance: np.ndarray | float = 0.0) -> np.ndarray:
        """Dark level of the response curve, without black offset, headroom and noise.

        Args:
            brightness: factor on the dark level of light level 160: gamma times exposure.
            balance: float64 (3,), ln of the factors on the light of each channel.

        Returns:
            float64 (3, 256), by channel and light level, grey levels in [0, 255].
        """
        levels = np.arange(256.0)
        if "response" in self.without:
            return np.tile(levels * min(brightness * float(self._reference) / REFERENCE_LEVEL, 1.0), (3, 1))
        shifts = self.light_shifts(np.array([brightness]), balance)
        return self.curve.level(self.curve.log_light(levels) + shifts[0, :, None])

    def dark_codes(self, brightness: float = 1.0, balance: np.ndarray | float = 0.0) -> np.ndarray:
        """:meth:`dark_levels` with headroom, by channel and code of light: see :meth:`light_codes`."""
        if not self.highlights:
            return self.dark_levels(brightness, balance)
        shifts = self.light_shifts(np.array([brightness]), balance)
        return self.curve.level(self.light_codes()[1] + shifts[0, :, None])

    def light_shifts(self, brightness: np.ndarray, balance: np.ndarray | float = 0.0) -> np.ndarray:
        """Difference of log light between the light image and the dark one, by channel.

        Args:
            brightness: float (N,), as for :meth:`dark_levels`.
            balance: float64 (N, 3) or broadcast to it, likewise.

        Returns:
            float64 (N, 3).
        """
        target = np.minimum(
            brightness * float(self._reference), REFERENCE_LEVEL
        )  # never brighter than the light
        shift = self.curve.log_light(target) - self.curve.log_light(REFERENCE_LEVEL)
        return shift[:, None] + (np.zeros(3) if "balance" in self.without else self.balance) + balance

    def noise_level(self, dark: np.ndarray) -> np.ndarray:
        """Standard deviation of the noise.

        Args:
            dark: float (3, ...), dark levels of the three channels, grey levels in [0, 255].

        Returns:
            float64 (3, ...), grey levels.
        """
        return np.exp(_over_levels(self.noise_curves[0], dark))

    def noise_skew(self, dark: np.ndarray) -> np.ndarray:
        """Skew s of the noise z + s (z² - 1); arguments and shape as for :meth:`noise_level`."""
        return _over_levels(self.noise_curves[1], dark)

    @property
    def noise_curves(self) -> tuple[np.ndarray, np.ndarray]:
        """ln of the noise's standard deviation, and its skew: float64 (3, 12) each, at :func:`sigma_axis`."""
        log_sigma = self.log_sigma
        if "intensity" in self.without:
            log_sigma = np.repeat(log_sigma.mean(1, keepdims=True), SIGMA_KNOTS, axis=1)
        skew = np.zeros_like(self.skew) if "skew" in self.without else self.skew
        return log_sigma, np.clip(skew, -LARGEST_SKEW, LARGEST_SKEW)

    def _with_toe(self, curve: np.ndarray) -> np.ndarray:
        """Mean dark levels (3, 256), at most the light's; below 0 where an offset exceeds the level."""
        if not self.offsets.any():
            return curve
        mean = np.minimum(
            curve - toe_level(curve, self.offsets[:, None]), np.maximum(self.light_codes()[0], curve)
        )
        return np.maximum(mean, kernel.SMALLEST_LEVEL)

    @property
    def offsets(self) -> np.ndarray:
        """The toe, float64 (3,); zeros where it is switched off."""
        return np.zeros(3) if "toe" in self.without else self.toe

    @property
    def tails(self) -> tuple[float, float]:
        """Degrees of freedom of the luma and of the chroma noise; 0 means Gaussian."""
        if "tails" in self.without:
            return 0.0, 0.0
        return self.tail, self.tail if self.chroma_tail is None else self.chroma_tail

    @cached_property
    def curve(self) -> ResponseCurve:
        """The response curve."""
        return ResponseCurve(self.log_slopes)

    @cached_property
    def _reference(self) -> np.ndarray:
        """Dark level of :data:`REFERENCE_LEVEL` at gamma and exposure 1."""
        return self.curve.level(self.curve.log_light(REFERENCE_LEVEL) + self.log_exposure)

    @cached_property
    def _mix(self) -> np.ndarray:
        """Matrix from luma and chroma normals to correlated channel noise: int32 (3, 3), in 2**-14."""
        correlation = np.eye(3) if "correlation" in self.without else self.correlation
        root = np.linalg.cholesky(OPPONENT @ correlation @ OPPONENT.T)
        return _fixed(OPPONENT.T @ root, kernel.MIX_BITS)

    @property
    def _side_taps(self) -> np.ndarray:
        return np.zeros(2) if "spatial" in self.without else self.spatial

    @cached_property
    def structure(self) -> Structure | None:
        """Long filters and banding, as the kernels use them; None without either."""
        filters = np.zeros_like(self.filters) if "spatial" in self.without else self.filters
        banding = np.zeros_like(self.banding) if "banding" in self.without else self.banding
        if not filters.any() and not banding.any():
            return None
        near = np.zeros_like(filters)
        near[..., 0], near[..., 1] = 1.0, self._side_taps[:, None]
        return structure_of(filters if filters.any() else near, banding)

    @cached_property
    def _taps(self) -> np.ndarray:
        centre = 1 / np.sqrt(1 + 2 * self._side_taps**2)
        return _fixed(np.stack([self._side_taps * centre, centre], 1), kernel.MIX_BITS)


@lru_cache(maxsize=8)
def noise_quantiles(tail: float) -> np.ndarray:
    """Quantiles of the unit-variance noise at (i + 1/2) / 65536.

    Args:
        tail: degrees of freedom of Student's t, above 2; 0 for a Gaussian.

    Returns:
        int16 (65536,), in 2**-12 standard deviations.
    """
    at = (np.arange(1 << 16) + 0.5) / (1 << 16)
    values = stdtrit(tail, at) * np.sqrt((tail - 2) / tail) if tail else ndtri(at)
    largest = 32767 / (1 << kernel.NORMAL_BITS)
    return _fixed(np.clip(values, -largest, largest), kernel.NORMAL_BITS).astype(np.int16)


def _over_levels(curves: np.ndarray, dark: np.ndarray) -> np.ndarray:
    """Curves (3, 12) over the knots at dark levels (3, ...): float64 (3, ...)."""
    axis, at = sigma_axis(), level_axis(dark)
    return np.stack([np.interp(at[c], axis, curves[c]) for c in range(3)])


def _fixed(values: np.ndarray, bits: int) -> np.ndarray:
    return np.rint(values * (1 << bits)).astype(np.int32)
