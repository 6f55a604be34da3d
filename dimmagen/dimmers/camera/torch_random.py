"""Random normals on torch tensors: Philox, and the quantiles that :mod:`.kernel` looks up with its words.

Philox words are kept in int64 tensors, in [0, 2**32).
"""

import torch
from torch import Tensor

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


def drawn_normals(
    top: int, bottom: int, first: int, count: int, tables: tuple[Tensor, Tensor], low: Tensor, high: Tensor
) -> Tensor:
    """Luma and chroma normals of rows top .. bottom - 1 and `count` columns from 2 `first` - 1 on, in 2**-12.

    One Philox block gives three 16-bit uniforms to each of two neighbouring columns.

    Args:
        tables: int64 (65536,) each, quantiles of luma and chroma noise in 2**-12.
        low, high: words of the keys, int64 (B, 1, 1).

    Returns:
        int64 (B, 3, rows, count).
    """
    rows = torch.arange(top, bottom, device=tables[0].device)[:, None] & _LOW
    blocks = torch.arange(first, first + (count + 1) // 2, device=tables[0].device) & _LOW
    zero = torch.zeros_like(blocks)
    a, b, c, _ = philox4x32(blocks, rows, zero, zero, low, high)
    left, right = (a & _MASK, a >> 16, b & _MASK), (b >> 16, c & _MASK, c >> 16)
    uniforms = torch.stack([torch.stack(left, 1), torch.stack(right, 1)], -1)  # (B, 3, rows, blocks, 2)
    words = uniforms.flatten(3)[..., :count]
    return torch.cat([tables[0][words[:, :1]], tables[1][words[:, 1:]]], 1)
