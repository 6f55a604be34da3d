"""Splitting pairs into training, validation and test: by scene, never by variant.

With two variants of one light image, two frames of one clip or two photos of one place in both splits, a
validation score would measure memorisation.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dimmagen.core.errors import UsageError
from dimmagen.core.text import pluralize
from dimmagen.export.rows import ExportRows, PairNumbers
from dimmagen.export.scenes import Scenes


@dataclass(frozen=True, slots=True)
class Split:
    """The rows of each split.

    Attributes:
        train, validation, test: in the order of the data set.
        left_out: number of pairs that are in no split, by reason.
    """

    train: ExportRows
    validation: ExportRows
    test: ExportRows
    left_out: dict[str, int]


@dataclass(frozen=True, eq=False, slots=True)
class SplitPairs:
    """The pairs of each split, by their indices in the data set; see :class:`Split`."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    left_out: dict[str, int]


def split_pairs(
    numbers: PairNumbers,
    chosen: np.ndarray,
    scenes: Scenes | None,
    validation: int,
    count: int | None,
    test: int = 0,
) -> SplitPairs:
    """Split pairs.

    Args:
        numbers: of all pairs of the data set.
        chosen: (N,), indices of those to split, in order.
        scenes: of the data set; None where no pair is held out.
        validation, test: number of pairs of these splits, each of another light image; scenes are taken in a
            keyed order, and no scene is in two splits.
        count: exact number of training pairs, the first ones; None takes all.

    Raises:
        UsageError: there are not enough light images for the held-out pairs, or not enough pairs for `count`.
    """
    lights = numbers.lights[chosen]
    own, first = np.unique(lights, return_index=True)
    taken, is_held = _held_out(numbers, lights, scenes, (validation, test))
    train = chosen[~is_held]
    if [len(part) for part in taken] != [validation, test] or not len(train):
        tests = f", {test} test pairs" if test else ""
        raise UsageError(
            f"there are too few light images ({len(own)}) for "
            f"{pluralize(validation, 'validation pair')}{tests} and training pairs of other scenes",
            "give a smaller `validation`",
            code="too-small",
            light_images=len(own),
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
    first_held, second_held = (
        chosen[np.sort(first[np.searchsorted(own, np.array(part, np.int64))])] for part in taken
    )
    left_out = {
        "other pairs of the validation scenes": len(chosen) - len(train) - len(first_held) - len(second_held),
        "beyond --count": len(train) - len(kept),
    }
    left_out = {reason: number for reason, number in left_out.items() if number}
    return SplitPairs(kept, first_held, second_held, left_out)


def _held_out(
    numbers: PairNumbers, lights: np.ndarray, scenes: Scenes | None, sizes: Sequence[int]
) -> tuple[list[list[int]], np.ndarray]:
    """The light images of each split that is held out, and which pairs are of their scenes, bool (N,).

    Args:
        numbers, scenes: as for :func:`split_pairs`.
        lights: int64 (N,), the light image of each pair.
        sizes: how many light images each split takes; there may be fewer.
    """
    taken: list[list[int]] = [[] for _ in sizes]
    if scenes is None:
        return taken, np.zeros(len(lights), bool)
    is_there = np.zeros(len(numbers.light_keys), bool)
    is_there[lights] = True
    in_order = (light for light in scenes.in_order() if is_there[light])
    held = set[int]()
    for part, size in zip(taken, sizes, strict=True):
        while len(part) < size and (light := next(in_order, None)) is not None:
            if scenes.scene(light) not in held:
                part.append(light)
        held.update(map(scenes.scene, part))
    return taken, np.isin(scenes.found[lights], sorted(held))
