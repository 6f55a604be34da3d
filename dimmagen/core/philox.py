"""Philox4x32-10: a counter-based generator, so that the noise of a pixel depends only on its index.

Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). Neither tiles, threads nor the
order of computation change the draws of a pixel, and integer arithmetic gives the same bits on every machine.
"""

import numpy as np

from dimmagen.core.compiled import jit

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint32(0x9E3779B9), np.uint32(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)


@jit(inline="always")
def philox4x32(c0, c1, c2, c3, k0, k1):
    """Ten rounds: four 32-bit counters and two 32-bit keys (np.uint32) to four np.uint32 words."""
    for _ in range(10):
        p0 = _M0 * np.uint64(c0)
        p1 = _M1 * np.uint64(c2)
        n0 = np.uint32(np.uint32(p1 >> _SHIFT) ^ c1 ^ k0)
        n2 = np.uint32(np.uint32(p0 >> _SHIFT) ^ c3 ^ k1)
        c1 = np.uint32(p1 & _LOW)
        c3 = np.uint32(p0 & _LOW)
        c0 = n0
        c2 = n2
        k0 = np.uint32(k0 + _W0)
        k1 = np.uint32(k1 + _W1)
    return c0, c1, c2, c3


def split_key(key: int) -> tuple[np.uint32, np.uint32]:
    """Split a 63-bit key into the two 32-bit key words of Philox: (low, high)."""
    return np.uint32(key & 0xFFFFFFFF), np.uint32(key >> 32)
