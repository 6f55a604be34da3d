"""The parquet files of a data set as tables, checked before anything in them is used.

A data set may come from an untrusted source: its rows place members in shards, by names and offsets.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial, reduce
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc

from dimmagen.core import hashing, storage
from dimmagen.core.errors import DimmagenError
from dimmagen.core.git_lfs import refuse_pointer
from dimmagen.core.parquet import read_table
from dimmagen.core.text import pluralize
from dimmagen.core.threads import ordered_map
from dimmagen.dataset.manifest import Manifest, ShardEntry
from dimmagen.dataset.schema import schema_of
from dimmagen.images import codec

_ROWS_AT_ONCE = 4096
_REQUESTS = 16  # at a time
_ENDINGS = {
    "dark": (".dark.png", ".dark.webp"),
    "light": (".light.jpg", ".light.png", ".light.webp"),
    "labels": (".labels.json", ".mask.png"),
}
_KEY = r"^[a-z0-9]+(-[a-z0-9]+)*$"  # keys become parts of file names


def pair_tables(out: str, manifest: Manifest, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """The table of a :class:`.PairSet`, shard by shard; arguments and errors as for :func:`.open_pairs`."""
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
        table = shard_table(out, shard, schema)
        chosen = table.filter(pc.is_in(table["key"], pa.array(keys, pa.string())))
        found |= {(shard.name, row["key"]): row for row in chosen.to_pylist()}
    return [found[row["shard"], row["key"]] for row in rows]


def shard_table(out: str, shard: ShardEntry, schema: pa.Schema) -> pa.Table:
    """The table of one shard with all columns, and `shard`, its name.

    Args:
        out: folder or fsspec URL of the data set.
        shard: as the manifest names it.
        schema: of the data set.

    Raises:
        DimmagenError: the file is missing, is not that of the manifest, or holds what no run writes.
    """
    return _table(out, shard, _metadata(out, shard), schema)


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
    rows = f"has {pluralize(len(table), 'row')}, the manifest says {shard.samples}"
    for is_right, what in (
        (_have_valid_keys(table), "holds invalid keys"),
        (_have_their_members(table), "names members that are not those of its pairs"),
        (_have_sizes_of_images(table), "has sizes that no image has"),
        (_inside(table, shard.bytes), "has offsets outside its shard"),
        (len(table) == shard.samples, rows),  # by which pairs are found
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


def rows_of(table: pa.Table) -> Iterator[dict]:
    """All rows of a table, of which a few thousand are in memory at a time."""
    for batch in table.to_batches(max_chunksize=_ROWS_AT_ONCE):
        yield from batch.to_pylist()


def rows_at(table: pa.Table, indices: Iterable[int] | None) -> Iterator[dict]:
    """Some rows of a table, or all; the indices are ascending."""
    if indices is None:
        yield from rows_of(table)
        return
    rest = iter(indices)
    while chosen := list(islice(rest, _ROWS_AT_ONCE)):
        # Of the table as a whole, each choice would take as long as the table.
        part = table.slice(chosen[0], chosen[-1] - chosen[0] + 1)
        yield from part.take([index - chosen[0] for index in chosen]).to_pylist()
