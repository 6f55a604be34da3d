"""Dimming inside a training loop: the online counterpart of the shards, as a torch module.

Offline and online dimming are the same pure function: equal profile, seed, key, variant and light pixels give
equal dark pixels, on every device. The camera model uses integer arithmetic and runs on the device of the
batch; the other models, and cameras that store JPEGs, are computed on the CPU by the code that makes the
shards.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from dimmagen.core import arguments as kinds
from dimmagen.core.errors import UsageError
from dimmagen.dimmers import dimmer
from dimmagen.dimmers.base import Draw


class Dimmer(nn.Module):
    """Dims batches of light images as one camera would.

    Args:
        offline: the dimmer that makes shards; usually from :meth:`from_profile`.
        kernel: implementation for camera models, all with the same pixels: `torch`, `triton` (the extra
            `triton`), or `auto`, which uses Triton on a GPU where it is installed and works.

    Example:
        >>> import torch
        >>> from dimmagen import Dimmer
        >>> dimmer = Dimmer.from_profile("linear")
        >>> light = torch.rand(2, 3, 64, 64)
        >>> dimmer(light).shape  # new draws at every call
        torch.Size([2, 3, 64, 64])
        >>> draws = dimmer.draws(["image-1", "image-2"], variant=0, seed=0)
        >>> dark = dimmer(light, draws)  # the pixels for these keys in a data set with seed 0
    """

    def __init__(self, offline: dimmer.ImageDimmer, kernel: str = "auto") -> None:
        super().__init__()
        self.offline = offline
        self.kernel = kernel

    @classmethod
    def from_profile(cls, name_or_path: str | Path, *, kernel: str = "auto", **options: Any) -> Self:
        """The dimmer of a profile; options and errors as :meth:`.ImageDimmer.from_profile`."""
        return cls(dimmer.ImageDimmer.from_profile(name_or_path, **options), kernel)

    def draws(self, keys: Sequence[str], variant: int = 0, seed: int = 0) -> list[Draw]:
        """The draws of light images, as in a data set.

        Args:
            keys: of the images: `light_key` in a data set; a string is one key.
            variant, seed: as for :meth:`.ImageDimmer.draw`.

        Returns:
            One draw per key.
        """
        variant, seed = kinds.from_zero("variant", variant), kinds.whole("seed", seed)
        return [self.offline.draw(key, variant, seed) for key in kinds.texts("keys", keys)]

    def forward(self, light: Tensor, draws: Sequence[Draw] | None = None) -> Tensor:
        """Dim a batch.

        Args:
            light: float (B, 3, H, W) in [0, 1], RGB, on any device; rounded to 8 bits first, like the images
                of a shard. Or uint8 (B, 3, H, W), as images are decoded.
            draws: one per image, from :meth:`draws` or a data set's rows; by default every call makes new
                draws from torch's generator (`torch.manual_seed` repeats them).

        Returns:
            The dark images with the shape, dtype and device of `light`: multiples of 1/255, or uint8. No
            gradient flows through them.

        Raises:
            UsageError: the shape or dtype is another one, values are not in [0, 1] (to half an 8-bit step) or
                not finite, the number of draws is not the number of images, or the kernel that is asked for
                does not run here.
        """
        if not isinstance(light, Tensor):
            raise UsageError(
                f"`light` is of the type {type(light).__name__}",
                "give a tensor (B, 3, H, W) in [0, 1]",
                code="usage",
                parameter="light",
            )
        if light.ndim != 4 or light.shape[1] != 3:
            raise UsageError(
                f"`light` has the shape {tuple(light.shape)}",
                "give a batch (B, 3, H, W) in [0, 1]",
                code="usage",
                parameter="light",
                shape=tuple(light.shape),
            )
        if draws is None:
            draws = self.draws(
                [f"online-{number}" for number in torch.randint(2**62, (len(light),), device="cpu").tolist()]
            )
        if len(draws) != len(light):
            raise UsageError(
                f"there are {len(draws)} draws for {len(light)} images",
                "give one draw per image",
                code="usage",
                parameter="draws",
            )
        pixels = _to_8_bits(light.detach())
        if not light.numel():
            return light.detach().clone()
        dark = self._dim(pixels, draws)
        return dark if light.dtype == torch.uint8 else dark.to(light.dtype) / 255

    def _dim(self, lights: Tensor, draws: Sequence[Draw]) -> Tensor:
        """uint8 (B, 3, H, W) -> uint8 (B, 3, H, W), on the same device."""
        model = self.offline.model
        if model.on_device and not model.develops:
            options = (
                {} if self.kernel == "auto" else {"kernel": self.kernel}
            )  # models of others have no choice
            return model.expose_tensors(lights, draws, **options)
        pixels = lights.permute(0, 2, 3, 1).cpu().numpy()
        dark = [self.offline.dim(light, draw) for light, draw in zip(pixels, draws, strict=True)]
        return torch.from_numpy(np.stack(dark)).permute(0, 3, 1, 2).to(lights.device)


def _to_8_bits(light: Tensor) -> Tensor:
    """Float in [0, 1] -> uint8, of any shape; uint8 is left as it is.

    Raises:
        UsageError: the dtype is another one, or a value would not be rounded to 0 ... 255.
    """
    if light.dtype == torch.uint8:
        return light
    if not light.is_floating_point():
        raise UsageError(
            f"`light` has the dtype {str(light.dtype).removeprefix('torch.')}",
            "give floats in [0, 1], or uint8",
            code="usage",
            parameter="light",
        )
    values = (light * 255).round()
    if light.numel():
        low, high = values.aminmax()  # both are NaN if any value is
        if not (low >= 0 and high <= 255):
            least, most = float(low) / 255, float(high) / 255
            raise UsageError(
                f"`light` has values from {least:.4g} to {most:.4g}",
                "give floats in [0, 1] (not normalised, not 0 to 255), or uint8",
                code="out-of-range",
                parameter="light",
            )
    return values.to(torch.uint8)
