"""Reading shards: the members of a tar as they lie, and one picture by its offset.

A shard may come from a stranger: headers are read with their sizes checked against the file, nothing is
unpacked to a name from the archive.
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from dimmagen import storage
from dimmagen.errors import DimmagenError


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a tar: its name, and where its data lie (bytes)."""

    name: str
    offset: int
    size: int


def members(file: BinaryIO, path: str) -> Iterator[Member]:
    """The members of an uncompressed tar, in order.

    Raises:
        DimmagenError: a header is broken, a member is no plain file or reaches past the end of the file.
    """
    end = file.seek(0, 2)
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                if not member.isreg():
                    raise DimmagenError(f"{path}: the member {member.name!r} is no plain file")
                if member.offset_data + member.size > end:
                    raise DimmagenError(
                        f"{path}: the member {member.name!r} is cut off", "copy the shard again"
                    )
                yield Member(member.name, member.offset_data, member.size)
    except (tarfile.TarError, EOFError) as error:
        raise DimmagenError(f"{path} is not a readable tar ({error})", "copy the shard again") from error


def read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    """A member's data, by the offset and the size that stand in the shard's parquet."""
    file.seek(offset)
    return file.read(size)


def read_member(out: str, shard_tar: str, offset: int, size: int) -> bytes:
    """One member's data out of a data set, without reading the rest of its shard."""
    return storage.read_range(storage.join(out, shard_tar), offset, size)
