"""The images among the inputs of a transform, whatever their type, as uint8 RGB and back.

Which inputs are images follows torchvision's transforms v2: PIL images, `Image` and `Video`; where there are
none of these, the first plain tensor or numpy array. Everything else is passed through as it is.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from dimmagen.core.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

MAX_LEVEL = 255


@dataclass(frozen=True, slots=True)
class ImageInput:
    """One input that is an image, a clip, or a batch of them.

    Attributes:
        lights: uint8 (B, T, H, W, 3) array, or uint8 (B, T, 3, H, W) tensor on a device; T is 1 for images.
        batched: whether the input has a dimension for the batch; otherwise B is 1.
        restore: lights, or dark images of their shape, -> a value of the input's type and shape.
    """

    lights: "np.ndarray | Tensor"
    batched: bool
    restore: Callable[[Any], Any]


def find_images(leaves: Sequence[Any]) -> list[int]:
    """Indices of the images among the leaves of an input."""
    found = [index for index, leaf in enumerate(leaves) if _is_marked(leaf)]
    return found or [index for index, leaf in enumerate(leaves) if _is_plain(leaf)][:1]


def as_image_input(value: Any, clips: bool) -> ImageInput:
    """An image as uint8.

    Float values in [0, 1] are rounded to 8 bits, like the images of a shard, and dark ones are multiples of
    1/255 of the same type.

    Args:
        value: PIL image of mode RGB; array (..., H, W, 3) or tensor (..., 3, H, W), uint8 or float in [0, 1],
            with at most two more dimensions for a batch and frames.
        clips: whether the dimension before an image is of frames, not of a batch; always so for a `Video`.

    Raises:
        UsageError: the type, the shape or the values are others.
    """
    if isinstance(value, Image.Image):
        if value.mode != "RGB":
            raise _refused(f"a PIL image of mode {value.mode}", 'call `.convert("RGB")` before')
        return ImageInput(
            np.asarray(value)[None, None],
            False,
            lambda dark: _with_info(np.ascontiguousarray(dark[0, 0]), value),
        )
    if isinstance(value, np.ndarray):
        return _from_array(value, clips)
    return _from_tensor(value, clips)


def _with_info(pixels: np.ndarray, original: Image.Image) -> Image.Image:
    """A PIL image with the orientation and the other metadata of another one, as PIL's own functions keep
    them."""
    image = Image.fromarray(pixels)
    image.info = original.info.copy()
    return image


def _from_array(array: np.ndarray, clips: bool) -> ImageInput:
    if array.ndim < 3 or array.shape[-1] != 3 or _is_empty(array.shape, clips):
        raise _refused(f"an array of the shape {array.shape}", _shape_hint("(H, W, 3)", array.shape[-1:]))
    pixels = array
    if np.issubdtype(array.dtype, np.floating):
        if array.size:
            _check_values(float(array.min()), float(array.max()))
        pixels = np.rint(np.multiply(array, MAX_LEVEL, dtype=_working_type(array.dtype))).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise _refused(f"an array of {array.dtype}", _DTYPE_HINT)
    lights, batched = _with_batch_and_frames(pixels, clips)

    def restore(dark: np.ndarray) -> np.ndarray:
        dark = dark.reshape(array.shape)
        if array.dtype == np.uint8:
            return dark
        return np.divide(dark, MAX_LEVEL, dtype=_working_type(array.dtype)).astype(array.dtype, copy=False)

    return ImageInput(lights, batched, restore)


def _from_tensor(tensor: "Tensor", clips: bool) -> ImageInput:
    import torch

    shape = tuple(tensor.shape)
    kind = marked_types()
    clips = clips or isinstance(tensor, kind[1:2])
    if tensor.ndim < 3 or shape[-3] != 3 or _is_empty(shape, clips):
        raise _refused(f"a tensor of the shape {shape}", _shape_hint("(3, H, W)", shape[-3:-2]))
    plain = tensor.detach().as_subclass(torch.Tensor)
    if tensor.is_floating_point():
        if tensor.numel():
            _check_values(*(one.item() for one in torch.aminmax(plain)))
        working = torch.promote_types(tensor.dtype, torch.float32)
        lights = (plain.to(working) * MAX_LEVEL).round().to(torch.uint8)
    elif tensor.dtype == torch.uint8:
        lights = plain
    else:
        raise _refused(f"a tensor of {str(tensor.dtype).removeprefix('torch.')}", _DTYPE_HINT)
    lights, batched = _with_batch_and_frames(lights, clips)

    def restore(dark: "Tensor") -> "Tensor":
        dark = dark.reshape(shape)
        if tensor.dtype != torch.uint8:
            dark = (dark.to(working) / MAX_LEVEL).to(tensor.dtype)
        if isinstance(tensor, kind):
            return sys.modules["torchvision.tv_tensors"].wrap(dark, like=tensor)
        return dark

    return ImageInput(lights, batched, restore)


def _is_empty(shape: Sequence[int], clips: bool) -> bool:
    """Whether an image or a clip has no pixels; a batch may have none of them."""
    return 0 in shape[-3 - clips :]


def _working_type(dtype: np.dtype) -> np.dtype:
    """At least float32: half precision would round levels twice."""
    return np.promote_types(dtype, np.float32)


def _with_batch_and_frames(pixels: Any, clips: bool) -> tuple[Any, bool]:
    """Images or clips with both dimensions, and whether there was one for the batch."""
    more = pixels.ndim - 3
    if more > 1 + clips:
        raise _refused(
            f"an input with {more} dimensions before those of an image",
            "give an image, a batch, or with `clips=True` clips",
        )
    if clips:
        return pixels.reshape((-1, *_frames_and_image(pixels))), more == 2
    return pixels.reshape((-1, 1, *pixels.shape[-3:])), more == 1


def _frames_and_image(pixels: Any) -> tuple[int, ...]:
    return (1, *pixels.shape) if pixels.ndim == 3 else tuple(pixels.shape[-4:])


def marked_types() -> tuple[type, ...]:
    """torchvision's `Image` and `Video`; nothing if the process has not imported torchvision."""
    tv_tensors = sys.modules.get("torchvision.tv_tensors")
    return (tv_tensors.Image, tv_tensors.Video) if tv_tensors else ()


def _is_marked(leaf: Any) -> bool:
    return isinstance(leaf, (Image.Image, *marked_types()))


def _is_plain(leaf: Any) -> bool:
    if isinstance(leaf, np.ndarray):
        return True
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(leaf, torch.Tensor):
        return False
    tv_tensors = sys.modules.get("torchvision.tv_tensors")
    return tv_tensors is None or not isinstance(leaf, tv_tensors.TVTensor)


_DTYPE_HINT = "give uint8, or float values in [0, 1]; scale 16 bits to one of them before"


def _check_values(lowest: float, highest: float) -> None:
    if not (lowest >= 0 and highest <= 1):  # also false for NaN
        raise UsageError(
            f"the transform was given float values from {lowest:g} to {highest:g}",
            "scale them to [0, 1], and normalise by mean and deviation after this transform",
            code="out-of-range",
            parameter="image",
        )


def _shape_hint(wanted: str, channels: Sequence[int]) -> str:
    hint = f"give an RGB image {wanted}"
    if channels in ((1,), (4,)):
        hint += {1: ": repeat one channel three times", 4: ": take alpha off before"}[channels[0]]
    return hint


def _refused(what: str, todo: str) -> UsageError:
    return UsageError(f"the transform was given {what}", todo, code="usage", parameter="image")
