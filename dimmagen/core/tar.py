"""Reading and writing shards: the members of a tar in stored order, and single images by offset.

Shards may come from untrusted sources: sizes in headers are checked against the file, and nothing is
extracted under a name from the archive.
"""

import errno
import hashlib
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from dimmagen.core.errors import DimmagenError


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a tar: its name, and the offset and size of its data in bytes."""

    name: str
    offset: int
    size: int


FAULTS = (tarfile.TarError, EOFError, ValueError, OverflowError)
"""What `tarfile` raises for a tar that is damaged, when it opens it or in :func:`headers`."""


def headers(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members of a tar from anywhere, one after the other.

    `tarfile` goes back to the same header for ever where a size is negative, to a place that no file has
    where it is huge, and takes a broken header for the end.

    Raises:
        Exception: one of `FAULTS`: the tar is damaged.
    """
    try:
        for member in archive:
            if member.size < 0:
                raise tarfile.ReadError(f"a member has {member.size} bytes")
            yield member
        assert archive.fileobj is not None
        archive.fileobj.seek(archive.offset)
        if archive.fileobj.read(tarfile.BLOCKSIZE).strip(b"\0"):
            raise tarfile.ReadError("a header is broken")
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise tarfile.ReadError("a member has a size that no file has") from error


def members(file: BinaryIO, path: str) -> Iterator[Member]:
    """The members of an uncompressed tar, in order.

    Raises:
        DimmagenError: a header is damaged, or a member is not a plain file or exceeds the archive.
    """
    end = file.seek(0, 2)
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for member in headers(tar):
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
    except FAULTS as error:
        raise DimmagenError(
            f"{path} is not a readable tar ({error})", "copy the shard again", code="damaged", path=path
        ) from error


def read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    """The data of a member, by the offset and size recorded in the parquet file of the shard."""
    file.seek(offset)
    return file.read(size)


def samples(file: BinaryIO, path: str, max_bytes: int) -> Iterator[dict[str, Any]]:
    """The samples of a shard, as webdataset gives them: consecutive members of the same name up to a dot.

    Unlike webdataset, which unpacks a shard that is compressed in any way, this reads tars alone: a small
    file in the place of a shard cannot become a large one.

    Args:
        file: the shard.
        path: of the shard, for messages.
        max_bytes: of one member.

    Yields:
        `__key__`, `__url__`, and the bytes of each member by the rest of its name, such as `dark.png`.

    Raises:
        DimmagenError: as :func:`members`; or a member is too large, or occurs twice.
    """
    sample: dict[str, Any] = {}
    for member in members(file, path):
        key, _, field = member.name.partition(".")
        if sample and key != sample["__key__"]:
            yield sample
            sample = {}
        if member.size > max_bytes or field in sample:
            what = "occurs twice" if field in sample else f"is larger than {max_bytes} bytes"
            raise DimmagenError(
                f"{path}: the member {member.name!r} {what}",
                "copy the shard again",
                code="damaged",
                path=path,
                name=member.name,
            )
        sample = sample or {"__key__": key, "__url__": path}
        sample[field] = read_at(file, member.offset, member.size)
    if sample:
        yield sample


_NAME, _SIZE, _CHECKSUM = slice(0, 100), slice(124, 135), slice(148, 154)  # of a header, POSIX 1003.1


def _header(name: str, size: int) -> bytes:
    """The header of a member as `tarfile` makes it, in a fraction of the time."""
    encoded = name.encode("ascii")
    if len(encoded) > _NAME.stop or size >= 8 ** (_SIZE.stop - _SIZE.start):
        return _header_by_tarfile(name, size)
    header = bytearray(_EMPTY_HEADER)
    header[_NAME] = encoded.ljust(_NAME.stop, b"\0")
    header[_SIZE] = b"%011o" % size
    header[_CHECKSUM.start : _CHECKSUM.stop + 2] = b" " * 8
    header[_CHECKSUM.start : _CHECKSUM.stop + 1] = b"%06o\0" % sum(header)
    return bytes(header)


def _header_by_tarfile(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o644
    return member.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


_EMPTY_HEADER = _header_by_tarfile("", 0)


class TarWriter:
    """An uncompressed USTAR archive whose bytes do not depend on who writes it and when.

    Data are hashed while they are written: a shard of half a gigabyte is not read again for its SHA-256.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._size = 0

    def add(self, name: str, data: bytes) -> int:
        """Append one member and return the offset of its data."""
        self._write(_header(name, len(data)))
        offset = self._size
        self._write(data)
        self._pad(tarfile.BLOCKSIZE)
        return offset

    def finish(self) -> tuple[int, str]:
        """Write the end of the archive; returns its size in bytes and SHA-256 (hex)."""
        self._write(bytes(2 * tarfile.BLOCKSIZE))
        self._pad(tarfile.RECORDSIZE)
        return self._size, self._hash.hexdigest()

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)
        self._size += len(data)

    def _pad(self, unit: int) -> None:
        self._write(bytes(-self._size % unit))
