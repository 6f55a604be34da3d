"""Splitting pairs into training, validation and test: by scene, never by variant.

With two variants of one light image, two frames of one clip or two photos of one place in both splits, a
validation score would measure memorisation. Light images show one scene if they come from the same file, or
if their perceptual hashes are as close as those of an excluded image (:mod:`dimmagen.sources.scene_hash`).
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from dimmagen.core import keyed_random
from dimmagen.core.errors import UsageError
from dimmagen.core.text import pluralize
from dimmagen.dataset.reader import PairSet
from dimmagen.images import codec
from dimmagen.sources.scene_hash import SAME_SCENE_BITS, scene_hash


@dataclass(frozen=True, slots=True)
class Split:
    """The rows of each split.

    Attributes:
        train, validation, test: in the order of the data set.
        left_out: number of pairs that are in no split, by reason.
    """

    train: list[dict]
    validation: list[dict]
    left_out: dict[str, int]
    test: list[dict] = field(default_factory=list)


def split_pairs(
    rows: Sequence[dict], scenes: dict[str, str], validation: int, count: int | None, test: int = 0
) -> Split:
    """Split pairs.

    Args:
        rows: of all pairs, in order.
        scenes: the scene of each light key, from :func:`find_scenes`.
        validation, test: number of pairs of these splits, each of another light image; scenes are taken in a
            keyed order, and no scene is in two splits.
        count: exact number of training pairs, the first ones; None takes all.

    Raises:
        UsageError: there are not enough light images for the held-out pairs, or not enough pairs for `count`.
    """
    ranked = sorted(rows, key=lambda row: _rank(row, scenes))  # stable: the first variant stays first
    first_variants = {row["light_key"]: row for row in reversed(ranked)}
    in_order = sorted(first_variants.values(), key=lambda row: _rank(row, scenes))
    chosen: list[set[str]] = []
    held_out: set[str] = set()
    for size in (validation, test):
        taken = [row for row in in_order if scenes[row["light_key"]] not in held_out][:size]
        chosen.append({row["key"] for row in taken})
        held_out |= {scenes[row["light_key"]] for row in taken}
    train = [row for row in rows if scenes[row["light_key"]] not in held_out]
    if [len(keys) for keys in chosen] != [validation, test] or not train:
        tests = f", {test} test pairs" if test else ""
        raise UsageError(
            f"there are too few light images ({len(in_order)}) for "
            f"{pluralize(validation, 'validation pair')}{tests} and training pairs of other scenes",
            "give a smaller `validation`",
            code="too-small",
            light_images=len(in_order),
            validation=validation,
        )
    if count is not None and len(train) < count:
        raise UsageError(
            f"`count={count}` is more than the {len(train)} training pairs that are left",
            "make a data set with more images or variants, or give a smaller `count` or `validation`",
            code="out-of-range",
            parameter="count",
            value=count,
            available=len(train),
        )
    kept = train if count is None else train[:count]
    held = [[row for row in rows if row["key"] in keys] for keys in chosen]
    left_out = {
        "other pairs of the validation scenes": len(rows) - len(train) - sum(map(len, held)),
        "beyond --count": len(train) - len(kept),
    }
    return Split(kept, held[0], {reason: number for reason, number in left_out.items() if number}, held[1])


def _rank(row: dict, scenes: dict[str, str]) -> tuple[bytes, str]:
    return keyed_random.rank(0, scenes[row["light_key"]], "validation"), row["light_key"]


def find_scenes(pairs: PairSet, workers: int, on_image: Callable[[], None] = lambda: None) -> dict[str, str]:
    """Find the light images that show the same scene.

    Decodes each light image once.

    Args:
        pairs: the data set.
        workers: number of threads.
        on_image: called after each light image.

    Returns:
        The scene of each light key, named by the first of its light keys.
    """
    images = {row["light_key"]: row for row in reversed(pairs.rows())}

    def hash_of(row: dict) -> np.ndarray:
        value = scene_hash(codec.decode_rgb8(pairs.data(row, "light"))[0])
        on_image()
        return value

    keys = sorted(images)
    with ThreadPoolExecutor(workers) as pool:
        hashes = np.packbits(np.array(list(pool.map(hash_of, (images[key] for key in keys)))), axis=1)
    by_file: dict[str, int] = {}
    same_file = [
        (by_file.setdefault(images[key]["source_sha256"], index), index) for index, key in enumerate(keys)
    ]
    leaders = _connected(len(keys), [*same_file, *_similar(hashes.view(np.uint64))])
    return {key: keys[leader] for key, leader in zip(keys, leaders, strict=True)}


def _similar(hashes: np.ndarray) -> Iterable[tuple[int, int]]:
    """Pairs of indices of hashes, uint64 (N, 4), that differ in at most SAME_SCENE_BITS of their 256 bits."""
    for index in range(len(hashes) - 1):
        distance = np.bitwise_count(hashes[index + 1 :] ^ hashes[index]).sum(axis=1)
        for other in np.flatnonzero(distance <= SAME_SCENE_BITS):
            yield index, index + 1 + int(other)


def _connected(count: int, links: Iterable[tuple[int, int]]) -> list[int]:
    """For each index, the smallest index that it is connected with, by any number of links."""
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
