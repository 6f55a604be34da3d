"""Pairs by index, for data loaders that read at random."""

import operator
from collections.abc import Callable
from os import PathLike
from typing import Any, TypeVar, overload

from torch.utils.data import Dataset

from dimmagen.core import arguments as kinds
from dimmagen.core import storage
from dimmagen.dataset.loader_checks import refuse_below, refuse_small
from dimmagen.dataset.loader_items import PairSample, Transform, item_of_pair
from dimmagen.dataset.reader import open_pairs

ItemT = TypeVar("ItemT")


class PairDataset(Dataset[ItemT]):
    """The pairs of a data set by index, read from the shards by offset: nothing is unpacked.

    Picklable and without open files, so that it works with any number of DataLoader workers.

    Args:
        out: folder or fsspec URL of a finished data set.
        crop: side in pixels of a random square (torch's generator), cut from both images at the same
            position, so that pairs of different sizes can form a batch; None gives whole images.
        transform: called with each pair; its result is what the data set returns. Without it the items are
            of the type :class:`PairSample`.

    Raises:
        DimmagenError: the data set is not finished or is damaged; also raised when a pair is read.
        UsageError: `crop` is below 1, or an image is smaller.

    Example:
        >>> from dimmagen import PairDataset
        >>> pairs = PairDataset("out", crop=64)
        >>> pairs[0]["dark"].shape
        torch.Size([3, 64, 64])
    """

    @overload
    def __init__(
        self: "PairDataset[PairSample]",
        out: str | PathLike[str],
        *,
        crop: int | None = None,
        transform: None = None,
    ) -> None: ...

    @overload
    def __init__(
        self, out: str | PathLike[str], *, crop: int | None = None, transform: Callable[[PairSample], ItemT]
    ) -> None: ...

    def __init__(
        self, out: str | PathLike[str], *, crop: int | None = None, transform: Transform | None = None
    ) -> None:
        out, crop = kinds.path("out", out), kinds.plain("crop", crop)
        refuse_below("crop", crop, 1)
        self.pairs = open_pairs(storage.local_path(out) or out)  # for workers in another working directory
        self.crop = crop
        self.transform = kinds.optional(kinds.function)("transform", transform)
        refuse_small(self.pairs, crop)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> ItemT:
        row = self.row(index)
        return item_of_pair(row, *self.pairs.images(row), self.crop, self.transform)

    def row(self, index: int) -> dict[str, Any]:
        """Everything recorded about one pair (see :data:`PAIR_SCHEMA`); no image is read."""
        return self.pairs.row(operator.index(index))
