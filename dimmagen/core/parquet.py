"""Parquet files whose bytes depend only on the rows and the pyarrow version.

Rows are written and read in groups, so that a table of millions of rows is never in memory as a whole.
"""

import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, BinaryIO, NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError
from dimmagen.core.machine import is_machine_trouble, machine_error
from dimmagen.core.text import pluralize

GROUP_ROWS = 65_536
_MAX_ROW_BYTES = 2**16  # of one row, on average
_BATCH_ROWS = 4096  # Python objects in memory at a time


class _Hashed:
    """A writable file that tracks the size and SHA-256 of the data written to it."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self._file.write(data)
        self.digest.update(data)
        self.size += len(data)
        return len(data)

    def tell(self) -> int:
        return self.size

    def flush(self) -> None: ...


class Written(NamedTuple):
    """A published parquet file: number of rows, size in bytes, SHA-256 (hex)."""

    rows: int
    bytes: int
    sha256: str


def write_rows(path: str, rows: Iterable[Mapping], schema: pa.Schema) -> Written:
    """Publish rows as one parquet file; null values only where the schema allows them."""
    with storage.atomic_writer(path) as file:
        return _write_rows(file, rows, schema)


def describe_rows(rows: Iterable[Mapping], schema: pa.Schema) -> Written:
    """What :func:`write_rows` would write, without a file."""
    with open(os.devnull, "wb") as nowhere:
        return _write_rows(nowhere, rows, schema)


def _write_rows(file: BinaryIO, rows: Iterable[Mapping], schema: pa.Schema) -> Written:
    rest, count = iter(rows), 0
    hashed = _Hashed(file)
    options = {"version": "2.6", "compression": "zstd", "compression_level": 3, "store_schema": False}
    with pq.ParquetWriter(hashed, schema, **options) as writer:
        group = _next_group(rest, schema)
        while len(group) or not count:  # a table without rows has one empty group
            writer.write_table(group, row_group_size=GROUP_ROWS)
            count += len(group)
            if len(group) < GROUP_ROWS:
                break
            group = _next_group(rest, schema)
    return Written(count, hashed.size, hashed.digest.hexdigest())


def _next_group(rows: Iterator[Mapping], schema: pa.Schema) -> pa.Table:
    batches = []
    for _ in range(GROUP_ROWS // _BATCH_ROWS):
        part = list(islice(rows, _BATCH_ROWS))
        if not part:
            break
        batches.append(pa.RecordBatch.from_pylist(part, schema=schema))
    return pa.Table.from_batches(batches, schema).combine_chunks()


Schemas: TypeAlias = pa.Schema | Sequence[pa.Schema]
"""One schema, or those of which a file can have any."""


def iter_rows(path: str, schema: pa.Schema, added_later: Mapping[str, Any] | None = None) -> Iterator[dict]:
    """The rows of a parquet file, one by one; raises the errors of :func:`read_table` during iteration.

    Args:
        path: of the file.
        schema: that it must have.
        added_later: columns that files of earlier versions may lack, with the values that their rows get.
    """
    with _explain_errors(path), storage.open_binary(path) as file:
        for batch in pq.ParquetFile(file, pre_buffer=False).iter_batches(_BATCH_ROWS, use_threads=False):
            table = _with_columns(pa.Table.from_batches([batch]), schema, added_later or {})
            yield from _checked(path, table, schema).to_pylist()


def _with_columns(table: pa.Table, schema: pa.Schema, added_later: Mapping[str, Any]) -> pa.Table:
    missing = set(added_later) - set(table.schema.names)
    if missing != set(added_later):  # all of them or none: such a file never had only some
        return table
    for place, field in enumerate(schema):
        if field.name in missing:
            values = pa.repeat(pa.scalar(added_later[field.name], field.type), len(table))
            table = table.add_column(min(place, table.num_columns), field, values)
    return table


def read_rows(path: str, schema: Schemas, max_rows: int | None = None) -> list[dict]:
    """All rows of a parquet file; see :func:`read_table`."""
    return read_table(path, schema, max_rows).to_pylist()


def read_table(
    path: str,
    schema: Schemas,
    max_rows: int | None = None,
    columns: Sequence[str] | None = None,
    data: bytes | None = None,
) -> pa.Table:
    """A parquet file as a table.

    Args:
        path: of the file.
        schema: that it must have.
        max_rows: refuse a file that has more, or whose rows are longer than ours, before its rows are read.
        columns: of the schema, which are read; None for all. Most of the time goes by their number.
        data: bytes of the file, if they are read already.

    Raises:
        DimmagenError: the file is missing or damaged, has other columns than the schema, or lacks values.
    """
    with _explain_errors(path):
        # Without threads: Arrow's threads abort a process that ends before they do.
        file = pq.ParquetFile(io.BytesIO(storage.read(path) if data is None else data), pre_buffer=False)
        if max_rows is not None:
            _refuse_excess(path, file.metadata, max_rows)
        if columns is None:
            return _checked(path, file.read(use_threads=False), schema)
        whole = _schema_of(path, file.schema_arrow, schema)
        return _checked(path, file.read([*columns], use_threads=False), _part(whole, columns))


def _refuse_excess(path: str, metadata: pq.FileMetaData, max_rows: int) -> None:
    # Not by column: pyarrow ends the process where the footer's statistics of one are damaged.
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    rows = max(metadata.num_rows, sum(group.num_rows for group in groups))
    size = sum(group.total_byte_size for group in groups)
    if rows > max_rows:
        what = f"has {pluralize(rows, 'row')}, the manifest says {max_rows}"
    elif size > max_rows * _MAX_ROW_BYTES + _MAX_ROW_BYTES:
        what = f"has {size} bytes for {max_rows} rows"
    else:
        return
    raise DimmagenError(f"{path} {what}", "copy it again", code="damaged", path=path)


@contextmanager
def _explain_errors(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise DimmagenError(
            f"{path} is missing", "make the data set again, or copy it again", code="missing-path", path=path
        ) from None
    except (pa.ArrowException, OSError, UnicodeDecodeError, MemoryError) as error:
        if is_machine_trouble(error):
            raise machine_error(error, path) from error
        raise DimmagenError(
            f"{path} is not a readable parquet file ({error})", "copy it again", code="damaged", path=path
        ) from error


def _checked(path: str, table: pa.Table, schemas: Schemas) -> pa.Table:
    table.validate(full=True)  # offsets inside their buffers, valid UTF-8
    schema = _schema_of(path, table.schema, schemas)
    holes = [field.name for field in schema if not field.nullable and table[field.name].null_count]
    floats = [field.name for field in schema if pa.types.is_floating(field.type)]
    endless = [name for name in floats if not pc.all(pc.is_finite(table[name]), min_count=0).as_py()]
    for names, what in ((holes, "without a value"), (endless, "with a number that is not finite")):
        if names:
            raise DimmagenError(
                f"{path} has rows {what} in {', '.join(names)}", "copy it again", code="damaged", path=path
            )
    return table


def _schema_of(path: str, found: pa.Schema, schemas: Schemas) -> pa.Schema:
    """The one of some schemas that a file has."""
    choices = [schemas] if isinstance(schemas, pa.Schema) else schemas
    schema = next((one for one in choices if one.names == found.names), choices[0])
    if found.names != schema.names or found.types != schema.types:
        raise DimmagenError(
            f"{path} does not have the columns of a dimmagen {schema.names[0]} table",
            code="wrong-format",
            path=path,
        )
    return schema


def _part(schema: pa.Schema, columns: Sequence[str]) -> pa.Schema:
    return pa.schema([schema.field(name) for name in columns])
