"""The normals of :mod:`.structure_kernel` in Triton: drawn, filtered along rows, then along columns.

Each of the three steps stores its normals in 16 bits for the next one: a pixel needs 17 of them in either
direction, too many to be drawn again. All arithmetic is in 32-bit integers.

Imported when it is used: Triton is the extra `triton`.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from dimmagen.dimmers.camera import structure
from dimmagen.dimmers.camera.structure import Structure

_RADIUS: tl.constexpr = tl.constexpr(structure.RADIUS)
_FIRST_BLOCK: tl.constexpr = tl.constexpr(structure.FIRST_BLOCK)
_TAP_BITS: tl.constexpr = tl.constexpr(structure.TAP_BITS)
_WEIGHT_BITS: tl.constexpr = tl.constexpr(structure.WEIGHT_BITS)
_LARGEST: tl.constexpr = tl.constexpr(structure.LARGEST_NORMAL)
_ROW_STREAM: tl.constexpr = tl.constexpr(structure.ROW_STREAM)
_COLUMN_STREAM: tl.constexpr = tl.constexpr(structure.COLUMN_STREAM)
LANES = 256  # pixels of a program, in one row


def numbers_of(structure: Structure) -> Tensor:
    """Taps and weights as the kernels read them: int32 (42,)."""
    taps, weights = torch.from_numpy(structure.taps), torch.from_numpy(structure.weights)
    return torch.cat([taps.flatten(), weights.flatten()])


def structured_normals(
    rows: Tensor, height: int, width: int, luma: Tensor, chroma: Tensor, numbers: Tensor, banded: bool
) -> Tensor:
    """Luma and chroma normals of images.

    Args:
        rows: int64 (B, 769), of which the first number is the Philox key; on a device.
        height, width: of the images.
        luma, chroma: int16 (65536,), quantiles of the noise; likewise.
        numbers: :func:`numbers_of`, likewise.
        banded: whether rows and columns have noise of their own.

    Returns:
        int16 (B, 3, H, W), in 2**-12.
    """
    count, tall, blocks = len(rows), height + 2 * structure.RADIUS, width // 2 + structure.RADIUS + 1
    drawn = torch.empty((count, 3, tall, 2 * blocks), dtype=torch.int16, device=rows.device)
    across = torch.empty((count, 3, tall, width), dtype=torch.int16, device=rows.device)
    normals = torch.empty((count, 3, height, width), dtype=torch.int16, device=rows.device)
    strips = triton.cdiv(blocks, LANES)
    _draw[(count * tall * strips,)](
        rows, luma, chroma, drawn, rows.stride(0), tall, blocks, strips, LANES=LANES
    )
    strips = triton.cdiv(width, LANES)
    _across[(count * 3 * tall * strips,)](
        drawn, across, numbers, 2 * blocks, width, tall, strips, LANES=LANES
    )
    _down[(count * 3 * height * strips,)](
        across, normals, rows, luma, chroma, numbers, rows.stride(0), width, height, strips,
        BANDED=banded, LANES=LANES,
    )  # fmt: skip
    return normals


@triton.jit
def _limited(total, BITS: tl.constexpr):
    return tl.minimum(tl.maximum(total >> BITS, -_LARGEST), _LARGEST)


@triton.jit(do_not_specialize=("of_row", "tall", "blocks", "strips"))
def _draw(rows, luma, chroma, drawn, of_row, tall, blocks, strips, LANES: tl.constexpr):
    program = tl.program_id(0)
    image, rest = (program // (tall * strips)).to(tl.int64), program % (tall * strips)
    y, block = rest // strips, (rest % strips) * LANES + tl.arange(0, LANES)
    inside = block < blocks
    seed = tl.load(rows + image * of_row)
    a, b, c, _ = tl.philox(seed, block + _FIRST_BLOCK, y - _RADIUS, 0, 0)
    plane = tl.cast(tall, tl.int64) * (2 * blocks)
    at = drawn + image * 3 * plane + tl.cast(y, tl.int64) * (2 * blocks) + 2 * block
    tl.store(at, tl.load(luma + (a & 0xFFFF)), mask=inside)
    tl.store(at + plane, tl.load(chroma + (a >> 16)), mask=inside)
    tl.store(at + 2 * plane, tl.load(chroma + (b & 0xFFFF)), mask=inside)
    tl.store(at + 1, tl.load(luma + (b >> 16)), mask=inside)
    tl.store(at + plane + 1, tl.load(chroma + (c & 0xFFFF)), mask=inside)
    tl.store(at + 2 * plane + 1, tl.load(chroma + (c >> 16)), mask=inside)


@triton.jit(do_not_specialize=("stride", "width", "tall", "strips"))
def _across(drawn, across, numbers, stride, width, tall, strips, LANES: tl.constexpr):
    program = tl.program_id(0)
    line, x = (program // strips).to(tl.int64), (program % strips) * LANES + tl.arange(0, LANES)
    inside = x < width
    part = tl.minimum((line // tall) % 3, 1).to(tl.int32)
    taps = numbers + part * (2 * (_RADIUS + 1))
    at = drawn + line * stride + x + (_RADIUS + 1)
    total = tl.load(taps) * tl.load(at, mask=inside, other=0).to(tl.int32)
    for distance in tl.static_range(1, _RADIUS + 1):
        before = tl.load(at - distance, mask=inside, other=0).to(tl.int32)
        after = tl.load(at + distance, mask=inside, other=0).to(tl.int32)
        total += tl.load(taps + distance) * (before + after)
    tl.store(across + line * width + x, _limited(total, _TAP_BITS).to(tl.int16), mask=inside)


@triton.jit
def _line_normal(seed, index, stream, channel, luma, chroma):
    """The normal that a row or column has for one of luma and two chroma axes."""
    a, b, _, _ = tl.philox(seed, index, 0, stream, 0)
    of_luma, of_chroma = tl.load(luma + (a & 0xFFFF)), tl.load(chroma + (a >> 16))
    second = tl.load(chroma + (b & 0xFFFF))
    return tl.where(channel == 0, of_luma, tl.where(channel == 1, of_chroma, second)).to(tl.int32)


@triton.jit(do_not_specialize=("of_row", "width", "height", "strips"))
def _down(
    across, normals, rows, luma, chroma, numbers, of_row, width, height, strips,
    BANDED: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0)
    line, x = (program // strips).to(tl.int64), (program % strips) * LANES + tl.arange(0, LANES)
    inside = x < width
    plane, y = line // height, (line % height).to(tl.int32)
    channel = (plane % 3).to(tl.int32)
    part = tl.minimum(channel, 1)
    taps = numbers + part * (2 * (_RADIUS + 1)) + (_RADIUS + 1)
    at = across + (plane * (height + 2 * _RADIUS) + y + _RADIUS) * width + x
    total = tl.load(taps) * tl.load(at, mask=inside, other=0).to(tl.int32)
    for distance in tl.static_range(1, _RADIUS + 1):
        before = tl.load(at - distance * width, mask=inside, other=0).to(tl.int32)
        after = tl.load(at + distance * width, mask=inside, other=0).to(tl.int32)
        total += tl.load(taps + distance) * (before + after)
    normal = _limited(total, _TAP_BITS)
    if BANDED:
        weights = numbers + 4 * (_RADIUS + 1) + part * 3
        seed = tl.load(rows + (plane // 3) * of_row)
        of_line = _line_normal(seed, y + tl.zeros_like(x), _ROW_STREAM, channel, luma, chroma)
        of_column = _line_normal(seed, x, _COLUMN_STREAM, channel, luma, chroma)
        total = tl.load(weights) * normal + tl.load(weights + 1) * of_line + tl.load(weights + 2) * of_column
        normal = _limited(total, _WEIGHT_BITS)
    tl.store(normals + line * width + x, normal.to(tl.int16), mask=inside)
