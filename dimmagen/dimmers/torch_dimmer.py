"""Dimming inside a training loop: the online counterpart of the shards, as a torch module.

Offline and online are the same pure function: equal profile, seed, key, variant and light pixels give equal
dark pixels, on every device. The camera model is integer arithmetic and runs where the batch lies; the other
models, and cameras that store JPEGs, are computed on the processor by the code that makes the shards.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from dimmagen.core.errors import UsageError
from dimmagen.dimmers import dimmer
from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.camera.model import CameraModel
from dimmagen.dimmers.camera.torch_kernel import dim_images


class Dimmer(nn.Module):
    """Dims batches of light pictures as one camera would.

    Args:
        offline: the dimmer that makes shards; usually from :meth:`from_profile`.

    Example:
        >>> import torch
        >>> from dimmagen import Dimmer
        >>> dimmer = Dimmer.from_profile("linear")
        >>> light = torch.rand(2, 3, 64, 64)
        >>> dimmer(light).shape  # new draws at every call
        torch.Size([2, 3, 64, 64])
        >>> draws = dimmer.draws(["photo-1", "photo-2"], variant=0, seed=0)
        >>> dark = dimmer(light, draws)  # the pixels that `dimmagen dim --seed 0` makes of these keys
    """

    def __init__(self, offline: dimmer.ImageDimmer) -> None:
        super().__init__()
        self.offline = offline

    @classmethod
    def from_profile(cls, name_or_path: str | Path, **options: Any) -> Self:
        """The dimmer of a profile; options and errors as :meth:`.ImageDimmer.from_profile`."""
        return cls(dimmer.ImageDimmer.from_profile(name_or_path, **options))

    def draws(self, keys: Sequence[str], variant: int = 0, seed: int = 0) -> list[Draw]:
        """The draws of named pictures: those of their pairs in a data set (`light_key` there)."""
        return [self.offline.draw(key, variant, seed) for key in keys]

    def forward(self, light: Tensor, draws: Sequence[Draw] | None = None) -> Tensor:
        """Dim a batch.

        Args:
            light: float (B, 3, H, W) in [0, 1], RGB, on any device; rounded to 8 bits first, as a shard's
                pictures are.
            draws: one a picture, from :meth:`draws` or a data set's rows. Without them every call draws anew,
                from torch's generator (`torch.manual_seed` repeats it).

        Returns:
            Like `light`: the dark pictures, multiples of 1/255. No gradient flows through them.

        Raises:
            UsageError: another shape, or another number of draws than of pictures.
        """
        if light.ndim != 4 or light.shape[1] != 3:
            raise UsageError(f"light is {tuple(light.shape)}", "give a batch (B, 3, H, W) in [0, 1]")
        if draws is None:
            draws = self.draws(
                [f"online-{number}" for number in torch.randint(2**62, (len(light),)).tolist()]
            )
        if len(draws) != len(light):
            raise UsageError(f"{len(draws)} draws for {len(light)} pictures", "give one draw a picture")
        pixels = (light.detach() * 255).round().clamp(0, 255).to(torch.uint8)
        return self._dim(pixels, draws).to(light.dtype) / 255

    def _dim(self, lights: Tensor, draws: Sequence[Draw]) -> Tensor:
        """uint8 (B, 3, H, W) -> uint8 (B, 3, H, W), where they lie."""
        model = self.offline.model
        if isinstance(model, CameraModel) and not model.compression:
            return dim_images(model, lights, draws)
        pixels = lights.permute(0, 2, 3, 1).cpu().numpy()
        dark = [self.offline.dim(light, draw) for light, draw in zip(pixels, draws, strict=True)]
        return torch.from_numpy(np.stack(dark)).permute(0, 3, 1, 2).to(lights.device)
