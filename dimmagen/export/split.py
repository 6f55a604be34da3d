"""Which pairs are for training and which for validation: by scene, never by variant.

Two variants of one photo, two frames of one clip and two photos of one place would let a validation score
measure memory. Photos are of one scene when they come from the same file, or when their perceptual hashes
are as near as those of an excluded picture (:mod:`dimmagen.sources.scene_hash`).
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from dimmagen.core import keyed_random
from dimmagen.core.errors import UsageError
from dimmagen.dataset.reader import PairSet
from dimmagen.images import codec
from dimmagen.sources.scene_hash import SAME_SCENE_BITS, scene_hash


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of the pairs of each split, in the data set's order, and why others are in neither."""

    train: list[dict]
    validation: list[dict]
    left_out: dict[str, int]


def split_pairs(
    rows: Sequence[dict], scenes: dict[str, str], validation: int, count: int | None, larger_than: int
) -> Split:
    """Divide pairs.

    Args:
        rows: of all pairs, in order.
        scenes: the scene of each light key, from :func:`find_scenes`.
        validation: pairs for validation, each of another photo; scenes are taken in a keyed order.
        count: exactly so many training pairs, the first ones; None takes all.
        larger_than: pairs with a side of at most this many pixels are left out.

    Raises:
        UsageError: not enough photos for the validation pairs, or not enough pairs for `count`.
    """
    large = [row for row in rows if min(row["width"], row["height"]) > larger_than]
    ranked = sorted(large, key=lambda row: _rank(row, scenes))  # stable: the first variant stays first
    first_of_photo = {row["light_key"]: row for row in reversed(ranked)}
    in_order = sorted(first_of_photo.values(), key=lambda row: _rank(row, scenes))
    chosen = {row["key"] for row in in_order[:validation]}
    held_out = {scenes[row["light_key"]] for row in in_order[:validation]}
    train = [row for row in large if scenes[row["light_key"]] not in held_out]
    if len(chosen) < validation or not train:
        raise UsageError(
            f"{len(in_order)} photos are too few for {validation} validation pairs and training pairs of "
            "other scenes",
            "give a smaller `validation`",
        )
    if count is not None and len(train) < count:
        raise UsageError(
            f"`count={count}` is more than the {len(train)} training pairs that are left",
            "make a set with more images or variants, or give a smaller `count` or `validation`",
        )
    kept = train if count is None else train[:count]
    left_out = {
        f"not larger than {larger_than} pixels": len(rows) - len(large),
        "other pairs of the validation scenes": len(large) - len(train) - len(chosen),
        "beyond --count": len(train) - len(kept),
    }
    return Split(
        kept,
        [row for row in large if row["key"] in chosen],
        {reason: number for reason, number in left_out.items() if number},
    )


def _rank(row: dict, scenes: dict[str, str]) -> tuple[bytes, str]:
    return keyed_random.rank(0, scenes[row["light_key"]], "validation"), row["light_key"]


def find_scenes(pairs: PairSet, workers: int, on_photo: Callable[[], None] = lambda: None) -> dict[str, str]:
    """The scene of each light key, named by the first of its light keys.

    Decodes each light picture once.
    """
    photos = {row["light_key"]: row for row in reversed(pairs.rows())}

    def hash_of(row: dict) -> np.ndarray:
        value = scene_hash(codec.decode_rgb8(pairs.data(row, "light"))[0])
        on_photo()
        return value

    keys = sorted(photos)
    with ThreadPoolExecutor(workers) as pool:
        hashes = np.packbits(np.array(list(pool.map(hash_of, (photos[key] for key in keys)))), axis=1)
    by_file: dict[str, int] = {}
    same_file = [
        (by_file.setdefault(photos[key]["source_sha256"], index), index) for index, key in enumerate(keys)
    ]
    leaders = _connected(len(keys), [*same_file, *_alike(hashes.view(np.uint64))])
    return {key: keys[leader] for key, leader in zip(keys, leaders, strict=True)}


def _alike(hashes: np.ndarray) -> Iterable[tuple[int, int]]:
    """Pairs of indices whose hashes, uint64 (N, 4), differ in at most SAME_SCENE_BITS of their 256 bits."""
    for index in range(len(hashes) - 1):
        distance = np.bitwise_count(hashes[index + 1 :] ^ hashes[index]).sum(axis=1)
        for other in np.flatnonzero(distance <= SAME_SCENE_BITS):
            yield index, index + 1 + int(other)


def _connected(count: int, links: Iterable[tuple[int, int]]) -> list[int]:
    """The smallest index that each index is connected with, by any number of links."""
    leader = list(range(count))

    def find(index: int) -> int:
        while leader[index] != index:
            leader[index] = leader[leader[index]]
            index = leader[index]
        return index

    for one, other in links:
        low, high = sorted((find(one), find(other)))
        leader[high] = low
    return [find(index) for index in range(count)]
