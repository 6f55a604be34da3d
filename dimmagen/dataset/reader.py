"""A finished data set as a list of pairs: the rows of its parquet files, and images read by offset.

Loaders, exports, subsets and reports read data sets through this module. A data set may come from an
untrusted source: rows are checked against the manifest before their offsets are used.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, reduce
from itertools import groupby, islice
from os import PathLike, fspath
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dimmagen.core import hashing, storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.git_lfs import refuse_pointer
from dimmagen.core.parquet import read_table
from dimmagen.core.text import pluralize
from dimmagen.core.threads import ordered_map
from dimmagen.dataset.manifest import Manifest, ShardEntry
from dimmagen.dataset.schema import schema_of
from dimmagen.images import codec

ROWS_ALONE = ("variant",)
"""A small column, for tables of sets whose whole rows are iterated and nothing else."""

Side = Literal["dark", "light"]
Part = Literal["dark", "light", "labels"]
_ROWS_AT_ONCE = 4096
_MAX_SHOWN = 5
_REQUESTS = 16  # at a time
_ENDINGS = {
    "dark": (".dark.png", ".dark.webp"),
    "light": (".light.jpg", ".light.png", ".light.webp"),
    "labels": (".labels.json", ".mask.png"),
}
_KEY = r"^[a-z0-9]+(-[a-z0-9]+)*$"  # keys become parts of file names


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
        return _rows_of(self.table)

    def whole(self, indices: Iterable[int] | None = None) -> Iterator[dict]:
        """Rows with all columns, of which a few thousand are in memory at a time.

        Where the table has only some columns, the parquet files are read again, shard by shard.

        Args:
            indices: of the pairs, ascending; None for all pairs.

        Raises:
            DimmagenError: as :func:`open_pairs`.
        """
        if {*schema_of(self.manifest.settings).names} <= {*self.table.column_names}:
            return _rows_at(self.table, indices)
        if indices is None:
            tables = pair_tables(self.out, self.manifest)
            return (row for table in tables for row in _rows_of(table))
        return self._read_at(indices)

    def _read_at(self, indices: Iterable[int]) -> Iterator[dict]:
        schema = schema_of(self.manifest.settings)
        ends = np.cumsum([shard.samples for shard in self.manifest.shards])
        for place, chosen in groupby(indices, lambda index: int(np.searchsorted(ends, index, side="right"))):
            shard = self.manifest.shards[place]
            start = int(ends[place]) - shard.samples
            table = _table(self.out, shard, _metadata(self.out, shard), schema)
            yield from _rows_at(table, [index - start for index in chosen])

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


def _rows_of(table: pa.Table) -> Iterator[dict]:
    for batch in table.to_batches(max_chunksize=_ROWS_AT_ONCE):
        yield from batch.to_pylist()


def _rows_at(table: pa.Table, indices: Iterable[int] | None) -> Iterator[dict]:
    """Some rows of a table, or all; the indices are ascending."""
    if indices is None:
        yield from _rows_of(table)
        return
    rest = iter(indices)
    while chosen := list(islice(rest, _ROWS_AT_ONCE)):
        # Of the table as a whole, each choice would take as long as the table.
        part = table.slice(chosen[0], chosen[-1] - chosen[0] + 1)
        yield from part.take([index - chosen[0] for index in chosen]).to_pylist()


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
        columns: of the table beside `shard`; None for all. Few of many are read in a fraction of the time
            and of the memory, which is about 0.9 kB for a pair with all columns.
        manifest: of the data set, if it is read already.

    Raises:
        UsageError: there is no such folder.
        DimmagenError: the data set is not finished, or a parquet file is missing or not that of the manifest.
    """
    out = fspath(out)
    manifest = manifest or Manifest.load(out)
    return PairSet(out, manifest, pa.concat_tables(pair_tables(out, manifest, columns)))


