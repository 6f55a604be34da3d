"""The pairs that an export may take: their rows on disk, and some numbers of each in memory."""

import json
from collections.abc import ItemsView, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dimmagen.core.disk_list import DiskList
from dimmagen.dataset.reader import PairSet
from dimmagen.export.sizes import Size

EXPORTED = ("light_key", "source", "width", "height")
"""The columns of a data set that an export needs; the others are read onto disk."""


@dataclass(frozen=True, eq=False, slots=True)
class PairNumbers:
    """Some numbers of all pairs of a data set, in its order.

    Attributes:
        light_keys: of the light images, sorted; a light image is named by its place here.
        lights: int64 (N,), the light image of each pair.
        first, last: int64 (light images,), the first and the last pair of each.
        sizes: int64 (N, 2), height and width in pixels.
    """

    light_keys: pa.Array
    lights: np.ndarray
    first: np.ndarray
    last: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, pairs: PairSet) -> "PairNumbers":
        """The numbers of a data set, with at least the columns of :data:`EXPORTED`."""
        encoded = pc.dictionary_encode(pairs.table["light_key"].combine_chunks())
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.combine_chunks()
        order = pc.sort_indices(encoded.dictionary).to_numpy()
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        lights = place[encoded.indices.to_numpy()]
        _, first = np.unique(lights, return_index=True)
        _, from_end = np.unique(lights[::-1], return_index=True)
        sizes = np.stack([pairs.table[name].to_numpy() for name in ("height", "width")], axis=1)
        return cls(encoded.dictionary.take(order), lights, first, len(lights) - 1 - from_end, sizes)


class StoredRows:
    """Rows on disk, of values that JSON has."""

    def __init__(self, rows: Iterable[Mapping]) -> None:
        self._records = DiskList()
        for row in rows:
            self._records.append(json.dumps(row).encode())

    def __getitem__(self, index: int) -> dict:
        row: dict = json.loads(self._records[index])
        return row


class ExportRows(Sequence[dict]):
    """Some stored rows, in any order.

    Args:
        stored: the rows.
        indices: (N,), of those that are chosen.
    """

    def __init__(self, stored: StoredRows, indices: np.ndarray) -> None:
        self._stored = stored
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return ExportRows(self._stored, self.indices[place])
        return self._stored[int(self.indices[place])]

    def __iter__(self) -> Iterator[dict]:
        return (self._stored[int(index)] for index in self.indices)


@dataclass(frozen=True, slots=True)
class NamedPair:
    """One pair of an export.

    Attributes:
        name: of its files, without extension.
        row: of the pair in the data set.
        size: of the exported images; smaller than those of the data set if they are cut.
    """

    name: str
    row: dict
    size: Size


class NamedPairs(Sequence[NamedPair]):
    """The pairs of one split of an export.

    Args:
        names: pattern of their names, with `split` and `number`.
        split: `train`, `val` or `test`.
        rows: their rows.
        numbers: of all pairs of the data set.
        sizes: int64 (all pairs, 2), height and width of the exported images.

    Attributes:
        lights: int64 (N,), the light image of each pair.
        sizes: int64 (N, 2), height and width of their exported images.
    """

    def __init__(
        self, names: str, split: str, rows: ExportRows, numbers: PairNumbers, sizes: np.ndarray
    ) -> None:
        self._names, self._split, self._rows = names, split, rows
        self.lights, self.sizes = numbers.lights[rows.indices], sizes[rows.indices]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[index] for index in range(*place.indices(len(self)))]
        return NamedPair(self.name(place), self._rows[place], self.size(place))

    def name(self, index: int) -> str:
        """The name of the files of one pair, without extension."""
        return self._names.format(split=self._split, number=index + 1)

    def size(self, index: int) -> Size:
        """The size of the exported images of one pair."""
        height, width = self.sizes[index].tolist()
        return height, width

    def files(self, extension: str) -> Mapping[str, Size]:
        """The sizes of the images by their file names with an extension, in the order of the pairs."""
        return _FileSizes(self, extension)


class _FileSizes(Mapping[str, Size]):
    """The sizes of exported images by file name, made while they are iterated."""

    def __init__(self, named: NamedPairs, extension: str) -> None:
        self._named, self._extension = named, extension
        self._by_name: dict[str, Size] | None = None

    def __len__(self) -> int:
        return len(self._named)

    def __iter__(self) -> Iterator[str]:
        return (f"{self._named.name(index)}.{self._extension}" for index in range(len(self)))

    def items(self) -> ItemsView[str, Size]:
        return _Items(self)

    def sizes(self) -> Iterator[Size]:
        """The sizes in the order of the names."""
        return (self._named.size(index) for index in range(len(self)))

    def __getitem__(self, name: str) -> Size:
        if self._by_name is None:  # which takes memory for each name
            self._by_name = dict(self.items())
        return self._by_name[name]


class _Items(ItemsView[str, Size]):
    _mapping: _FileSizes

    def __iter__(self) -> Iterator[tuple[str, Size]]:
        return zip(self._mapping, self._mapping.sizes(), strict=True)
