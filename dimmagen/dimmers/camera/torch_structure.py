"""The normals of :mod:`.structure_kernel` on torch tensors: the same bits on any device."""

import numpy as np
import torch
from torch import Tensor

from dimmagen.dimmers.camera.structure import (
    COLUMN_STREAM,
    FIRST_BLOCK,
    LARGEST_NORMAL,
    RADIUS,
    ROW_STREAM,
    TAP_BITS,
    WEIGHT_BITS,
    Structure,
)
from dimmagen.dimmers.camera.torch_random import drawn_normals, philox4x32

_PARTS = (0, 1, 1)  # of luma and two chroma normals: which taps and weights


def structured_normals(
    height: int,
    width: int,
    tables: tuple[Tensor, Tensor],
    low: Tensor,
    high: Tensor,
    structure: Structure,
) -> Tensor:
    """Luma and chroma normals of images.

    Args:
        height, width: of the images.
        tables, low, high: as for :func:`.drawn_normals`.
        structure: of the noise.

    Returns:
        int64 (B, 3, H, W), in 2**-12.
    """
    drawn = drawn_normals(-RADIUS, height + RADIUS, FIRST_BLOCK, width + 2 * RADIUS + 1, tables, low, high)
    across = _filtered(drawn[..., 1:], structure.taps[:, 0], -1)  # the first column, -9, is not needed
    normals = _filtered(across, structure.taps[:, 1], -2)
    if not structure.weights[:, 1:].any():
        return normals
    rows = _line_normals(height, ROW_STREAM, tables, low, high)[..., None]
    columns = _line_normals(width, COLUMN_STREAM, tables, low, high)[..., None, :]
    own, of_row, of_column = (_by_part(structure.weights[:, index], normals.device) for index in range(3))
    return _limited(own * normals + of_row * rows + of_column * columns, WEIGHT_BITS)


def _filtered(normals: Tensor, taps: np.ndarray, dim: int) -> Tensor:
    """Filter along a dimension, which loses 8 at either end; taps int32 (2, 9)."""
    size = normals.shape[dim] - 2 * RADIUS
    total = _by_part(taps[:, 0], normals.device) * normals.narrow(dim, RADIUS, size)
    for distance in range(1, RADIUS + 1):
        if taps[:, distance].any():
            before = normals.narrow(dim, RADIUS - distance, size)
            after = normals.narrow(dim, RADIUS + distance, size)
            total += _by_part(taps[:, distance], normals.device) * (before + after)
    return _limited(total, TAP_BITS)


def _line_normals(
    count: int, stream: int, tables: tuple[Tensor, Tensor], low: Tensor, high: Tensor
) -> Tensor:
    """One luma and two chroma normals of each row or column: int64 (B, 3, count)."""
    index = torch.arange(count, device=low.device)
    zero = torch.zeros_like(index)
    a, b, _, _ = philox4x32(index, zero, zero + stream, zero, low[..., 0], high[..., 0])
    return torch.stack([tables[0][a & 0xFFFF], tables[1][a >> 16], tables[1][b & 0xFFFF]], 1)


def _by_part(values: np.ndarray, device: torch.device) -> Tensor:
    """A number of luma and of chroma for the three normals: (2,) -> int64 (3, 1, 1)."""
    return torch.tensor([int(values[part]) for part in _PARTS], device=device)[:, None, None]


def _limited(sums: Tensor, bits: int) -> Tensor:
    return (sums >> bits).clamp_(-LARGEST_NORMAL, LARGEST_NORMAL)
