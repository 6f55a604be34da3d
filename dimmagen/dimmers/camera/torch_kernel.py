"""The camera model on torch tensors: the pixels of :mod:`dimmagen.dimmers.camera.kernel` on any device.

The kernel uses 32-bit integer arithmetic; here the same numbers are stored in int64 tensors, so that a GPU
gives the same bits as the CPU. Philox words are kept in [0, 2**32).
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dimmagen.core.philox import split_key
from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.camera.kernel import BEND_SHIFT, LEVEL_BITS, MIX_BITS

_M0, _M1 = 0xD2511F53, 0xCD9E8D57
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_LOW = 0xFFFFFFFF
_MASK = 0xFFFF


def philox4x32(
    c0: Tensor, c1: Tensor, c2: Tensor, c3: Tensor, k0: Tensor | int, k1: Tensor | int
) -> tuple[Tensor, ...]:
    """Philox4x32-10 (Salmon et al., SC 2011), as :func:`dimmagen.core.philox.philox4x32`.

    Args:
        c0, c1, c2, c3: counters, int64 tensors of 32-bit words, of shapes that broadcast.
        k0, k1: keys, likewise.

    Returns:
        Four int64 tensors of 32-bit words, of the common shape.
    """
    for _ in range(10):
        high0, low0 = _product(_M0, c0)
        high1, low1 = _product(_M1, c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    return c0, c1, c2, c3


def _product(factor: int, word: Tensor) -> tuple[Tensor, Tensor]:
    """High and low 32 bits of a 64-bit product, from two 48-bit products, so that int64 does not overflow."""
    upper, lower = (factor >> 16) * word, (factor & _MASK) * word
    middle = upper + (lower >> 16)
    return middle >> 16, ((middle & _MASK) << 16) | (lower & _MASK)


def dim_images(arguments: Sequence[tuple], lights: Tensor, draws: Sequence[Draw]) -> Tensor:
    """Dim images of one size, each with the bits of :meth:`CameraModel.expose`.

    Args:
        arguments: :meth:`CameraModel.kernel_arguments` of each draw.
        lights: uint8 (B, 3, H, W), RGB, on any device.
        draws: one per image.

    Returns:
        uint8 (B, 3, H, W) on the same device.
    """
    device = lights.device
    mix, taps, spatial, luma, chroma = arguments[0][4:]  # equal for all draws
    level, sigma, bend = (_tensor(np.stack([one[index] for one in arguments]), device) for index in range(3))
    skewed = any(one[3] for one in arguments)  # the bends of the others are 0
    keys = np.array([split_key(draw.noise_seed) for draw in draws], np.int64)
    low, high = (_tensor(keys[:, word], device)[:, None, None] for word in (0, 1))
    count, _, height, width = lights.shape
    quantiles = _tensor(luma, device), _tensor(chroma, device)
    if spatial:
        normals = _filtered(_normals(-1, height + 1, width, quantiles, low, high), _tensor(taps, device))
    else:
        normals = _normals(0, height, width, quantiles, low, high)[:, :, :, 1:-1]
    mixed = _tensor(mix, device)[:, :, None, None]
    mixture = [mixed[:, normal] * normals[:, normal, None] for normal in range(3)]
    noise = (mixture[0] + mixture[1] + mixture[2]) >> MIX_BITS
    levels = lights.reshape(count, 3, -1).long()
    mean, scale = (table.gather(2, levels).view(lights.shape) for table in (level, sigma))
    if skewed:
        scale = scale + (bend.gather(2, levels).view(lights.shape) * noise >> BEND_SHIFT)
    dark = (mean + scale * noise + (1 << (LEVEL_BITS - 1))) >> LEVEL_BITS
    return dark.clamp_(0, 255).to(torch.uint8)


def _tensor(values: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(values.astype(np.int64)).to(device)


def _normals(
    top: int, bottom: int, width: int, tables: tuple[Tensor, Tensor], low: Tensor, high: Tensor
) -> Tensor:
    """Luma and chroma normals of rows top .. bottom - 1, columns -1 .. width, in 2**-12.

    One Philox block gives three 16-bit uniforms to each of two neighbouring columns.

    Args:
        tables: int64 (65536,) each, quantiles of luma and chroma noise in 2**-12.
        low, high: words of the keys, int64 (B, 1, 1).

    Returns:
        int64 (B, 3, rows, width + 2).
    """
    rows = torch.arange(top, bottom, device=tables[0].device)[:, None] & _LOW
    blocks = torch.arange((width + 3) // 2, device=tables[0].device)
    zero = torch.zeros_like(blocks)
    a, b, c, _ = philox4x32(blocks, rows, zero, zero, low, high)
    left, right = (a & _MASK, a >> 16, b & _MASK), (b >> 16, c & _MASK, c >> 16)
    uniforms = torch.stack([torch.stack(left, 1), torch.stack(right, 1)], -1)  # (B, 3, rows, blocks, 2)
    words = uniforms.flatten(3)[..., : width + 2]
    return torch.cat([tables[0][words[:, :1]], tables[1][words[:, 1:]]], 1)


def _filtered(normals: Tensor, taps: Tensor) -> Tensor:
    """The three-tap filter in both directions, as in the kernel: (B, 3, H + 2, W + 2) -> (B, 3, H, W)."""
    side, centre = (taps[[0, 1, 1], column, None, None] for column in (0, 1))
    across = (side * (normals[..., :-2] + normals[..., 2:]) + centre * normals[..., 1:-1]) >> MIX_BITS
    return (side * (across[..., :-2, :] + across[..., 2:, :]) + centre * across[..., 1:-1, :]) >> MIX_BITS
