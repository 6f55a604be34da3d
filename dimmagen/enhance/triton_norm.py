"""Group norm and SiLU as one operation, three Triton kernels each way, on features with the channels last.

torch's group norm wants the channels first and, under autocast, float32: around each of the paper's 57 norms
that SiLU follows, features are converted and transposed, there and back, and SiLU passes over them once more.
Here a norm reads the features twice and writes them once, in their own type; it computes in float32, so that
what is rounded is what autocast rounds. What was added to all pixels of a channel before the norm, such as
the embedding of the condition and the bias of a convolution, is added on the way.

The sums are made in a fixed order, so that a step has the same bits each time. Imported when it is used:
Triton is the extra `triton`.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

CHANNELS = 64  # of a program; a row of them is a line of the cache
PIXELS = 64  # that a program reads at once
_PROGRAMS = 1024  # enough for every multiprocessor
_LONGEST = 4096  # pixels of a program
_PARTS = 32  # of sums that are read at once
# No kernel is compiled for one of their values.
_VARYING = ["pixels", "each", "parts_count", "groups", "size"]


@torch.library.custom_op("dimmagen::group_norm_silu", mutates_args=())
def group_norm_silu(
    features: Tensor, shift: Tensor | None, weight: Tensor, bias: Tensor, groups: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """silu(group_norm(features + shift)), an operation of torch's, which its compiler leaves as it is.

    Args:
        features: float (N, C, H, W), on a GPU, not empty; with the channels last, or a copy is made.
        shift: float32 (N, C), added to all pixels of a channel; None adds nothing.
        weight, bias: float32 (C,), of the norm.
        groups: of channels.
        eps: added to the variance.

    Returns:
        The result, float (N, C, H, W) of the type of `features`, with the channels last; and what the
        gradient needs: float32 (N, C) means of the channels, float32 (2, N, groups) means and inverse
        standard deviations of the groups.
    """
    rows = _rows(features)
    count, pixels, channels = rows.shape
    sizes = _Sizes(count, pixels, channels, groups)
    parts = rows.new_empty((2, count, sizes.parts, channels), dtype=torch.float32)
    result, means, moments = _results(features, groups)
    shifts, shifted = _rows_of(shift, rows)
    common = {**sizes.loop, **sizes.members, "SHIFTED": shifted}
    with _on(rows):
        _sums[sizes.grid](rows, parts, **sizes.loop)
        _moments[(count, groups)](rows, shifts, parts, means, moments, eps, **sizes.group, SHIFTED=shifted)
        _normalise[sizes.grid](rows, shifts, weight, bias, moments, _rows(result), **common)
    return result, means, moments


@group_norm_silu.register_fake
def _(features: Tensor, shift: Any, weight: Any, bias: Any, groups: int, eps: float) -> tuple[Tensor, ...]:
    return _results(features, groups)


def _results(features: Tensor, groups: int) -> tuple[Tensor, Tensor, Tensor]:
    """Memory for the results."""
    count, channels = features.shape[:2]
    result = torch.empty_like(features, memory_format=torch.channels_last)
    means = features.new_empty((count, channels), dtype=torch.float32)
    return result, means, features.new_empty((2, count, groups), dtype=torch.float32)


@torch.library.custom_op("dimmagen::group_norm_silu_backward", mutates_args=())
def _backward(
    upper: Tensor,
    features: Tensor,
    shift: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    means: Tensor,
    moments: Tensor,
) -> tuple[Tensor, Tensor]:
    """Its gradients: those of the features, and float32 (3, N, C) those of bias, weight and shift."""
    rows, above = _rows(features), _rows(upper)
    count, pixels, channels = rows.shape
    groups = moments.shape[2]
    sizes = _Sizes(count, pixels, channels, groups)
    parts = rows.new_empty((2, count, sizes.parts, channels), dtype=torch.float32)
    inner = torch.empty_like(moments)
    result, sums = _gradients(features)
    shifts, shifted = _rows_of(shift, rows)
    common = {**sizes.loop, **sizes.members, "SHIFTED": shifted}
    with _on(rows):
        _gradient_sums[sizes.grid](rows, above, shifts, weight, bias, moments, parts, **common)
        _gradient_moments[(count, groups)](parts, weight, means, moments, sums, inner, **sizes.group)
        _gradient[sizes.grid](rows, above, shifts, weight, bias, moments, inner, _rows(result), **common)
    return result, sums


@_backward.register_fake
def _(upper: Any, features: Tensor, *others: Any) -> tuple[Tensor, Tensor]:
    return _gradients(features)


def _gradients(features: Tensor) -> tuple[Tensor, Tensor]:
    """Memory for the gradients."""
    sums = features.new_empty((3, *features.shape[:2]), dtype=torch.float32)
    return torch.empty_like(features, memory_format=torch.channels_last), sums


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    features, shift, weight, bias, _, _ = inputs
    ctx.save_for_backward(features, shift, weight, bias, *output[1:])


def _differentiate(ctx: Any, upper: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
    features, shift, weight, bias, means, moments = ctx.saved_tensors
    result, sums = _backward(upper, features, shift, weight, bias, means, moments)
    of_bias, of_weight = sums[:2].sum(dim=1)
    return result, None if shift is None else sums[2], of_weight, of_bias, None, None


group_norm_silu.register_autograd(_differentiate, setup_context=_keep)


class _Sizes:
    """What the kernels of one call have in common; little of it is compiled into them."""

    def __init__(self, count: int, pixels: int, channels: int, groups: int) -> None:
        blocks = triton.cdiv(channels, CHANNELS)
        enough = triton.next_power_of_2(triton.cdiv(pixels * count * blocks, _PROGRAMS))
        each = max(PIXELS, min(_LONGEST, enough))
        size = channels // groups
        self.parts = triton.cdiv(pixels, each)
        self.grid = (self.parts, blocks, count)
        tile = {"PIXELS": PIXELS, "CHANNELS": CHANNELS, "num_warps": 4}
        self.loop = {"pixels": pixels, "channels": channels, "each": each, **tile}
        self.members = {"groups": groups, "size": size}
        padded = 8 if size <= 8 else max(32, triton.next_power_of_2(size))
        whole = {"parts_count": self.parts, "pixels": pixels, "channels": channels, "size": size}
        self.group = {**whole, "PADDED": padded, "PARTS": _PARTS, "num_warps": 1}


def _on(tensor: Tensor) -> AbstractContextManager[Any]:
    """Triton launches on the current device."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()


