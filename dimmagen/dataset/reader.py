"""A finished data set as a list of pairs: the rows of its parquet files, and images read by offset.

Loaders, exports, subsets and reports read data sets through this module.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from os import PathLike, fspath
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dimmagen.core import hashing, storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.git_lfs import refuse_pointer
from dimmagen.dataset.manifest import Manifest
from dimmagen.dataset.pair_tables import pair_tables, rows_at, rows_of, shard_table
from dimmagen.dataset.schema import schema_of
from dimmagen.images import codec
from dimmagen.images.pair_names import Side

ROWS_ALONE = ("variant",)
"""A small column, for tables of sets whose whole rows are iterated and nothing else."""

Part = Literal["dark", "light", "labels"]
_MAX_SHOWN = 5


@dataclass(frozen=True, slots=True)
class PairSet:
    """The pairs of one finished data set, in tar order.

    Attributes:
        out: folder or fsspec URL.
        manifest: of the data set, checked.
        table: one row per pair with the columns of :func:`.schema_of`, or some of them, and `shard`, the
            name of its tar, which is dictionary-encoded where there are only some.
    """

    out: str
    manifest: Manifest
    table: pa.Table

    def __len__(self) -> int:
        return self.table.num_rows

    def row(self, index: int) -> dict:
        """One row of the table; a negative index counts from the end.

        Raises:
            IndexError: there is no such pair.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"pair {index} of {len(self)}")
        return self.table.slice(index % len(self), 1).to_pylist()[0]

    def rows(self) -> list[dict]:
        """All rows of the table."""
        return self.table.to_pylist()

    def iter_rows(self) -> Iterator[dict]:
        """All rows of the table, of which a few thousand are in memory at a time."""
        return rows_of(self.table)

    def whole(self, indices: Iterable[int] | None = None) -> Iterator[dict]:
        """Rows with all columns, of which a few thousand are in memory at a time.

        Where the table has only some columns, the parquet files are read again, shard by shard.

        Args:
            indices: of the pairs, ascending; None for all pairs.

        Raises:
            DimmagenError: as :func:`open_pairs`.
        """
        if {*schema_of(self.manifest.settings).names} <= {*self.table.column_names}:
            return rows_at(self.table, indices)
        if indices is None:
            tables = pair_tables(self.out, self.manifest)
            return (row for table in tables for row in rows_of(table))
        return self._read_at(indices)

    def _read_at(self, indices: Iterable[int]) -> Iterator[dict]:
        schema = schema_of(self.manifest.settings)
        ends = np.cumsum([shard.samples for shard in self.manifest.shards])
        for place, chosen in groupby(indices, lambda index: int(np.searchsorted(ends, index, side="right"))):
            shard = self.manifest.shards[place]
            start = int(ends[place]) - shard.samples
            table = shard_table(self.out, shard, schema)
            yield from rows_at(table, [index - start for index in chosen])

    def find(self, key: str) -> dict:
        """The whole row of the pair with a key, or with the only key that begins with it.

        Raises:
            UsageError: no key begins with it, or several do.
        """
        keys = self.table["key"]
        found = pc.indices_nonzero(pc.equal(keys, key))[:1] or pc.indices_nonzero(pc.starts_with(keys, key))
        if not len(found):
            todo = f"its first key is {keys[0]}"
            raise UsageError(f"{self.out} has no pair {key!r}", todo, code="unknown-name", name=key)
        if len(found) > 1:
            names = ", ".join(keys.take(found[:_MAX_SHOWN]).to_pylist())
            todo = f"give more characters, as in {names} ..."
            raise UsageError(f"{len(found)} keys begin with {key!r}", todo, code="unknown-name", name=key)
        return next(self.whole([found[0].as_py()]))

    def data(self, row: Mapping, side: Side) -> bytes:
        """The bytes of one image file, by one range read of its shard.

        Args:
            row: of the pair.
            side: which of its images.

        Raises:
            DimmagenError: the shard is missing, or its bytes are not those of the row.
        """
        return self._checked(row, side, self._range(row, row[f"{side}_offset"], row[f"{side}_size"]))

    def files(self, row: Mapping) -> tuple[bytes, bytes]:
        """The bytes of both image files of one pair, (dark, light), by a single range read.

        Raises:
            DimmagenError: as :meth:`data`.
        """
        start = row["dark_offset"]
        both = self._range(row, start, row["light_offset"] + row["light_size"] - start)
        light_start = row["light_offset"] - start
        dark = self._checked(row, "dark", both[: row["dark_size"]])
        return dark, self._checked(row, "light", both[light_start:])

    def images(self, row: Mapping) -> tuple[np.ndarray, np.ndarray]:
        """Both images of one pair, by a single range read.

        Args:
            row: of the pair.

        Returns:
            (dark, light), uint8 (H, W, 3), RGB.

        Raises:
            DimmagenError: as :meth:`data`, or an image cannot be decoded.
        """
        dark, light = self.files(row)
        return codec.decode_rgb8(dark)[0], codec.decode_rgb8(light)[0]

    def labels(self, row: Mapping) -> bytes:
        """The bytes of the file with the labels of one pair: JSON, or a mask as PNG.

        Raises:
            UsageError: the data set has no labels.
            DimmagenError: as :meth:`data`.
        """
        if "labels_member" not in row:
            raise UsageError(
                f"{self.out} has no labels",
                "make it again with the labels of its photos: `make_dataset(labels=...)`",
                code="missing-argument",
                parameter="labels",
                path=self.out,
            )
        return self._checked(row, "labels", self._range(row, row["labels_offset"], row["labels_size"]))

    def _range(self, row: Mapping, start: int, size: int) -> bytes:
        path = storage.join(self.out, row["shard"])
        with shard_is_there(path):
            return storage.read_range(path, start, size)

    def _checked(self, row: Mapping, side: Part, data: bytes) -> bytes:
        if hashing.sha256(data) != row[f"{side}_sha256"]:
            refuse_pointer(storage.join(self.out, row["shard"]))
            raise DimmagenError(
                f"{row['shard']}: the bytes of {row[f'{side}_member']} are not those of its row",
                f"run `verify({self.out})`, and copy the damaged shard again",
                code="damaged",
                path=storage.join(self.out, row["shard"]),
                key=row["key"],
            )
        return data


