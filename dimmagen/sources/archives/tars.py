"""The members of tars, also of several one after the other and of those inside another."""

import os
import tarfile
from collections.abc import Iterator
from typing import BinaryIO

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError
from dimmagen.core.file_names import portable
from dimmagen.core.machine import machine_trouble
from dimmagen.core.tar import FAULTS, headers
from dimmagen.sources.archives.entry import Entry, incomplete, with_replaced

_NO_FILE = "is a link or a device in the archive"
_SPARSE = "is stored with its zeros left out (tar --sparse): pack it without that option"
_ZEROS_AT_ONCE = 2**20  # bytes
_MAX_DEPTH = 16  # of tars inside tars


def tar_entries(path: str) -> Iterator[Entry]:
    """The members of an uncompressed tar. Raises DimmagenError if it is damaged or cut off."""
    try:
        with machine_trouble(path), storage.open_binary(path) as file:
            end = file.seek(0, os.SEEK_END)
            yield from _tar_members(path, file, 0, end)
    except FAULTS as error:
        raise _broken_tar(path) from error


def _tar_members(
    path: str, file: BinaryIO, start: int, end: int, prefix: str = "", depth: int = 1
) -> Iterator[Entry]:
    """The members of a tar in the bytes from `start` to `end` of a file.

    Several tars one after the other, as `cat a.tar b.tar` makes them, are one list: the blocks of zeros that
    end each of them are skipped. A tar that is itself a member is read as a folder of its name.
    """
    if depth > _MAX_DEPTH:
        raise DimmagenError(
            f"{path} holds tars inside tars, more than {_MAX_DEPTH} deep",
            "unpack the inner ones first",
            code="archive",
            path=path,
        )
    while start < end:
        file.seek(start)
        # Not by the locale: names are UTF-8, and every other byte stands for itself.
        with tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape") as archive:
            yield from with_replaced(_members(path, archive, file, end, prefix, depth))
            # tarfile takes a broken header for the end: the end is a block of zeros and nothing else.
            file.seek(archive.offset)
            if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise _broken_tar(path)
            start = _next_tar(file, archive.offset, end)


def _members(
    path: str, archive: tarfile.TarFile, file: BinaryIO, end: int, prefix: str, depth: int
) -> Iterator[tuple[str, int, Entry]]:
    """The members of one tar, for :func:`with_replaced`; arguments as of :func:`_tar_members`."""
    for member in headers(archive):
        if member.isdir():
            continue
        name, place, inside = f"{prefix}{member.name}", member.offset_data, member.offset_data + member.size
        if member.isreg() and member.name.lower().endswith(".tar") and inside <= end:
            at = file.tell()
            for entry in _tar_members(path, file, place, inside, f"{name}/", depth + 1):
                yield member.name, place, entry
            file.seek(at)
            continue
        refusal = _SPARSE if member.issparse() else "" if member.isreg() else _NO_FILE
        locator = {"kind": "range", "path": portable(path), "offset": place, "size": member.size}
        yield member.name, place, Entry(name, member.size, locator, refusal)


def _next_tar(file: BinaryIO, start: int, end: int) -> int:
    """Where the next block that is not zeros begins; `end` where there is none."""
    file.seek(start)
    while start < end:
        block = file.read(min(_ZEROS_AT_ONCE, end - start))
        if not block:
            return end
        rest = block.lstrip(b"\0")
        if rest:
            return start + (len(block) - len(rest)) // tarfile.BLOCKSIZE * tarfile.BLOCKSIZE
        start += len(block)
    return end


def _broken_tar(path: str) -> DimmagenError:
    return DimmagenError(f"{path} is not a complete tar file", incomplete(path), code="archive", path=path)
