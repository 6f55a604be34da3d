"""How many 32-bit multiplications and additions a GPU does: a Triton kernel that does nothing else."""

import triton
import triton.language as tl
from torch import Tensor


def multiply(values: Tensor, rounds: int) -> None:
    """Four independent chains of `rounds` multiplications and additions for each of values, int32 (N,)."""
    _multiply[(triton.cdiv(len(values), 256),)](values, ROUNDS=rounds, num_warps=8)


@triton.jit
def _multiply(values, ROUNDS: tl.constexpr):
    at = values + tl.program_id(0) * 256 + tl.arange(0, 256)
    factor = tl.load(at)
    a, b, c, d = factor, factor + 1, factor + 2, factor + 3
    for _ in range(ROUNDS):
        a, b, c, d = a * factor + 1, b * factor + 3, c * factor + 5, d * factor + 7
    tl.store(at, a ^ b ^ c ^ d)