class ChosenRows(Sequence[dict]):
    """The whole rows of some pairs of a data set, of which a few thousand are in memory at a time.

    Args:
        pairs: the data set; its table may have only some columns.
        indices: of the pairs in its table, ascending.
    """

    def __init__(self, pairs: PairSet, indices: Sequence[int] | np.ndarray) -> None:
        self._pairs = pairs
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return ChosenRows(self._pairs, self.indices[place])
        return next(self._pairs.whole([int(self.indices[place])]))

    def __iter__(self) -> Iterator[dict]:
        return self._pairs.whole(map(int, self.indices))


@contextmanager
def shard_is_there(path: str) -> Iterator[None]:
    """Around what reads a shard: one that is missing is an error that names it.

    A removal of photos replaces shards by others, also while somebody reads the data set.

    Raises:
        DimmagenError: it is missing.
    """
    try:
        yield
    except (FileNotFoundError, IsADirectoryError):
        todo = "copy the data set again, or start again if photos were taken out of it meanwhile"
        raise DimmagenError(f"{path} is missing", todo, code="missing-path", path=path) from None


def open_pairs(
    out: str | PathLike[str], columns: Sequence[str] | None = None, manifest: Manifest | None = None
) -> PairSet:
    """Read the manifest and the parquet files of a finished data set; no shard is opened.

    Args:
        out: folder or fsspec URL of the data set.
        columns: of the table besides `shard`; None for all. Few of many are read in a fraction of the time
            and of the memory, which is about 0.9 kB for a pair with all columns.
        manifest: of the data set, if it is read already.

    Raises:
        UsageError: there is no such folder.
        DimmagenError: the data set is not finished, or a parquet file is missing or not that of the manifest.
    """
    out = fspath(out)
    manifest = manifest or Manifest.load(out)
    return PairSet(out, manifest, pa.concat_tables(pair_tables(out, manifest, columns)))


def read_member(out: str, shard_tar: str, offset: int, size: int) -> bytes:
    """The data of one member, without reading the rest of its shard.

    Args:
        out: folder or fsspec URL of the data set.
        shard_tar: name of the tar in the data set.
        offset, size: of the data in the tar, in bytes.
    """
    return storage.read_range(storage.join(out, shard_tar), offset, size)