def _rows(features: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, H * W, C), without gaps."""
    last = features.contiguous(memory_format=torch.channels_last)
    return last.permute(0, 2, 3, 1).flatten(1, 2)


def _rows_of(shift: Tensor | None, rows: Tensor) -> tuple[Tensor, bool]:
    """What the kernels get for the shift, and whether there is one."""
    return (rows, False) if shift is None else (shift.contiguous(), True)


@triton.jit
def _tile(image, first_pixel, pixels, channel, channels, inside, PIXELS: tl.constexpr):
    """Where the channels of some pixels are, and which of them there are."""
    pixel = first_pixel + tl.arange(0, PIXELS)
    where = (image * pixels + pixel)[:, None] * channels + channel[None, :]
    return where, (pixel < pixels)[:, None] & inside[None, :]


@triton.jit(do_not_specialize=_VARYING)
def _sums(
    rows,
    parts,
    pixels,
    channels,
    each,
    PIXELS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Sums of each channel over a program's pixels, and of squares, less the image's first pixel."""
    part, block, image = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    channel = block * CHANNELS + tl.arange(0, CHANNELS)
    inside = channel < channels
    first = tl.load(rows + image * pixels * channels + channel, mask=inside, other=0.0).to(tl.float32)
    total = tl.zeros((PIXELS, CHANNELS), tl.float32)
    squares = tl.zeros((PIXELS, CHANNELS), tl.float32)
    for step in range(0, each, PIXELS):
        first_pixel = part * each + step
        where, mask = _tile(image, first_pixel, pixels, channel, channels, inside, PIXELS)
        values = tl.load(rows + where, mask=mask, other=0.0).to(tl.float32) - first[None, :]
        values = tl.where(mask, values, 0.0)
        total += values
        squares += values * values
    images, count = tl.num_programs(2), tl.num_programs(0)
    where = (image * count + part) * channels + channel
    tl.store(parts + where, tl.sum(total, axis=0), mask=inside)
    tl.store(parts + images * count * channels + where, tl.sum(squares, axis=0), mask=inside)


