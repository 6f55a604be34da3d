"""The position of a loader in a pass, so that another process can continue with the remaining pairs.

The order of a pass, its crops and what a transform draws in a worker process follow from the seed of the
pass, the rank, the worker and the place of a pair; nothing else has to be kept.
"""

import hashlib
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dimmagen.core.errors import UsageError

_LARGEST_SEED = 2**62
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a pass.

    Attributes:
        seed: of the pass.
        batches: that this rank has received.
    """

    seed: int
    batches: int


def new_seed() -> int:
    """A seed for a pass, from torch's generator."""
    return int(torch.randint(_LARGEST_SEED, (), device="cpu"))


def position_in(state: Mapping[str, Any], identity: Mapping[str, Any]) -> Position | None:
    """The place that a state describes; None at the beginning of a new pass.

    A state in the middle of a pass that is of another rank is taken with a warning: Lightning and accelerate
    keep that of the first rank for all.

    Args:
        state: from :meth:`.PairLoader.state_dict`, perhaps of an earlier process.
        identity: what decides the batches of the loader that is to continue there.

    Raises:
        UsageError: it is not the state of such a loader.
    """
    given = state if isinstance(state, Mapping) else {}
    seed, batches, other = (given.get(name) for name in ("seed", "batches", "of"))
    is_seed = seed is None or (type(seed) is int and 0 <= seed < _LARGEST_SEED)
    is_place = is_seed and type(batches) is int and batches >= 0
    if not is_place or not isinstance(other, Mapping):
        raise UsageError(
            "this is not the state of a pair loader",
            "give what `state_dict()` of one returned",
            code="wrong-format",
        )
    different = [name for name in sorted({*identity, *other}) if identity.get(name) != other.get(name)]
    # Ranks with fewer shards have fewer workers.
    of_another_rank = "rank" in different and {*different} <= {"rank", "workers"}
    if different and not of_another_rank:
        differences = [f"{name} was {other.get(name)}, is {identity.get(name)}" for name in different]
        raise UsageError(
            f"the state is that of another loader: {'; '.join(differences)}",
            "make the loader with the same arguments on as many ranks",
            code="other-settings",
            differences=differences,
        )
    if seed is None:
        return None
    if of_another_rank:
        _LOG.warning(
            "rank %s continues with the state of rank %s: with exactly the pairs that are left if all ranks "
            "had the same `torch.manual_seed`",
            identity.get("rank"),
            other.get("rank"),
        )
    return Position(seed, batches)  # type: ignore[arg-type]


def delivered(batches: int, worker_batches: Sequence[int | None]) -> tuple[list[int], int]:
    """How many of the first batches of a pass come from each worker: they take turns.

    Args:
        batches: number of them.
        worker_batches: how many each worker has in the whole pass; None where there is no end.

    Returns:
        The numbers, and the worker from which the next batch comes.

    Example:
        >>> delivered(6, [1, 9, 9])
        ([1, 3, 2], 2)
    """
    counts, following = [0] * len(worker_batches), 0
    while active := [
        worker for worker, whole in enumerate(worker_batches) if whole is None or counts[worker] < whole
    ]:
        following = active[batches] if batches < len(active) else 0
        left = [whole - counts[worker] for worker, whole in enumerate(worker_batches) if whole is not None]
        rounds = min([batches // len(active), *(more for more in left if more > 0)])
        for place, worker in enumerate(active):
            counts[worker] += rounds or place < batches
        if not rounds:
            break
        batches -= rounds * len(active)
    return counts, following


def seed_worker(*of: object) -> None:
    """Seed the generators of a worker process, which a crop and a transform may draw from."""
    seed = int.from_bytes(hashlib.sha256(" ".join(map(str, of)).encode()).digest()[:8], "big")
    torch.default_generator.manual_seed(seed % 2**63)
    random.seed(seed)
    np.random.seed(seed % 2**32)
