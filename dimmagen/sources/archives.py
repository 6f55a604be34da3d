"""Folders, zips and tars as lists of entries that are read in place; nothing is ever unpacked to disk.

A member's name is only a name: it is compared, sorted and recorded, and never becomes a path. An entry is
found again by its locator (a few numbers, and the path of the archive or file), so that any process can read
it without reading the archive's directory again.
"""

import errno
import logging
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from fsspec.utils import glob_translate

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.file_names import native, portable
from dimmagen.core.lock import STATE
from dimmagen.core.machine import is_machine_trouble, machine_error, machine_trouble
from dimmagen.core.system_files import is_system_name, is_system_path
from dimmagen.sources.archive_formats import ARCHIVES, format_of
from dimmagen.sources.own_outputs import is_inside, is_own_shard, kind_of, kind_of_place, own_folders

_AES = 99  # the member is encrypted; what it was compressed by is in an extra field
_ZIP_METHODS = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "XZ", 98: "PPMd"}
_LOCAL_HEADER = 30  # bytes of a zip member's local header before its name
_NO_FILE = "is a link or a device in the archive"
_SPARSE = "is stored with its zeros left out (tar --sparse): pack it without that option"
_ZEROS_AT_ONCE = 2**20  # bytes
_log = logging.getLogger(__name__)
_GLOB = re.compile(r"[*?\[]")
_BROKEN = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_FOLLOW = "--follow-links reads it"


