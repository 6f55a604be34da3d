"""Folders, zips and tars as lists of entries that are read in place; nothing is ever unpacked to disk.

A member's name is only a name: it is compared, sorted and recorded, and never becomes a path. An entry is
found again by its locator (a few numbers, and the path of the archive or file), so that any process can read
it without reading the archive's directory again.
"""

import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import fsspec

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.lock import STATE

_LOCAL_HEADER = 30  # bytes of a zip member's local header before its name
_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file in a folder or an archive.

    Attributes:
        name: POSIX path below the folder or inside the archive.
        size: bytes, according to the folder or the archive's directory.
        locator: argument of :func:`read_entry`.
        refusal: why the entry cannot be read (a link, a device, encrypted ...); empty when it can.
    """

    name: str
    size: int
    locator: dict[str, Any]
    refusal: str = ""


def list_entries(path: str) -> list[Entry]:
    """All files of a folder (with its sub-folders), a glob, a zip or an uncompressed tar, sorted by name.

    Hidden files (whose name begins with a dot), the `__MACOSX` copies of macOS, and files in a data set or a
    MixHQ below a local folder are skipped.

    Args:
        path: local path or fsspec URL of a folder or an archive, or a local glob.

    Raises:
        UsageError: there is nothing at the path, or it is neither a folder nor an archive that can be read.
        DimmagenError: the archive is damaged or truncated.
    """
    if storage.is_folder(path):
        entries = _folder_entries(path)
    elif storage.is_file(path):
        entries = _archive_entries(path)
    elif not storage.is_url(path) and _GLOB.search(path):
        entries = _glob_entries(path)
    else:
        raise UsageError(
            f"there is no folder and no file at {path}", "check the path", code="missing-path", path=path
        )
    return sorted((entry for entry in entries if not _is_hidden(entry.name)), key=lambda entry: entry.name)


def _is_hidden(name: str) -> bool:
    return name.rsplit("/", 1)[-1].startswith(".") or "__MACOSX" in name.split("/")


def _archive_entries(path: str) -> Iterator[Entry]:
    with storage.open_binary(path) as file:
        is_zip = zipfile.is_zipfile(file)
        file.seek(0)
        start = file.read(512)
    if is_zip or start.startswith(b"PK\3\4"):
        return _zip_entries(path)
    if start[257:262] == b"ustar" or path.endswith(".tar"):
        return _tar_entries(path)
    if start.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ")):
        raise UsageError(
            f"{path} is a compressed tar file, which does not allow random access",
            "decompress it first",
            code="archive",
            path=path,
        )
    raise UsageError(
        f"{path} is not a folder, a zip or a tar file",
        "give the folder or the archive of the images",
        code="archive",
        path=path,
    )


def _folder_entries(path: str) -> Iterator[Entry]:
    if storage.is_url(path):
        for name, size in storage.find_files(path):
            yield Entry(name, size, {"kind": "file", "path": storage.join(path, name)})
        return
    root = os.path.abspath(path)
    visited = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in visited:  # a link to a folder that was listed before
            folders.clear()
            continue
        visited.add(real)
        folders[:] = [name for name in folders if not _is_ours(os.path.join(folder, name))]
        for file in files:
            yield _file_entry(root, os.path.join(folder, file))


def _is_ours(folder: str) -> bool:
    """Whether a folder is an output of dimmagen, finished or not, whose images are not candidates."""
    manifest, shards = (os.path.exists(os.path.join(folder, name)) for name in ("manifest.json", "shards"))
    return (manifest and shards) or os.path.isdir(os.path.join(folder, STATE))


def _glob_entries(pattern: str) -> Iterator[Entry]:
    pattern = os.path.abspath(pattern)
    root = os.path.dirname(pattern[: _GLOB.search(pattern).start()])  # type: ignore[union-attr]
    if not os.path.isdir(root):
        raise UsageError(f"there is no folder {root}", "check the path", code="missing-path", path=root)
    filesystem = fsspec.filesystem("file")
    for path in filesystem.glob(pattern):
        if os.path.isfile(path):
            yield _file_entry(root, path)


def _file_entry(root: str, path: str) -> Entry:
    name = os.path.relpath(path, root).replace(os.sep, "/")
    locator = {"kind": "file", "path": path}
    try:
        facts = os.stat(path)
    except OSError as error:
        return Entry(name, 0, locator, f"cannot be opened: {error.strerror}")
    refusal = "" if stat.S_ISREG(facts.st_mode) else "is a device or a pipe, not a file"
    return Entry(name, facts.st_size, locator, refusal)


def _zip_entries(path: str) -> Iterator[Entry]:
    try:
        with storage.open_binary(path) as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise DimmagenError(
            f"{path} is not a complete zip file ({error})",
            "it may be truncated: fetch it again",
            code="archive",
            path=path,
        ) from error
    for member in members:
        if member.is_dir():
            continue
        refusal = ""
        if stat.S_ISLNK(member.external_attr >> 16):
            refusal = "is a link in the archive"
        elif member.flag_bits & 1:
            refusal = "is encrypted"
        elif member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            refusal = f"is compressed by zip method {member.compress_type}, only 0 and 8 are read"
        locator = {
            "kind": "zip",
            "path": path,
            "header": member.header_offset,
            "compressed": member.compress_size,
            "deflated": member.compress_type == zipfile.ZIP_DEFLATED,
            "size": member.file_size,
            "crc": member.CRC,
        }
        yield Entry(member.filename, member.file_size, locator, refusal)


def _tar_entries(path: str) -> Iterator[Entry]:
    damaged = DimmagenError(
        f"{path} is not a complete tar file",
        "it may be truncated: fetch it again",
        code="archive",
        path=path,
    )
    try:
        with storage.open_binary(path) as file, tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                if member.isdir():
                    continue
                refusal = (
                    "" if member.isreg() and not member.issparse() else "is a link or a device in the archive"
                )
                locator = {"kind": "range", "path": path, "offset": member.offset_data, "size": member.size}
                yield Entry(member.name, member.size, locator, refusal)
            # tarfile takes a damaged header for the end; the real end is a block of zeros.
            file.seek(archive.offset)
            ended = file.read(tarfile.BLOCKSIZE) == bytes(tarfile.BLOCKSIZE)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise damaged from error
    if not ended:
        raise damaged


def read_entry(locator: dict[str, Any]) -> bytes:
    """The bytes of one entry.

    Args:
        locator: of an :class:`Entry`.

    Raises:
        DimmagenError: the file or the archive is missing, shorter than before, or damaged at this place.
    """
    path = locator["path"]
    try:
        if locator["kind"] == "file":
            return _read_range(path, 0, None)
        if locator["kind"] == "range":
            return _read_range(path, locator["offset"], locator["size"])
        return _read_zip_member(locator)
    except OSError as error:
        raise DimmagenError(
            f"{path} cannot be read ({error.strerror or error})",
            "check the source",
            code="source-changed",
            path=path,
        ) from error


def _read_range(path: str, offset: int, size: int | None) -> bytes:
    if storage.is_url(path):
        data = storage.read(path) if size is None else storage.read_range(path, offset, size)
    else:
        with open(path, "rb", buffering=0) as file:
            file.seek(offset)
            data = file.read(-1 if size is None else size)
    if size is not None and len(data) != size:
        raise DimmagenError(
            f"{path} ends within a member", "it may be truncated: fetch it again", code="archive", path=path
        )
    return data


def _read_zip_member(locator: dict[str, Any]) -> bytes:
    path, start, size = locator["path"], locator["header"], locator["size"]
    header = _read_range(path, start, _LOCAL_HEADER)
    skip = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    data = _read_range(path, start + _LOCAL_HEADER + skip, locator["compressed"])
    damaged = DimmagenError(
        f"{path} is damaged at byte {start}",
        "fetch the archive again",
        code="archive",
        path=path,
        offset=start,
    )
    if locator["deflated"]:
        decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            data = decompressor.decompress(
                data, size + 1
            )  # a zip bomb unpacks to more than the size in its header
        except zlib.error as error:
            raise damaged from error
    if header[:4] != b"PK\3\4" or len(data) != size or zlib.crc32(data) != locator["crc"]:
        raise damaged
    return data