@triton.jit(do_not_specialize=_VARYING)
def _moments(
    rows,
    shift,
    parts,
    means,
    moments,
    eps,
    parts_count,
    pixels,
    channels,
    size,
    PADDED: tl.constexpr,
    PARTS: tl.constexpr,
    SHIFTED: tl.constexpr,
):
    """The mean of each channel of a group, and the group's mean and inverse standard deviation."""
    image, group = tl.program_id(0).to(tl.int64), tl.program_id(1)
    images, groups = tl.num_programs(0), tl.num_programs(1)
    member = tl.arange(0, PADDED)
    inside = member < size
    channel = group * size + member
    total, squares = _added(parts, image, images, parts_count, channel, channels, inside, PADDED, PARTS)
    first = tl.load(rows + image * pixels * channels + channel, mask=inside, other=0.0).to(tl.float32)
    mean = first + total / pixels
    if SHIFTED:
        mean += tl.load(shift + image * channels + channel, mask=inside, other=0.0)
    deviation = squares - total * total / pixels  # sum of squares around the channel's mean
    centre = tl.sum(tl.where(inside, mean, 0.0), axis=0) / size
    away = tl.where(inside, mean - centre, 0.0)
    variance = (
        tl.sum(tl.where(inside, deviation, 0.0), axis=0) / pixels + tl.sum(away * away, axis=0)
    ) / size
    tl.store(means + image * channels + channel, mean, mask=inside)
    tl.store(moments + image * groups + group, centre)
    tl.store(moments + (images + image) * groups + group, 1.0 / tl.sqrt(tl.maximum(variance, 0.0) + eps))


@triton.jit
def _added(
    parts,
    image,
    images,
    parts_count,
    channel,
    channels,
    inside,
    PADDED: tl.constexpr,
    PARTS: tl.constexpr,
):
    """The two sums of each channel over all parts."""
    first = tl.zeros((PADDED,), tl.float32)
    second = tl.zeros((PADDED,), tl.float32)
    for step in range(0, parts_count, PARTS):
        part = step + tl.arange(0, PARTS)
        mask = (part < parts_count)[:, None] & inside[None, :]
        where = (image * parts_count + part)[:, None] * channels + channel[None, :]
        first += tl.sum(tl.load(parts + where, mask=mask, other=0.0), axis=0)
        after = parts + images * parts_count * channels
        second += tl.sum(tl.load(after + where, mask=mask, other=0.0), axis=0)
    return first, second


@triton.jit
def _scales(
    shift,
    weight,
    bias,
    moments,
    image,
    images,
    groups,
    channel,
    channels,
    inside,
    size,
    SHIFTED: tl.constexpr,
):
    """Per channel: what to subtract, the inverse standard deviation, and the norm's weight and bias."""
    group = channel // size
    centre = tl.load(moments + image * groups + group, mask=inside, other=0.0)
    inverse = tl.load(moments + (images + image) * groups + group, mask=inside, other=0.0)
    if SHIFTED:
        centre -= tl.load(shift + image * channels + channel, mask=inside, other=0.0)
    scale = tl.load(weight + channel, mask=inside, other=0.0).to(tl.float32)
    offset = tl.load(bias + channel, mask=inside, other=0.0).to(tl.float32)
    return centre, inverse, scale, offset


@triton.jit
def _before_silu(rows, upper, where, mask, centre, inverse, scale, offset):
    """The normalised values of some pixels, and the gradient at what SiLU is applied to."""
    values = tl.load(rows + where, mask=mask, other=0.0).to(tl.float32)
    given = tl.load(upper + where, mask=mask, other=0.0).to(tl.float32)
    normal = (values - centre[None, :]) * inverse[None, :]
    affine = normal * scale[None, :] + offset[None, :]
    share = tl.sigmoid(affine)
    return normal, given * share * (1.0 + affine * (1.0 - share))