class DamagedArchiveError(DimmagenError):
    """The bytes of an archive are not those of its member: the one fault of an archive that is a verdict."""

    code = "archive"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file in a folder or an archive.

    Attributes:
        name: POSIX path below the folder or inside the archive.
        size: bytes, according to the folder or the archive's directory.
        locator: argument of :func:`read_entry`.
        refusal: why the entry cannot be read (a link, a device, encrypted ...); empty when it can.
        stamp: of the file or the archive, see :func:`dimmagen.core.storage.stamp`; may be empty.
    """

    name: str
    size: int
    locator: dict[str, Any]
    refusal: str = ""
    stamp: str = ""


def list_entries(path: str, follow_links: bool = False) -> list[Entry]:
    """All files of a folder (with its sub-folders), a glob, a zip, an uncompressed tar or an archive of
    another format (:mod:`.archive_formats`), sorted by name.

    Left out are hidden and system files and folders at any depth (:mod:`dimmagen.core.system_files`), and,
    with a warning, what dimmagen itself has written among the photos. A tar inside a tar is read as a folder,
    and so is an archive of another format in a folder.
    Every folder is listed once, under its own name if it has one below the path, otherwise under that of the
    first link to it.

    Args:
        path: local path or fsspec URL of a folder or an archive, or a local glob.
        follow_links: whether links that lead out of the folder are read: otherwise a file has a refusal, and
            a folder is left out with a warning.

    Raises:
        UsageError: there is nothing at the path, it is not a folder and not an archive that can be read, or
            it is what dimmagen has written.
        DimmagenError: a folder cannot be listed, or the archive is damaged or cut off.
        MachineError: a disk or a network fails.
    """
    if not storage.is_url(path):
        _refuse_own(path, *kind_of_place(path))
    if storage.is_folder(path):
        entries = list(_folder_entries(path, follow_links))
    elif storage.is_file(path) and (found := format_of(path)):
        entries = list(_format_entries(storage.local_path(path) or path, found))
    elif storage.is_file(path):
        entries = list(_archive_entries(path))
        if is_own_shard(entry.name for entry in entries):
            _refuse_own(path, path, "a shard of a data set")
    elif not storage.is_url(path) and _GLOB.search(path):
        entries = list(_glob_entries(path, follow_links))
        if not entries:
            raise UsageError(
                f"no file has a name like {path}", "check the pattern", code="missing-path", path=path
            )
    else:
        raise UsageError(f"there is no folder and no file at {path}", "check the path", code="missing-path")
    own = own_folders(entry.name for entry in entries)
    _refuse_own(path, path, own.get("", ""))
    for folder, kind in own.items():
        _log.warning("%s/%s is left out: it is %s that dimmagen made, not photos", path, folder, kind)
    kept = [
        entry
        for entry in entries
        if not is_system_path(entry.name) and not any(is_inside(entry.name, folder) for folder in own)
    ]
    return sorted(_unpacked(kept), key=lambda entry: entry.name)


def _unpacked(entries: list[Entry]) -> Iterator[Entry]:
    """The entries, with the images of each archive of another format in its place."""
    if not ARCHIVES:
        yield from entries
        return
    for entry in entries:
        found = format_of(entry.name) if entry.locator["kind"] == "file" and not entry.refusal else ""
        if not found:
            yield entry
            continue
        for member in _format_entries(native(entry.locator["path"]), found):
            yield replace(member, name=f"{entry.name}/{member.name}")


def _refuse_own(path: str, folder: str, kind: str) -> None:
    if not kind:
        return
    whole = folder in (path, os.path.abspath(path))
    todo = "give the photos that it was made from"
    if kind == "a MixHQ":
        todo = "give its own folder, alone, to make pairs from it"
    raise UsageError(
        f"{path} {'is' if whole else 'is part of'} {kind} that dimmagen made, not photos",
        todo,
        code="own-output",
        path=path,
    )


def _archive_entries(path: str) -> Iterator[Entry]:
    place, stamp = portable(storage.local_path(path) or path), storage.stamp(path)
    for entry in _members(path):
        # An absolute path, because another process may work in another folder.
        yield replace(entry, locator={**entry.locator, "path": place}, stamp=stamp)


def _members(path: str) -> Iterator[Entry]:
    with storage.open_binary(path) as file:
        is_zip = zipfile.is_zipfile(file)
        file.seek(0)
        start = file.read(512)
    if start.startswith(b"PK\3\4"):
        return _zip_entries(path)
    # A zip is recognised by its end as well, which may be that of a zip among the last members of a tar.
    if start[257:262] == b"ustar" or path.endswith(".tar"):
        return _tar_entries(path)
    if is_zip:
        return _zip_entries(path)
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


def _folder_entries(path: str, follow_links: bool) -> Iterator[Entry]:
    if (root := storage.local_path(path)) is None:
        with machine_trouble(path):
            for name, size, stamp in storage.find_files(path):
                yield Entry(name, size, {"kind": "file", "path": storage.join(path, name)}, stamp=stamp)
        return
    for folder, _, files in _walk(root, follow_links):
        for file in files:
            yield _file_entry(root, os.path.join(folder, file), follow_links)


def _walk(root: str, follow_links: bool) -> Iterator[tuple[str, list[str], list[str]]]:
    """Every folder below a root once, with the names of its folders, which may be removed, and of its files.

    Links to folders come last, in the order of their names: what is below the root has its own name, however
    old the links to it are.
    """
    visited = set()
    starts = [root]
    while starts:
        start = starts.pop(0)
        for folder, folders, files in os.walk(start, onerror=_cannot_list):
            real = os.path.realpath(folder)
            if real in visited:
                folders.clear()
                continue
            visited.add(real)
            folders[:] = sorted(name for name in folders if not is_system_name(name) or name == STATE)
            kind = kind_of({*folders, *files}) if folder != root else ""
            if kind:
                _log.warning("%s is left out: it is %s that dimmagen made, not photos", folder, kind)
                folders.clear()
                continue
            folders[:] = [name for name in folders if name != STATE]
            yield folder, folders, files
            for path in (os.path.join(folder, name) for name in folders):
                if os.path.islink(path) and (follow_links or not _leaves(root, path)):
                    starts.append(path)
                elif os.path.islink(path):
                    _log.warning("%s is left out: it is a link that leads out of %s; %s", path, root, _FOLLOW)
        starts.sort()


def _leaves(root: str, path: str) -> bool:
    """Whether a link below a root leads out of it."""
    inside = os.path.join(os.path.realpath(root), "")
    return not os.path.join(os.path.realpath(path), "").startswith(inside)


def _cannot_list(error: OSError) -> None:
    """A folder that is left out would make a smaller set, or let an evaluation scene in: nothing is
    guessed."""
    raise DimmagenError(
        f"{error.filename} cannot be listed ({error.strerror})",
        "make it readable, or give a source that does not hold it",
        code="disk",
        path=error.filename,
    ) from error


def _glob_entries(pattern: str, follow_links: bool) -> Iterator[Entry]:
    pattern = os.path.abspath(os.path.expanduser(pattern))
    root = os.path.dirname(pattern[: _GLOB.search(pattern).start()])  # type: ignore[union-attr]
    if not os.path.isdir(root):
        raise UsageError(f"there is no folder {root}", "check the path", code="missing-path", path=root)
    wanted = re.compile(_glob_regex(pattern))
    levels = pattern[len(root) :].strip(os.sep).split(os.sep)
    for folder, folders, files in _walk(root, follow_links):
        depth = 0 if folder == root else os.path.relpath(folder, root).count(os.sep) + 1
        if not any("**" in level for level in levels[: depth + 1]):  # go where the pattern can still match
            level = re.compile(_glob_regex(levels[depth]))
            deeper = depth + 1 < len(levels)
            folders[:] = [name for name in folders if deeper and level.match(name)]
        for file in files:
            path = os.path.join(folder, file)
            if wanted.match(path.replace(os.sep, "/")):
                yield _file_entry(root, path, follow_links)


def _glob_regex(pattern: str) -> str:
    return glob_translate(pattern.replace(os.sep, "/"))


def _file_entry(root: str, path: str, follow_links: bool) -> Entry:
    name = portable(os.path.relpath(path, root)).replace(os.sep, "/")
    locator = {"kind": "file", "path": portable(path)}
    try:
        facts = os.stat(path)
    except OSError as error:
        if os.path.islink(path) and error.errno in _BROKEN:
            return Entry(name, 0, locator, "is a broken link")
        raise machine_error(error, path) from error
    refusal = "" if stat.S_ISREG(facts.st_mode) else "is a device or a pipe, not a file"
    if not follow_links and os.path.islink(path) and _leaves(root, path):
        refusal = f"is a link that leads out of its source; {_FOLLOW}"
    return Entry(name, facts.st_size, locator, refusal, storage.stamp_of(facts))


def _zip_entries(path: str) -> Iterator[Entry]:
    try:
        with machine_trouble(path), storage.open_binary(path) as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError) as error:
        todo = "it may be truncated: fetch it again"
        if "multiple disks" in str(error) or "span" in str(error):
            todo = "it is one part of a split zip: join the parts first (zip -s 0 PART.zip --out WHOLE.zip)"
        raise DimmagenError(
            f"{path} is not a complete zip file ({error})", todo, code="archive", path=path
        ) from error
    for member in members:
        if member.is_dir() or member.filename.endswith("\\"):
            continue
        refusal = ""
        if stat.S_ISLNK(member.external_attr >> 16):
            refusal = "is a link in the archive"
        elif member.flag_bits & 1 or member.compress_type == _AES:
            refusal = "is encrypted"
        elif member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            method = _ZIP_METHODS.get(member.compress_type, "an unknown method")
            refusal = f"is compressed by {method} (zip method {member.compress_type}), only 0 and 8 are read"
        locator = {
            "kind": "zip",
            "path": portable(path),
            "header": member.header_offset,
            "compressed": member.compress_size,
            "deflated": member.compress_type == zipfile.ZIP_DEFLATED,
            "size": member.file_size,
            "crc": member.CRC,
        }
        # Some Windows programs separate folders with backslashes, against the format's rule.
        yield Entry(member.filename.replace("\\", "/"), member.file_size, locator, refusal)


def _tar_entries(path: str) -> Iterator[Entry]:
    try:
        with machine_trouble(path), storage.open_binary(path) as file:
            end = file.seek(0, os.SEEK_END)
            yield from _tar_members(path, file, 0, end, "")
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise _broken_tar(path) from error


def _tar_members(path: str, file: BinaryIO, start: int, end: int, prefix: str) -> Iterator[Entry]:
    """The members of a tar in the bytes from `start` to `end` of a file.

    Several tars one after the other, as `cat a.tar b.tar` makes them, are one list: the blocks of zeros that
    end each of them are passed over. A tar that is itself a member is read as a folder of its name.
    """
    while start < end:
        file.seek(start)
        # Not by the locale: names are UTF-8, and every other byte stands for itself.
        with tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape") as archive:
            for member in archive:
                if member.isdir():
                    continue
                name, inside = f"{prefix}{member.name}", member.offset_data + member.size
                if member.isreg() and member.name.lower().endswith(".tar") and inside <= end:
                    at = file.tell()
                    yield from _tar_members(path, file, member.offset_data, inside, f"{name}/")
                    file.seek(at)
                    continue
                refusal = _SPARSE if member.issparse() else "" if member.isreg() else _NO_FILE
                locator = {
                    "kind": "range",
                    "path": portable(path),
                    "offset": member.offset_data,
                    "size": member.size,
                }
                yield Entry(name, member.size, locator, refusal)
            # tarfile takes a broken header for the end: the end is a block of zeros and nothing else.
            file.seek(archive.offset)
            if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise _broken_tar(path)
            start = _next_tar(file, archive.offset, end)


def _format_entries(path: str, name: str) -> Iterator[Entry]:
    """The images of an archive of another format, with the stamp of its file and of the package."""
    plugin = ARCHIVES.plugin(name)
    stamp = f"{storage.stamp(path)} {plugin.distribution} {plugin.version}" if plugin else ""
    locator = {"kind": "format", "format": name, "path": portable(path)}
    try:
        with machine_trouble(path):
            for member, size, place in ARCHIVES[name].members(path):
                yield Entry(member, size, {**locator, "place": place}, stamp=stamp)
    except DimmagenError:
        raise
    except Exception as error:  # the package has its own errors
        raise DimmagenError(
            f"{path} cannot be read as {name} ({type(error).__name__}: {error})",
            "it may be damaged: fetch it again",
            code="archive",
            path=path,
        ) from error


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
    return DimmagenError(
        f"{path} is not a complete tar file", "it may be truncated: fetch it again", code="archive", path=path
    )


def read_entry(locator: dict[str, Any]) -> bytes:
    """The bytes of one entry.

    Args:
        locator: of an :class:`Entry`.

    Raises:
        DamagedArchiveError: the archive ends early, or is damaged at this place.
        MachineError: the disk or the network fails, or the file may not be read.
        DimmagenError: the file or the archive is gone.
    """
    path = native(locator["path"])
    try:
        if locator["kind"] == "file":
            return _read_range(path, 0, None)
        if locator["kind"] == "range":
            return _read_range(path, locator["offset"], locator["size"])
        if locator["kind"] == "format":
            return _read_format(path, locator)
        return _read_zip_member(locator)
    except (OSError, MemoryError) as error:
        if is_machine_trouble(error):
            raise machine_error(error, path) from error
        raise DimmagenError(
            f"{path} cannot be read ({getattr(error, 'strerror', None) or error})",
            "check the source",
            code="source-changed",
            path=path,
        ) from error


def _read_format(path: str, locator: dict[str, Any]) -> bytes:
    archive = ARCHIVES[locator["format"]]
    try:
        return bytes(archive.read(path, locator["place"]))
    except Exception as error:  # the package has its own errors
        if isinstance(error, (DimmagenError, OSError, MemoryError)):
            raise
        raise DamagedArchiveError(
            f"{path} is damaged at {locator['place']} ({type(error).__name__}: {error})",
            "fetch the archive again",
            path=path,
        ) from error


def _read_range(path: str, offset: int, size: int | None) -> bytes:
    data = storage.read(path) if size is None else storage.read_range(path, offset, size)
    if size is not None and len(data) != size:
        raise DamagedArchiveError(
            f"{path} ends within a member", "it may be truncated: fetch it again", path=path
        )
    return data


def _read_zip_member(locator: dict[str, Any]) -> bytes:
    path, start, size = native(locator["path"]), locator["header"], locator["size"]
    header = _read_range(path, start, _LOCAL_HEADER)
    skip = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    data = _read_range(path, start + _LOCAL_HEADER + skip, locator["compressed"])
    damaged = DamagedArchiveError(
        f"{path} is damaged at byte {start}", "fetch the archive again", path=path, offset=start
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
