"""Random draws that depend only on names.

Every random scalar of a data set is a hash of (seed, sample key, variant, purpose), so that it does not
depend on the number of workers, their order, or on what else is in the data set. Drawn values are
rounded before they are used, so that the recorded value is the value that was used.
"""

import hashlib
import math
from collections.abc import Iterable
from statistics import NormalDist

import numpy as np

DECIMALS = 6
_NORMAL = NormalDist()


def _digest(seed: int, key: str, variant: int, purpose: str) -> bytes:
    return hashlib.blake2b(f"{seed}\x1f{key}\x1f{variant}\x1f{purpose}".encode(), digest_size=8).digest()


def uniform(seed: int, key: str, variant: int, purpose: str) -> float:
    """A float in the open interval (0, 1), with 53 bits, for one (seed, key, variant, purpose)."""
    return (int.from_bytes(_digest(seed, key, variant, purpose), "big") // 2**11 + 0.5) / 2**53


def uniform_between(low: float, high: float, seed: int, key: str, variant: int, purpose: str) -> float:
    """A float drawn uniformly from [low, high], rounded to 6 decimals."""
    return round(low + (high - low) * uniform(seed, key, variant, purpose), DECIMALS)


def normal(seed: int, key: str, variant: int, purpose: str) -> float:
    """A standard normal float, rounded to 6 decimals."""
    return round(_NORMAL.inv_cdf(uniform(seed, key, variant, purpose)), DECIMALS)


def heavy_tailed(seed: int, key: str, variant: int, purpose: str) -> float:
    """A float of Student's t with four degrees of freedom, within [-4, 4], rounded to 6 decimals.

    Its quantile function has a closed form (Shaw, "Sampling Student's T distribution", 2006).
    """
    at = uniform(seed, key, variant, purpose)
    root = math.sqrt(4 * at * (1 - at))
    size = 2 * math.sqrt(math.cos(math.acos(root) / 3) / root - 1)
    return round(math.copysign(min(size, 4.0), at - 0.5), DECIMALS)


def bits63(seed: int, key: str, variant: int, purpose: str) -> int:
    """An integer in [0, 2**63): the key of a counter-based pixel generator; fits a signed parquet column."""
    return int.from_bytes(_digest(seed, key, variant, purpose), "big") // 2


def rank(seed: int, key: str, purpose: str) -> bytes:
    """Sort key of a keyed permutation: sorting by it shuffles the keys, reproducibly."""
    return _digest(seed, key, 0, purpose)


def permutation(seed: int, keys: Iterable[str], purpose: str) -> np.ndarray:
    """The keyed permutation of fewer than 2**32 keys: the indices, uint32 (N,), in the order of :func:`rank`.

    Of equal keys, the first comes first. A key takes 12 bytes of memory.
    """
    ranks = np.fromiter((int.from_bytes(rank(seed, key, purpose), "big") for key in keys), np.uint64)
    return argsort(ranks)


def argsort(ranks: np.ndarray) -> np.ndarray:
    """Stable argsort of uint64 ranks (N,) that are spread evenly, as uint32 (N,).

    It sorts slices of their range one by one, which takes a tenth of the memory.
    """
    order, start = np.empty(len(ranks), np.uint32), 0
    for part in range(16):
        low, high = np.uint64(part << 60), np.uint64(((part + 1) << 60) - 1)
        here = np.flatnonzero((ranks >= low) & (ranks <= high)).astype(np.uint32)
        order[start : start + len(here)] = here[np.argsort(ranks[here], kind="stable")]
        start += len(here)
    return order
