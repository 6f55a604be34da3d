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
from torch import Tensor

from dimmagen.enhance import triton_norm_kernels as kernels

CHANNELS = 64  # of a program; a row of them is a line of the cache
PIXELS = 64  # that a program reads at once
_PROGRAMS = 1024  # enough for every multiprocessor
_LONGEST = 4096  # pixels of a program
_PARTS = 32  # of sums that are read at once


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
        kernels.channel_sums[sizes.grid](rows, parts, **sizes.loop)
        kernels.group_moments[(count, groups)](
            rows, shifts, parts, means, moments, eps, **sizes.group, SHIFTED=shifted
        )
        kernels.normalise[sizes.grid](rows, shifts, weight, bias, moments, _rows(result), **common)
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
        kernels.gradient_sums[sizes.grid](rows, above, shifts, weight, bias, moments, parts, **common)
        kernels.gradient_moments[(count, groups)](parts, weight, means, moments, sums, inner, **sizes.group)
        kernels.gradient[sizes.grid](
            rows, above, shifts, weight, bias, moments, inner, _rows(result), **common
        )
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
