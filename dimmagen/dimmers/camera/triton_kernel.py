"""The camera model as one Triton kernel: the pixels of :mod:`dimmagen.dimmers.camera.kernel` on a GPU.

Every pixel is read once and written once. A program makes strips of rows of one image: a lane is a Philox
block, that is, two neighbouring columns, and goes down its strip. White noise is drawn where it is used.
Noise that is correlated between neighbours is filtered on the way: a lane draws the two columns next to its
own again, and keeps the rows above and here, so that no normal is stored. All arithmetic is in 32-bit
integers, as in the kernel of the CPU.

Imported when it is used: Triton is the extra `triton`.
"""

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from dimmagen.dimmers.camera import kernel

# One row of numbers for each image: the Philox key, then the tables of :func:`packed_tables`.
TABLE = 3 * 256
ROW = 1 + TABLE

_MIX_BITS: tl.constexpr = tl.constexpr(kernel.MIX_BITS)
_RED: tl.constexpr = tl.constexpr(kernel.LUMA[0])
_GREEN: tl.constexpr = tl.constexpr(kernel.LUMA[1])
_BLUE: tl.constexpr = tl.constexpr(kernel.LUMA[2])
_LUMA_BITS: tl.constexpr = tl.constexpr(kernel.LUMA_BITS)
_LUMA_HALF: tl.constexpr = tl.constexpr(1 << (kernel.LUMA_BITS - 1))
_MEAN_SHIFT: tl.constexpr = tl.constexpr(kernel.MEAN_SHIFT)
_BEND_SHIFT: tl.constexpr = tl.constexpr(kernel.BEND_SHIFT)
_LEVEL_BITS: tl.constexpr = tl.constexpr(kernel.LEVEL_BITS)
_ROUNDING: tl.constexpr = tl.constexpr(1 << (kernel.LEVEL_BITS - 1))
_ROW: tl.constexpr = tl.constexpr(ROW)

LANES, WARPS = 32, 4  # of a program: Philox blocks across, and strips of rows below each other
LONG, SHORT = 16, 4  # rows of a strip: long ones repeat little at their ends, short ones are more programs
_PROGRAMS = 2048  # with long strips: enough for every multiprocessor


def packed_tables(level: np.ndarray, sigma: np.ndarray, bend: np.ndarray) -> np.ndarray:
    """The tables of :meth:`.CameraModel.tables` with one word for each light level.

    Args:
        level, sigma, bend: int32 (..., 3, 256); sigma and bend fit 16 bits, see :mod:`.kernel`.

    Returns:
        int64 (..., 768): level in the low 32 bits, sigma in the 16 above them, bend in the highest 16.
    """
    low = level.astype(np.int64) & 0xFFFFFFFF
    packed = low | (sigma.astype(np.int64) << 32) | (bend.astype(np.int64) << 48)
    return packed.reshape(*packed.shape[:-2], TABLE)


def dim_rows(
    lights: Tensor,
    rows: Tensor,
    luma: Tensor,
    chroma: Tensor,
    mix: np.ndarray,
    taps: np.ndarray,
    spatial: bool,
    skewed: bool,
    by_luma: bool,
    steps: int = 0,
    normals: Tensor | None = None,
) -> Tensor:
    """Dim images of one size.

    Args:
        lights: uint8 (B, 3, H, W), RGB, not empty, in any order in memory, see :func:`takes`.
        rows: int64 (B, 769), for each image its Philox key and :func:`packed_tables`; on its device.
        luma, chroma: int16 (65536,), quantiles of the noise; likewise.
        mix, taps, spatial, skewed, by_luma: as for :func:`.kernel.dim_image`.
        steps: rows of a program's strip; 0 for :func:`strip_rows`.
        normals: int16 (B, 3, H, W), from :func:`.triton_structure.structured_normals`; by default they are
            drawn.

    Returns:
        uint8 (B, 3, H, W), in the order of `lights` where that has no gaps.
    """
    dark = torch.empty_like(lights)
    if dark.stride() != lights.stride():  # they have gaps; one set of offsets is enough for both
        lights = lights.contiguous()
        dark = torch.empty_like(lights)
    count, _, height, width = lights.shape
    steps = steps or strip_rows(lights)
    blocks, strips = _column_blocks(width), triton.cdiv(height, steps * WARPS)
    _dim[(count * blocks * strips,)](
        *(lights, dark, rows, luma, chroma, luma if normals is None else normals),
        *(height, width, blocks, strips),
        *lights.stride(),
        *mix.ravel().tolist(),
        *taps.ravel().tolist(),
        SPATIAL=spatial and normals is None,
        STORED=normals is not None,
        SKEWED=skewed,
        BY_LUMA=by_luma,
        LANES=LANES,
        STRIPS=WARPS,
        STEPS=steps,
        num_warps=WARPS,
    )
    return dark