@triton.jit(do_not_specialize=_VARYING)
def _normalise(
    rows,
    shift,
    weight,
    bias,
    moments,
    result,
    pixels,
    channels,
    each,
    groups,
    size,
    PIXELS: tl.constexpr,
    CHANNELS: tl.constexpr,
    SHIFTED: tl.constexpr,
):
    """Normalise a program's pixels, then SiLU."""
    part, block, image = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    channel = block * CHANNELS + tl.arange(0, CHANNELS)
    inside = channel < channels
    centre, inverse, scale, offset = _scales(
        shift,
        weight,
        bias,
        moments,
        image,
        tl.num_programs(2),
        groups,
        channel,
        channels,
        inside,
        size,
        SHIFTED,
    )
    for step in range(0, each, PIXELS):
        first_pixel = part * each + step
        where, mask = _tile(image, first_pixel, pixels, channel, channels, inside, PIXELS)
        values = tl.load(rows + where, mask=mask, other=0.0).to(tl.float32)
        normal = (values - centre[None, :]) * inverse[None, :]
        affine = normal * scale[None, :] + offset[None, :]
        tl.store(result + where, (affine * tl.sigmoid(affine)).to(result.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=_VARYING)
def _gradient_sums(
    rows,
    upper,
    shift,
    weight,
    bias,
    moments,
    parts,
    pixels,
    channels,
    each,
    groups,
    size,
    PIXELS: tl.constexpr,
    CHANNELS: tl.constexpr,
    SHIFTED: tl.constexpr,
):
    """The sums over a program's pixels that the gradients of the norm's bias and weight are made of."""
    part, block, image = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    images, count = tl.num_programs(2), tl.num_programs(0)
    channel = block * CHANNELS + tl.arange(0, CHANNELS)
    inside = channel < channels
    centre, inverse, scale, offset = _scales(
        shift, weight, bias, moments, image, images, groups, channel, channels, inside, size, SHIFTED
    )
    first = tl.zeros((PIXELS, CHANNELS), tl.float32)
    second = tl.zeros((PIXELS, CHANNELS), tl.float32)
    for step in range(0, each, PIXELS):
        first_pixel = part * each + step
        where, mask = _tile(image, first_pixel, pixels, channel, channels, inside, PIXELS)
        normal, inner = _before_silu(rows, upper, where, mask, centre, inverse, scale, offset)
        first += inner
        second += inner * normal
    where = (image * count + part) * channels + channel
    tl.store(parts + where, tl.sum(first, axis=0), mask=inside)
    tl.store(parts + images * count * channels + where, tl.sum(second, axis=0), mask=inside)


@triton.jit(do_not_specialize=_VARYING)
def _gradient_moments(
    parts,
    weight,
    means,
    moments,
    sums,
    inner,
    parts_count,
    pixels,
    channels,
    size,
    PADDED: tl.constexpr,
    PARTS: tl.constexpr,
):
    """Gradients of bias, weight and shift for one image, and what all pixels of a group have in common."""
    image, group = tl.program_id(0).to(tl.int64), tl.program_id(1)
    images, groups = tl.num_programs(0), tl.num_programs(1)
    member = tl.arange(0, PADDED)
    inside = member < size
    channel = group * size + member
    of_bias, of_weight = _added(parts, image, images, parts_count, channel, channels, inside, PADDED, PARTS)
    scale = tl.load(weight + channel, mask=inside, other=0.0).to(tl.float32)
    mean = tl.load(means + image * channels + channel, mask=inside, other=0.0)
    centre = tl.load(moments + image * groups + group)
    inverse = tl.load(moments + (images + image) * groups + group)
    constant = tl.sum(scale * of_bias, axis=0) / (size * pixels)
    along = tl.sum(scale * of_weight, axis=0) / (size * pixels)
    normals = (mean - centre) * inverse * pixels  # their sum over the channel
    of_shift = inverse * (scale * of_bias - constant * pixels - along * normals)
    where = image * channels + channel
    tl.store(sums + where, of_bias, mask=inside)
    tl.store(sums + images * channels + where, of_weight, mask=inside)
    tl.store(sums + 2 * images * channels + where, of_shift, mask=inside)
    tl.store(inner + image * groups + group, constant)
    tl.store(inner + (images + image) * groups + group, along)


@triton.jit(do_not_specialize=_VARYING)
def _gradient(
    rows,
    upper,
    shift,
    weight,
    bias,
    moments,
    inner,
    result,
    pixels,
    channels,
    each,
    groups,
    size,
    PIXELS: tl.constexpr,
    CHANNELS: tl.constexpr,
    SHIFTED: tl.constexpr,
):
    """The gradient of a program's pixels."""
    part, block, image = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    images = tl.num_programs(2)
    channel = block * CHANNELS + tl.arange(0, CHANNELS)
    inside = channel < channels
    centre, inverse, scale, offset = _scales(
        shift, weight, bias, moments, image, images, groups, channel, channels, inside, size, SHIFTED
    )
    group = channel // size
    constant = tl.load(inner + image * groups + group, mask=inside, other=0.0)
    along = tl.load(inner + (images + image) * groups + group, mask=inside, other=0.0)
    for step in range(0, each, PIXELS):
        first_pixel = part * each + step
        where, mask = _tile(image, first_pixel, pixels, channel, channels, inside, PIXELS)
        normal, below = _before_silu(rows, upper, where, mask, centre, inverse, scale, offset)
        change = inverse[None, :] * (below * scale[None, :] - constant[None, :] - normal * along[None, :])
        tl.store(result + where, change.to(result.dtype.element_ty), mask=mask)
