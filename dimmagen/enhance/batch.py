"""One training batch: stored crops, and the network's inputs computed from them on their device."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from dimmagen.core import keyed_random
from dimmagen.enhance.inputs import condition, mean_lightness, network_inputs

Equalise = Literal["crop", "image"]
EQUALISE: tuple[Equalise, ...] = get_args(Equalise)
ConditionOf = Literal["crop", "image"]
CONDITION_OF: tuple[ConditionOf, ...] = get_args(ConditionOf)


class Example(NamedTuple):
    """One crop of a pair.

    Attributes:
        key: of the pair.
        dark, light: uint8 (H, W, 3).
        tables: uint8 (3, 256), see :func:`~dimmagen.enhance.inputs.equalisation`: of the whole dark image;
            None for those of the crop.
        condition: 0..1000, see :func:`~dimmagen.enhance.inputs.condition`: of the whole image; None for that
            of the crop.
    """

    key: str
    dark: np.ndarray
    light: np.ndarray
    tables: np.ndarray | None = None
    condition: int | None = None

    @property
    def given_condition(self) -> int:
        """The condition that the network is given."""
        if self.condition is not None:
            return self.condition
        return condition(mean_lightness(self.dark), mean_lightness(self.light))


@dataclass(frozen=True, slots=True)
class Batch:
    """One training batch.

    Attributes:
        keys: of the N pairs.
        dark, light: uint8 (N, H, W, 3), the crops.
        condition: int64 (N,), 0..1000, see :func:`~dimmagen.enhance.inputs.condition`.
        tables: uint8 (N, 3, 256), see :func:`~dimmagen.enhance.inputs.equalisation`; None for those of the
            crops.
    """

    keys: tuple[str, ...]
    dark: Tensor
    light: Tensor
    condition: Tensor
    tables: Tensor | None = None

    @property
    def inputs(self) -> Tensor:
        """float32 (N, 10, H, W) in [0, 1], see :func:`~dimmagen.enhance.inputs.network_inputs`.

        Computed at each call, on the device of the crops.
        """
        return network_inputs(self.dark, self.tables)

    @property
    def target(self) -> Tensor:
        """float32 (N, 3, H, W) in [0, 1], the light crops."""
        return self.light.permute(0, 3, 1, 2).contiguous().float() / 255

    def to(self, device: torch.device) -> "Batch":
        """A copy on a device; from pinned memory it is made while this process continues."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "Batch":
        """A copy in memory that a GPU reads without the processor."""
        return self._each(Tensor.pin_memory)

    def share_memory(self) -> "Batch":
        """A copy in memory that is handed to another process as it is.

        Raises:
            RuntimeError: there is no room for it.
        """
        return self._each(Tensor.share_memory_)

    def record_stream(self, stream: torch.cuda.Stream) -> None:
        """Keep the memory until what was begun on this stream so far is done."""
        for tensor in (self.dark, self.light, self.condition, self.tables):
            if tensor is not None:
                tensor.record_stream(stream)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        tables = None if self.tables is None else change(self.tables)
        return Batch(self.keys, change(self.dark), change(self.light), change(self.condition), tables)


@dataclass(frozen=True, slots=True)
class Crops:
    """Random crops: squares at a random position, the same in both images of a pair, optionally mirrored.

    Attributes:
        side: pixels; no image may be smaller.
        flip: mirror half of the crops left to right.
        seed: of the draws, which depend on (seed, key, epoch) alone.
        equalise: whether the histogram that is equalised is that of the crop or that of the whole dark image.
        condition: whether the change of lightness that the network gets is that of the crop or that of the
            whole image, which a crop does not show.
    """

    side: int
    flip: bool
    seed: int
    equalise: Equalise = "crop"
    condition: ConditionOf = "crop"

    def cut(
        self, key: str, epoch: int, dark: np.ndarray, light: np.ndarray, tables: np.ndarray | None = None
    ) -> Example:
        """Take the same crop of both images of a pair.

        Args:
            key: of the pair.
            epoch: how often the pair was used before.
            dark, light: uint8 (H, W, 3).
            tables: of the whole dark image, handed on.

        Returns:
            uint8 (side, side, 3) views of the dark and of the light image.
        """
        height, width, _ = dark.shape
        top = int(keyed_random.uniform(self.seed, key, epoch, "crop-top") * (height - self.side + 1))
        left = int(keyed_random.uniform(self.seed, key, epoch, "crop-left") * (width - self.side + 1))
        window = np.s_[top : top + self.side, left : left + self.side]
        dark_crop, light_crop = dark[window], light[window]
        of_image = self.condition == "image"
        level = condition(mean_lightness(dark), mean_lightness(light)) if of_image else None
        if self.flip and keyed_random.uniform(self.seed, key, epoch, "flip") < 0.5:
            dark_crop, light_crop = dark_crop[:, ::-1], light_crop[:, ::-1]
        return Example(key, dark_crop, light_crop, tables, level)


def make_batch(examples: Sequence[Example]) -> Batch:
    """A batch of crops of one size; with tables if the examples have them."""
    tables = [example.tables for example in examples if example.tables is not None]
    return Batch(
        keys=tuple(example.key for example in examples),
        dark=torch.from_numpy(np.stack([example.dark for example in examples])),
        light=torch.from_numpy(np.stack([example.light for example in examples])),
        condition=torch.tensor([example.given_condition for example in examples]),
        tables=torch.from_numpy(np.stack(tables)) if tables else None,
    )