def strip_rows(lights: Tensor) -> int:
    """Rows of a program's strip, for images uint8 (B, 3, H, W)."""
    count, _, height, width = lights.shape
    programs = count * _column_blocks(width) * triton.cdiv(height, LONG * WARPS)
    return LONG if programs >= _PROGRAMS else SHORT


def _column_blocks(width: int) -> int:
    return triton.cdiv((width + 2) // 2, LANES)  # a Philox block has columns 2i - 1 and 2i


def takes(lights: Tensor) -> bool:
    """Whether the offsets in each image fit the kernel's 32 bits; those of a batch may be larger."""
    sizes = zip(lights.shape[1:], lights.stride()[1:], strict=True)
    return max(sum(size * stride for size, stride in sizes), lights[0].numel()) < 2**30


@triton.jit
def _words(seed, block, row):
    """Six 16-bit uniforms of each Philox block: three of its left column, three of its right one."""
    a, b, c, _ = tl.philox(seed, block, row, 0, 0)
    return a & 0xFFFF, a >> 16, b & 0xFFFF, b >> 16, c & 0xFFFF, c >> 16


@triton.jit
def _normals(seed, block, row, luma, chroma):
    """Luma and two chroma normals of each block's left column, and of its right one: int32, in 2**-12."""
    u0, u1, u2, v0, v1, v2 = _words(seed, block, row)
    left0, left1, left2 = tl.load(luma + u0), tl.load(chroma + u1), tl.load(chroma + u2)
    right0, right1, right2 = tl.load(luma + v0), tl.load(chroma + v1), tl.load(chroma + v2)
    left = left0.to(tl.int32), left1.to(tl.int32), left2.to(tl.int32)
    return left[0], left[1], left[2], right0.to(tl.int32), right1.to(tl.int32), right2.to(tl.int32)


@triton.jit
def _stored(at, plane, inside):
    """Luma and two chroma normals of a column of pixels that were drawn before."""
    first, second = tl.load(at, mask=inside, other=0), tl.load(at + plane, mask=inside, other=0)
    third = tl.load(at + 2 * plane, mask=inside, other=0)
    return first.to(tl.int32), second.to(tl.int32), third.to(tl.int32)


@triton.jit
def _filtered(before, here, after, side, centre):
    """The three-tap filter, in either direction."""
    return (side * (before + after) + centre * here) >> _MIX_BITS


@triton.jit
def _across(seed, block, row, luma, chroma, side0, centre0, side1, centre1):
    """:func:`_normals` filtered along the row; the neighbours' are drawn again."""
    l0, l1, l2, r0, r1, r2 = _normals(seed, block, row, luma, chroma)
    _, _, _, u0, u1, u2 = _words(seed, block - 1, row)
    v0, v1, v2, _, _, _ = _words(seed, block + 1, row)
    before0, after0 = tl.load(luma + u0).to(tl.int32), tl.load(luma + v0).to(tl.int32)
    before1, after1 = tl.load(chroma + u1).to(tl.int32), tl.load(chroma + v1).to(tl.int32)
    before2, after2 = tl.load(chroma + u2).to(tl.int32), tl.load(chroma + v2).to(tl.int32)
    return (
        _filtered(before0, l0, r0, side0, centre0),
        _filtered(before1, l1, r1, side1, centre1),
        _filtered(before2, l2, r2, side1, centre1),
        _filtered(l0, r0, after0, side0, centre0),
        _filtered(l1, r1, after1, side1, centre1),
        _filtered(l2, r2, after2, side1, centre1),
    )


@triton.jit
def _expose(
    value, luma, dark, at, inside, table, m0, m1, m2, n0, n1, n2, SKEWED: tl.constexpr, BY_LUMA: tl.constexpr
):
    """One channel of a column of pixels, from their light levels and their normals."""
    noise = (m0 * n0 + m1 * n1 + m2 * n2) >> _MIX_BITS
    packed = tl.load(table + value)
    level, factors = packed.to(tl.int32), (packed >> 32).to(tl.int32)
    if BY_LUMA:
        own = factors
        factors = (tl.load(table + luma) >> 32).to(tl.int32)
        level += ((own >> 16) - (factors >> 16)) << _MEAN_SHIFT
    scale = factors & 0xFFFF
    if SKEWED:
        scale += ((factors >> 16) * noise) >> _BEND_SHIFT
    total = (level + scale * noise + _ROUNDING) >> _LEVEL_BITS
    total = tl.minimum(tl.maximum(total, 0), 255)
    tl.store(dark + at.to(tl.uint32), total.to(tl.uint8), mask=inside)


@triton.jit
def _expose_column(
    light, dark, at, inside, table, of_channel, m00, m01, m02, m10, m11, m12, m20, m21, m22,
    n0, n1, n2, SKEWED: tl.constexpr, BY_LUMA: tl.constexpr,
):  # fmt: skip
    green_at, blue_at = at + of_channel, at + 2 * of_channel
    red = tl.load(light + at.to(tl.uint32), mask=inside, other=0).to(tl.int32)
    green = tl.load(light + green_at.to(tl.uint32), mask=inside, other=0).to(tl.int32)
    blue = tl.load(light + blue_at.to(tl.uint32), mask=inside, other=0).to(tl.int32)
    luma = (_RED * red + _GREEN * green + _BLUE * blue + _LUMA_HALF) >> _LUMA_BITS
    _expose(red, luma, dark, at, inside, table, m00, m01, m02, n0, n1, n2, SKEWED, BY_LUMA)
    _expose(green, luma, dark, green_at, inside, table + 256, m10, m11, m12, n0, n1, n2, SKEWED, BY_LUMA)
    _expose(blue, luma, dark, blue_at, inside, table + 512, m20, m21, m22, n0, n1, n2, SKEWED, BY_LUMA)


_SIZES = ("height", "width", "blocks", "strips")
_STRIDES = ("of_image", "of_channel", "of_row", "of_column")
_MIX = tuple(f"m{channel}{normal}" for channel in range(3) for normal in range(3))
_TAPS = ("side0", "centre0", "side1", "centre1")


@triton.jit(
    do_not_specialize=(*_SIZES, *_STRIDES, *_MIX, *_TAPS),
    do_not_specialize_on_alignment=("lights", "darks", "rows", "luma", "chroma", "stored"),
)
def _dim(
    lights, darks, rows, luma, chroma, stored, height, width, blocks, strips,
    of_image, of_channel, of_row, of_column,
    m00, m01, m02, m10, m11, m12, m20, m21, m22, side0, centre0, side1, centre1,
    SPATIAL: tl.constexpr, STORED: tl.constexpr, SKEWED: tl.constexpr, BY_LUMA: tl.constexpr,
    LANES: tl.constexpr, STRIPS: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0)
    image, rest = (program // (blocks * strips)).to(tl.int64), program % (blocks * strips)
    lane = tl.arange(0, LANES * STRIPS)
    block = (rest % blocks) * LANES + lane % LANES
    first = ((rest // blocks) * STRIPS + lane // LANES) * STEPS
    x = 2 * block - 1  # a block's left column; block 0 begins left of the image
    light, dark = lights + image * of_image, darks + image * of_image
    row = rows + image * _ROW
    seed, table = tl.load(row), row + 1
    if SPATIAL:
        # The row above, the row here and, in the loop, the row below.
        a0, a1, a2, b0, b1, b2 = _across(seed, block, first - 1, luma, chroma, side0, centre0, side1, centre1)
        h0, h1, h2, i0, i1, i2 = _across(seed, block, first, luma, chroma, side0, centre0, side1, centre1)
    for step in range(STEPS):
        y = first + step
        if SPATIAL:
            c0, c1, c2, d0, d1, d2 = _across(seed, block, y + 1, luma, chroma, side0, centre0, side1, centre1)
            l0, r0 = _filtered(a0, h0, c0, side0, centre0), _filtered(b0, i0, d0, side0, centre0)
            l1, r1 = _filtered(a1, h1, c1, side1, centre1), _filtered(b1, i1, d1, side1, centre1)
            l2, r2 = _filtered(a2, h2, c2, side1, centre1), _filtered(b2, i2, d2, side1, centre1)
            a0, a1, a2, b0, b1, b2 = h0, h1, h2, i0, i1, i2
            h0, h1, h2, i0, i1, i2 = c0, c1, c2, d0, d1, d2
        elif STORED:
            own, plane = stored + image * 3 * height * width + y * width + x, height * width
            left, right = (y < height) & (x >= 0) & (x < width), (y < height) & (x + 1 < width)
            l0, l1, l2 = _stored(own, plane, left)
            r0, r1, r2 = _stored(own + 1, plane, right)
        else:
            l0, l1, l2, r0, r1, r2 = _normals(seed, block, y, luma, chroma)
        at = y * of_row + x * of_column
        inside = (y < height) & (x >= 0) & (x < width)
        _expose_column(
            light, dark, at, inside, table, of_channel,
            m00, m01, m02, m10, m11, m12, m20, m21, m22, l0, l1, l2, SKEWED, BY_LUMA,
        )  # fmt: skip
        inside = (y < height) & (x + 1 < width)
        _expose_column(
            light, dark, at + of_column, inside, table, of_channel,
            m00, m01, m02, m10, m11, m12, m20, m21, m22, r0, r1, r2, SKEWED, BY_LUMA,
        )  # fmt: skip
