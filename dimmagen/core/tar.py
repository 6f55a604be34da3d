"""Reading shards: the members of a tar as they lie, and one picture by its offset.

A shard may come from a stranger: headers are read with their sizes checked against the file, nothing is
unpacked to a name from the archive.
"""

import hashlib
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from dimmagen.core.errors import DimmagenError


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
                    raise DimmagenError(
                        f"{path}: the member {member.name!r} is not a plain file",
                        code="damaged",
                        path=path,
                        name=member.name,
                    )
                if member.offset_data + member.size > end:
                    raise DimmagenError(
                        f"{path}: the member {member.name!r} is cut off",
                        "copy the shard again",
                        code="damaged",
                        path=path,
                        name=member.name,
                    )
                yield Member(member.name, member.offset_data, member.size)
    except (tarfile.TarError, EOFError) as error:
        raise DimmagenError(
            f"{path} is not a readable tar ({error})", "copy the shard again", code="damaged", path=path
        ) from error


def read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    """A member's data, by the offset and the size that stand in the shard's parquet."""
    file.seek(offset)
    return file.read(size)


class TarWriter:
    """An uncompressed USTAR archive without anything that depends on who wrote it and when.

    What is written is hashed on the way: a shard of half a gigabyte is not read again for its SHA-256.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._size = 0

    def add(self, name: str, data: bytes) -> int:
        """Append one member and return the offset of its data."""
        member = tarfile.TarInfo(name)
        member.size = len(data)
        member.mode = 0o644
        self._write(member.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict"))
        offset = self._size
        self._write(data)
        self._pad(tarfile.BLOCKSIZE)
        return offset

    def finish(self) -> tuple[int, str]:
        """Write the end of the archive; returns the archive's size in bytes and SHA-256."""
        self._write(bytes(2 * tarfile.BLOCKSIZE))
        self._pad(tarfile.RECORDSIZE)
        return self._size, self._hash.hexdigest()

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)
        self._size += len(data)

    def _pad(self, unit: int) -> None:
        self._write(bytes(-self._size % unit))
