"""Parquet files whose bytes depend on the rows and the pyarrow version alone."""

import io
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from dimmagen import storage
from dimmagen.errors import DimmagenError


def write_rows(path: str, rows: Sequence[Mapping], schema: pa.Schema) -> bytes:
    """Publish rows as one parquet file and return its bytes. Nulls only where the schema allows them."""
    table = pa.Table.from_pylist(list(rows), schema=schema)
    buffer = io.BytesIO()
    pq.write_table(
        table,
        buffer,
        version="2.6",
        compression="zstd",
        compression_level=3,
        row_group_size=65_536,
        store_schema=False,
    )
    data = buffer.getvalue()
    storage.atomic_write(path, data)
    return data


def read_rows(path: str, schema: pa.Schema) -> list[dict]:
    """All rows of a parquet file; see :func:`read_table`."""
    return read_table(path, schema).to_pylist()


def read_table(path: str, schema: pa.Schema) -> pa.Table:
    """A parquet file as a table.

    Raises:
        DimmagenError: the file is missing, broken, has other columns than the schema, or lacks values.
    """
    try:
        table = pq.read_table(io.BytesIO(storage.read(path)))
        table.validate(full=True)  # offsets inside their buffers, text that is UTF-8
        names = table.schema.names
    except FileNotFoundError:
        raise DimmagenError(f"{path} is missing", "make the data set again, or copy it again") from None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DimmagenError(f"{path} is not a readable parquet file ({error})", "copy it again") from error
    if names != schema.names or [f.type for f in table.schema] != [f.type for f in schema]:
        raise DimmagenError(f"{path} does not have the columns of a dimmagen {schema.names[0]} table")
    if holes := [field.name for field in schema if not field.nullable and table[field.name].null_count]:
        raise DimmagenError(f"{path} has rows without a value in {', '.join(holes)}", "copy it again")
    return table
