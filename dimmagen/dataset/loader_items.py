"""What loaders give: a pair, and a batch of pairs, as dictionaries of tensors, texts and numbers."""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypedDict, cast

import numpy as np
import torch
from torch.utils.data import default_collate

from dimmagen.images import codec


class PairSample(TypedDict):
    """One pair: `dark` and `light` float32 (3, H, W) in [0, 1], RGB; the rest as in :data:`PAIR_SCHEMA`."""

    dark: torch.Tensor
    light: torch.Tensor
    key: str
    light_key: str
    variant: int
    gamma: float
    tau: float
    exposure: float
    lightness_before: float
    lightness_after: float


class PairBatch(TypedDict):
    """A batch of pairs: `dark` and `light` float32 (B, 3, H, W) in [0, 1], RGB; lists of B strings; `variant`
    int64 (B,), the other numbers float32 (B,)."""

    dark: torch.Tensor
    light: torch.Tensor
    key: list[str]
    light_key: list[str]
    variant: torch.Tensor
    gamma: torch.Tensor
    tau: torch.Tensor
    exposure: torch.Tensor
    lightness_before: torch.Tensor
    lightness_after: torch.Tensor


Transform = Callable[[PairSample], Any]

_RECORD = (
    "key",
    "light_key",
    "variant",
    "gamma",
    "tau",
    "exposure",
    "lightness_before",
    "lightness_after",
)


def image_in(sample: Mapping, side: str) -> np.ndarray:
    """One image of an encoded pair, uint8 (H, W, 3); what `dark` or `light` is a file of, by its ending.

    Raises:
        LookupError: there is none.
        ImageError: it cannot be decoded.
    """
    for field, value in sample.items():
        if field.startswith(f"{side}."):
            return codec.decode_rgb8(value)[0]
    raise LookupError(f"it has no {side} image")


def record_in(sample: Mapping) -> dict[str, Any]:
    """What a user gets of the record of an encoded pair.

    Raises:
        LookupError, TypeError, ValueError, RecursionError: there is no such record.
    """
    record = json.loads(sample["json"])
    return {name: record[name] for name in _RECORD}


def item_of_pair(
    record: Mapping, dark: np.ndarray, light: np.ndarray, crop: int | None, transform: Transform | None
) -> Any:
    """The dictionary that a user gets, from uint8 (H, W, 3) images and a pair's record."""
    if crop is not None:
        height, width, _ = dark.shape
        top, left = (int(torch.randint(side - crop + 1, (), device="cpu")) for side in (height, width))
        square = np.s_[top : top + crop, left : left + crop]
        dark, light = dark[square], light[square]
    numbers = {name: record[name] for name in _RECORD}
    pair = cast(PairSample, {"dark": _tensor(dark), "light": _tensor(light), **numbers})
    return transform(pair) if transform else pair


def _tensor(pixels: np.ndarray) -> torch.Tensor:
    """uint8 (H, W, 3) -> float32 (3, H, W) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).float() / 255


def collate(samples: list) -> Any:
    """A batch as torch makes it, but with float32 for Python's floats, which torch makes float64.

    It is in the memory of the processor, whatever `torch.set_default_device` says: a worker process cannot
    use a GPU that its parent uses. In a worker process, torch stacks tensors in shared memory, and nothing is
    left to be put there by the thread that sends them, whose errors nobody sees.
    """
    with torch.device("cpu"):
        return default_collate([_with_tensors(sample) for sample in samples])


def _with_tensors(value: Any) -> Any:
    if type(value) is float:
        return torch.tensor(value, dtype=torch.float32)
    if type(value) is int:
        return torch.tensor(value)
    if type(value) is dict:
        return {name: _with_tensors(part) for name, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_with_tensors(part) for part in value)
    return value