def pair_tables(out: str, manifest: Manifest, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """The table of a :class:`PairSet`, shard by shard; arguments and errors as for :func:`open_pairs`."""
    schema = schema_of(manifest.settings)
    shards = manifest.shards
    files: Iterator[bytes | None]
    if storage.is_local(out):
        files = (_metadata(out, shard) for shard in shards)
    else:  # a request takes long, and many take no longer
        files = ordered_map(partial(_metadata, out), shards, _REQUESTS)
    return (_table(out, *one, schema, columns) for one in zip(shards, files, strict=True))


def whole_rows(out: str, manifest: Manifest, rows: Iterable[Mapping]) -> list[dict]:
    """All columns of some pairs.

    Args:
        out: folder or fsspec URL of the data set.
        manifest: of the data set.
        rows: of the pairs, with at least `key` and `shard`.
    """
    rows = list(rows)
    names, schema = {row["shard"] for row in rows}, schema_of(manifest.settings)
    found: dict[tuple[str, str], dict] = {}
    for shard in (one for one in manifest.shards if one.name in names):
        keys = [row["key"] for row in rows if row["shard"] == shard.name]
        table = _table(out, shard, _metadata(out, shard), schema)
        chosen = table.filter(pc.is_in(table["key"], pa.array(keys, pa.string())))
        found |= {(shard.name, row["key"]): row for row in chosen.to_pylist()}
    return [found[row["shard"], row["key"]] for row in rows]


def _metadata(out: str, shard: ShardEntry) -> bytes | None:
    """The parquet file of a shard; None if there is none. A local one that is too large is not read."""
    path = storage.join(out, shard.metadata.name)
    try:
        if (place := storage.local_path(path)) and os.path.getsize(place) > shard.metadata.bytes:
            raise _not_named(out, path)
        return storage.read(path)
    except FileNotFoundError:
        return None


def _not_named(out: str, path: str) -> DimmagenError:
    """The error about another file than the manifest names."""
    refuse_pointer(path)
    what = f"{path} is not the file that the manifest names"
    return DimmagenError(what, f"run `verify({out})`", code="damaged", path=path)


def _table(
    out: str, shard: ShardEntry, data: bytes | None, schema: pa.Schema, columns: Sequence[str] | None = None
) -> pa.Table:
    path = storage.join(out, shard.metadata.name)
    todo = f"run `verify({out})`"
    # If there is none, reading it says so.
    is_named = data is None or (len(data), hashing.sha256(data)) == (
        shard.metadata.bytes,
        shard.metadata.sha256,
    )
    if not is_named:  # before anything in it is trusted
        raise _not_named(out, path)
    table = read_table(path, schema, shard.samples, columns, data)
    has = f"has {pluralize(len(table), 'row')}"
    for is_right, what in (
        (_have_valid_keys(table), "holds invalid keys"),
        (_have_their_members(table), "names members that are not those of its pairs"),
        (_have_sizes_of_images(table), "has sizes that no image has"),
        (_inside(table, shard.bytes), "has offsets outside its shard"),
        (
            len(table) == shard.samples,
            f"{has}, the manifest says {shard.samples}",
        ),  # by which pairs are found
    ):
        if not is_right:
            raise DimmagenError(f"{path} {what}", todo, code="damaged", path=path)
    name = pa.array([shard.name] * len(table), pa.string())
    return table.append_column("shard", name if columns is None else name.dictionary_encode())


def _have_valid_keys(table: pa.Table) -> bool:
    if "key" not in table.column_names:
        return True
    return bool(pc.all(pc.match_substring_regex(table["key"], _KEY)).as_py())


def _have_their_members(table: pa.Table) -> bool:
    """Whether the name of each member is the key of its pair with one of the endings that members have."""
    names = {*table.column_names}
    for part, endings in _ENDINGS.items():
        if {"key", f"{part}_member"} <= names:
            member = table[f"{part}_member"]
            fits = (pc.equal(member, pc.binary_join_element_wise(table["key"], end, "")) for end in endings)
            if not pc.all(reduce(pc.or_, fits)).as_py():
                return False
    return True


def _have_sizes_of_images(table: pa.Table) -> bool:
    sides = [table[name].to_numpy() for name in ("width", "height") if name in table.column_names]
    return all(((side >= 1) & (side <= codec.MAX_PIXELS)).all() for side in sides)


def _inside(table: pa.Table, size: int) -> bool:
    """Whether what the table places lies in a file of that size, and dark images before light ones."""
    placed = {part for part in ("dark", "light", "labels") if f"{part}_offset" in table.column_names}
    place = {part: (table[f"{part}_offset"].to_numpy(), table[f"{part}_size"].to_numpy()) for part in placed}
    for start, length in place.values():
        if not ((start >= 0) & (length >= 0) & (start <= size) & (length <= size - start)).all():
            return False
    if {"dark", "light"} <= placed:
        (dark, dark_size), (light, _) = place["dark"], place["light"]
        return bool((dark_size <= light - dark).all())
    return True


def read_member(out: str, shard_tar: str, offset: int, size: int) -> bytes:
    """The data of one member, without reading the rest of its shard.

    Args:
        out: folder or fsspec URL of the data set.
        shard_tar: name of the tar in the data set.
        offset, size: of the data in the tar, in bytes.
    """
    return storage.read_range(storage.join(out, shard_tar), offset, size)
