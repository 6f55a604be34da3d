"""Real pairs mixed into the batches of a data set, in place of tuning on them afterwards."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from dimmagen.core.errors import UsageError
from dimmagen.enhance.batch import Batch
from dimmagen.enhance.data import Batches, RealPairs


@dataclass(frozen=True, slots=True)
class MixedBatches:
    """The batches of a data set in which an exact share of all examples is replaced by crops of real pairs.

    Over any stretch of the stream the number of real examples is that of the share, to within one. The other
    examples are those of the same run without real pairs, at the same positions. Which examples are real
    depends on their position alone, so that a stream can be opened anywhere.

    Attributes:
        synthetic: batches to mix into, each of `batch` examples.
        real: the real pairs, as batches of one example.
        share: of the examples that are real, in (0, 1).
        batch: number of examples of a batch.
        rank, world_size: of this process among those that train together.

    Raises:
        UsageError: the share is not between 0 and 1, or `real` has batches of more than one example.
    """

    synthetic: Batches
    real: RealPairs
    share: float
    batch: int
    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        refuse_share(self.share)
        if (self.real.batch, self.real.rank, self.real.world_size) != (1, 0, 1):
            raise UsageError("real pairs are mixed in one by one", "give them with `batch=1`", code="usage")

    def open(self, start: int) -> Iterator[Batch]:
        for number, batch in zip(itertools.count(start), self.synthetic.open(start), strict=False):
            first = (number * self.world_size + self.rank) * self.batch
            real = {
                place: next(self.real.open(index))
                for place in range(self.batch)
                if (index := self._real_index(first + place)) is not None
            }
            yield replaced(batch, real) if real else batch

    def _real_index(self, position: int) -> int | None:
        """Which of the real examples is at a position of all examples; None for a synthetic one."""
        index = int(position * self.share)
        return index if int((position + 1) * self.share) > index else None


def refuse_share(share: float) -> None:
    """Raise a UsageError where a share leaves no synthetic or no real examples."""
    if not 0 < share < 1:
        raise UsageError(
            f"`mix_share={share}` is not between 0 and 1",
            "give the share of real examples, such as 0.1, or real pairs alone with `pairs`",
            code="out-of-range",
            parameter="mix_share",
            value=share,
        )


def replaced(batch: Batch, examples: dict[int, Batch]) -> Batch:
    """A batch with other examples at some places.

    Args:
        batch: of N examples.
        examples: batches of one example, with crops of the same size, by their place, 0..N-1.
    """
    fields: dict[str, Any] = {
        field.name: _replaced(
            getattr(batch, field.name), {place: getattr(one, field.name) for place, one in examples.items()}
        )
        for field in dataclasses.fields(batch)
    }
    return dataclasses.replace(batch, **fields)


def _replaced(
    values: torch.Tensor | Sequence | None, others: dict[int, torch.Tensor | Sequence | None]
) -> torch.Tensor | tuple | None:
    """One field of a batch: a tensor or tuple along the examples, or None where a batch has no such field."""
    if isinstance(values, torch.Tensor):
        mixed = values.clone()
        for place, other in others.items():
            mixed[place] = other[0]  # type: ignore[index]
        return mixed
    if values is None:
        return None
    return tuple(others[place][0] if place in others else value for place, value in enumerate(values))  # type: ignore[index]
