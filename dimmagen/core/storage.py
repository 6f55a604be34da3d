"""Files that are either complete or absent, on a local disk or behind an fsspec URL.

A local file is written under a temporary name in its own folder, flushed to the disk and renamed; a remote
file is written locally and sent as one upload. Nothing is published if the writer fails. S3 is handled by
:mod:`dimmagen.core.s3`; for S3 URLs, every function below raises UnavailableError if the last attempt of a
request has failed, and RefusedError if credentials, permissions or the bucket are missing.
"""

import errno
import hashlib
import json
import logging
import math
import os
import posixpath
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, cast

import fsspec

from dimmagen.core import abandoned, remote, s3
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.machine import machine_trouble
from dimmagen.core.system_files import is_left_by_system

# The token is what a file of a user, such as `.notes.2024.tmp`, does not have.
_UNFINISHED = re.compile(r"\.(?P<name>.+)\.(?P<host>[0-9a-f]{4})[0-9a-f]{4}\.\d+\.tmp", re.DOTALL)
# Protocols of two letters or more, so that `C://photos` is a path on Windows; `::` chains them.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+._-]+(::[A-Za-z][A-Za-z0-9+._-]+)*://")
_FILE_URL = re.compile(r"(file|local)://", re.IGNORECASE)
# Linux opens a file anew by its descriptor; macOS' /dev/fd would go on reading where it was written last.
_DESCRIPTORS = "/proc/self/fd"
_STANDARD_STREAMS = ("/dev/stdout", "/dev/stderr")
# How a system says that there is nothing at a path: a missing part, a file as a folder, a link to itself.
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL)
_UNSETTLED_NS = 2 * 10**9  # the coarsest clock of a file system (FAT) ticks every two seconds
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
# What a file system says that does not have an operation, in several words.
_UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF)
_OPEN = (errno.EACCES, errno.EPERM, errno.EBUSY, errno.ETXTBSY)  # the file is open, or something else
_log = logging.getLogger(__name__)


@contextmanager
def atomic_writer(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """A seekable binary file that appears under `path` when the block ends without an exception.

    Missing parent folders are created. Until the block ends, a local file is named
    `.<name>.<token>.<pid>.tmp`, which :func:`remove_unfinished` and :func:`remove_abandoned` recognise; the
    token is random, since processes on two hosts may have the same pid.

    Raises:
        DimmagenError: the disk is full, the path cannot be written, or there is a pipe, a device or another
            thing in its place that a file must not replace (root would replace `/dev/null`).
    """
    local = local_path(path)
    if local is not None and _is_no_file(local):
        raise _no_regular_file(path)
    try:
        with _local_writer(Path(local)) if local else _remote_writer(path) as file:
            yield file
    except OSError as error:
        if error.errno in _DISK_FULL:
            where = "" if local else f" at {tempfile.gettempdir()}"
            raise DimmagenError(
                f"the disk is full{where}: {path} could not be written",
                "free some space and run the same command again; what is complete stays valid",
                code="disk",
                path=os.fspath(path),
            ) from error
        if isinstance(error, PermissionError) and error.filename:
            raise DimmagenError(
                f"{error.filename} cannot be written",
                "check its permissions",
                code="refused",
                path=error.filename,
            ) from error
        if error.errno == errno.ENAMETOOLONG:
            raise DimmagenError(
                f"{path} could not be written: {error.strerror}",
                "give a shorter name",
                code="invalid-name",
                path=os.fspath(path),
            ) from error
        raise DimmagenError(
            f"{path} could not be written: {error.strerror or error}",
            "check the disk and run the same command again; what is complete stays valid",
            code="disk",
            path=os.fspath(path),
        ) from error


@contextmanager
def _local_writer(path: Path) -> Iterator[BinaryIO]:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, file = _open_unfinished(path)
    try:
        with file:
            yield file
            file.flush()
            _sync(file.fileno(), path.parent)
            _give_name(file, temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def _give_name(file: BinaryIO, temporary: Path, path: Path) -> None:
    """Rename a file while it is open, and so belongs to this process; Windows and its disks refuse that."""
    try:
        os.replace(temporary, path)
    except OSError as error:
        if error.errno not in _OPEN:
            raise
        file.close()
        os.replace(temporary, path)


def _open_unfinished(path: Path) -> tuple[Path, BinaryIO]:
    """A new file under a temporary name, which belongs to this process until it is closed."""
    while True:
        temporary = path.with_name(unfinished_name(path.name))
        file = open(temporary, "x+b")  # noqa: SIM115
        if abandoned.claim(file.fileno(), temporary):
            return temporary, file
        file.close()


@contextmanager
def _remote_writer(url: str | os.PathLike) -> Iterator[BinaryIO]:
    with _readable_temporary() as (spool, path):
        yield spool
        spool.flush()
        with _remote(url) as (filesystem, place):
            if not isinstance(filesystem, s3.S3):
                filesystem.makedirs(filesystem._parent(place), exist_ok=True)
            filesystem.put_file(path, place)


@contextmanager
def _readable_temporary() -> Iterator[tuple[BinaryIO, str]]:
    """A temporary file, and a path from which it can be read, from its beginning, while it is open."""
    if os.path.isdir(_DESCRIPTORS):
        with tempfile.TemporaryFile() as file:  # without a name, so that a killed process leaves nothing
            yield cast(BinaryIO, file), f"{_DESCRIPTORS}/{file.fileno()}"
        return
    with tempfile.NamedTemporaryFile(prefix="dimmagen-", delete=False) as named:  # such as on Windows
        try:
            yield cast(BinaryIO, named), named.name
        finally:
            named.close()  # Windows does not remove open files
            os.unlink(named.name)


@contextmanager
def unfinished_folder(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder`, to be filled and renamed to it in the block; otherwise it is removed.

    What killed processes left of it before is removed first.
    """
    remove_abandoned(folder.parent, [folder.name])
    while True:
        temporary = folder.with_name(unfinished_name(folder.name))
        temporary.mkdir(0o700)
        descriptor = None if os.name == "nt" else os.open(temporary, os.O_RDONLY)
        if descriptor is None or abandoned.claim(descriptor, temporary):
            break
        os.close(descriptor)
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make renames in a local folder survive a power failure."""
    if os.name == "nt":  # Windows cannot open folders, and NTFS journals file names
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _sync(descriptor, folder, "folders")
    finally:
        os.close(descriptor)


def _sync(descriptor: int, folder: Path, what: str = "files") -> None:
    """Have a file or a folder on disk. A network disk may not know how: SMB, a Windows drive in WSL, FUSE."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        _warn_unsynced(folder, what)


@cache
def _warn_unsynced(folder: Path, what: str) -> None:
    """Once per folder."""
    _log.warning(
        "the file system of %s cannot sync %s: after a power failure its newest files may be missing",
        folder,
        what,
    )


def atomic_write(path: str | os.PathLike, data: bytes) -> None:
    """Write a whole file; see :func:`atomic_writer`."""
    with atomic_writer(path) as file:
        file.write(data)


def write_result(path: str | os.PathLike, data: bytes) -> None:
    """Write a whole file that a user has named; into a pipe or a device, such as `/dev/stdout`, go the bytes.

    Raises:
        DimmagenError: as for :func:`atomic_writer`.
    """
    place = local_path(path)
    if place is None or not _is_stream(place):
        if place is not None:
            remove_abandoned(os.path.dirname(place), [os.path.basename(place)])
        return atomic_write(path, data)
    try:
        with open(place, "wb", buffering=0) as stream:
            left = memoryview(data)
            while left:
                left = left[stream.write(left) :]
    except OSError as error:
        raise DimmagenError(
            f"{path} could not be written: {error.strerror or error}",
            "name a file, or another pipe",
            code="disk",
            path=os.fspath(path),
        ) from error


def _is_stream(place: str) -> bool:
    """Whether a local path stands for what takes bytes as they come: a pipe, a device, a descriptor."""
    mode = _mode(place) or 0
    is_descriptor = place in _STANDARD_STREAMS or place.startswith(("/dev/fd/", f"{_DESCRIPTORS}/"))
    return is_descriptor or stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def _is_no_file(place: str) -> bool:
    """Whether there is something at a local path that is no regular file."""
    mode = _mode(place)
    return (mode is not None and not stat.S_ISREG(mode)) or place in _STANDARD_STREAMS


def _no_regular_file(path: str | os.PathLike) -> DimmagenError:
    return DimmagenError(
        f"{path} is not a regular file",
        "check what is in its place",
        code="missing-path",
        path=os.fspath(path),
    )


def remove_unfinished(folder: str | os.PathLike) -> list[str]:
    """Remove what a killed run left in one folder: temporary files, or incomplete uploads.

    Returns:
        The names of the temporary files, or of the files that were being uploaded.
    """
    place = local_path(folder)
    if place is None:
        with _remote(folder) as (filesystem, place):
            return filesystem.abort_uploads(place) if isinstance(filesystem, s3.S3) else []
    names = [name for name in list_names(place) if is_unfinished(name)]
    for name in names:
        os.unlink(os.path.join(place, name))
    return names


def remove_abandoned(folder: str | os.PathLike, names: Iterable[str]) -> None:
    """Remove what killed processes left of some files or folders, in a folder that others may write to.

    Args:
        folder: local; nothing is done elsewhere, or if there is none.
        names: of the finished files or folders.
    """
    place, wanted, listed = local_path(folder), set(names), list[str]()
    if place is None or not wanted:
        return
    with suppress(OSError):  # it may be written to and not listed
        listed = list_names(place)
    for found in filter(None, map(_UNFINISHED.fullmatch, listed)):
        if found["name"] in wanted:
            is_own = found["host"] == abandoned.host_mark()
            abandoned.remove_if_abandoned(os.path.join(place, found[0]), is_own)


def unfinished_name(name: str) -> str:
    """A new temporary name for a file, see :func:`atomic_writer`."""
    return f".{name}.{abandoned.host_mark()}{secrets.token_hex(2)}.{os.getpid()}.tmp"


def is_unfinished(name: str) -> bool:
    """Whether a name belongs to an incomplete file left by a killed run."""
    return bool(_UNFINISHED.fullmatch(name))


def local_path(path: str | os.PathLike) -> str | None:
    """The absolute path of what is on this machine; None for an fsspec URL.

    A path is never parsed as a URL: `photos::2024`, `file:x` and `a:b//c` are names like any other.
    """
    text = os.fspath(path)
    if is_url(text):
        if not (found := _FILE_URL.match(text)):
            return None
        text = text[found.end() :]
        if os.name == "nt":  # file:///C:/photos
            text = re.sub(r"^/(?=[A-Za-z]:)", "", text)
    return os.path.abspath(os.path.expanduser(text))


def only_local(path: str | os.PathLike) -> Path:
    """A path as it is, or that of a URL with the protocol `file`.

    Raises:
        UsageError: it is another URL, which would otherwise be taken for a path below a folder `s3:`.
    """
    text = os.fspath(path)
    if not is_url(text):
        return Path(text)
    place = local_path(text)
    if place is None:
        raise UsageError(f"{text} is a URL", "give a local or mounted path", code="usage", path=text)
    return Path(place)


def _open_filesystem(path: str | os.PathLike) -> tuple[Any, str]:
    """The file system of an fsspec URL, and the path within it.

    Raises:
        UsageError: the protocol of the URL is unknown, or its package is not installed.
    """
    text = os.fspath(path)
    if text.startswith(s3.SCHEMES):
        return s3.S3(), text.split("://", 1)[1].rstrip("/")
    try:
        return fsspec.core.url_to_fs(text)
    except ImportError as error:
        raise UsageError(
            f"{text} cannot be opened ({error})",
            "install the package that it needs",
            code="missing-package",
            path=text,
        ) from None
    except (AttributeError, TypeError, ValueError) as error:  # also of one that needs more than a URL
        raise UsageError(
            f"{text} cannot be opened ({error})",
            "check the URL, or install the package that it needs",
            code="usage",
            path=text,
        ) from None


@contextmanager
def _remote(path: str | os.PathLike) -> Iterator[tuple[Any, str]]:
    """:func:`_open_filesystem` for a block in which its errors are translated."""
    with remote.explained(path):
        yield _open_filesystem(path)


def check_protocol(url: str) -> None:
    """Whether the file system of an fsspec URL is known here; nothing behind it is read.

    Raises:
        UsageError: its protocol is unknown, its package is not installed, or it needs more than a URL.
        RefusedError, UnavailableError: it is not there, where to know it is to connect to it.
    """
    with _remote(url):
        pass


def is_url(path: str) -> bool:
    """Whether a path is an fsspec URL: it begins with a protocol, or with several that are joined by `::`."""
    return bool(_URL.match(path))


def is_local(path: str | os.PathLike) -> bool:
    """Whether a path, or a URL with the protocol `file`, is on this machine."""
    return local_path(path) is not None


def join(root: str | os.PathLike, *parts: str) -> str:
    """A path below a folder or an fsspec URL; the parts are joined with slashes, also on Windows.

    An empty path is the working directory, as everywhere, and not the root of the file system.
    """
    folder = os.fspath(root)
    if _URL.fullmatch(folder):  # `memory://`, the root of that file system
        return folder + "/".join(parts)
    return "/".join([folder.rstrip("/"), *parts] if folder else parts)


def last_part(path: str) -> str:
    """The last component of a local path or URL: the name of the file or folder."""
    return os.path.basename(path.rstrip("/" + os.sep))


def exists(path: str | os.PathLike) -> bool:
    """Whether there is anything; a local disk that fails is an error, not an absence."""
    if (place := local_path(path)) is not None:
        return _mode(place) is not None
    with _remote(path) as (filesystem, place):
        is_s3 = isinstance(filesystem, s3.S3)
        return filesystem.exists(place) if is_s3 else remote.exists(filesystem, place)


def is_folder(path: str | os.PathLike) -> bool:
    """Whether there is a folder; errors as for :func:`exists`."""
    if (place := local_path(path)) is not None:
        return stat.S_ISDIR(_mode(place) or 0)
    with _remote(path) as (filesystem, place):
        return filesystem.isdir(place)


def is_file(path: str | os.PathLike) -> bool:
    """Whether there is a regular file; errors as for :func:`exists`."""
    if (place := local_path(path)) is not None:
        return stat.S_ISREG(_mode(place) or 0)
    with _remote(path) as (filesystem, place):
        return filesystem.isfile(place)


def _mode(place: str) -> int | None:
    """The mode of a local file or folder; None if there is none."""
    try:
        return os.stat(place).st_mode
    except ValueError:  # a null character
        return None
    except OSError as error:
        if error.errno not in _ABSENT:
            raise
        return None


def list_names(folder: str | os.PathLike) -> list[str]:
    """Sorted names of the entries of a folder; empty if the folder does not exist.

    What systems leave there by themselves (`.DS_Store`, `._*`, `@eaDir`, `lost+found`) is not among them.
    """
    if not is_folder(folder):
        return []
    if (place := local_path(folder)) is not None:
        names = os.listdir(place)
    else:
        with _remote(folder) as (filesystem, place):
            names = [entry.rstrip("/").rsplit("/", 1)[-1] for entry in filesystem.ls(place, detail=False)]
    return sorted(name for name in names if not is_left_by_system(name))


def find_files(folder: str) -> list[tuple[str, int, str]]:
    """Relative path, size in bytes and stamp (see :func:`stamp`) of every file below an fsspec URL, in
    arbitrary order.

    Raises:
        OSError: a folder cannot be listed.
    """
    with _remote(folder) as (filesystem, place):
        is_s3 = isinstance(filesystem, s3.S3)
        found = filesystem.find(place) if is_s3 else _found_below(filesystem, place)
    return [(posixpath.relpath(name, place), size, stamp) for name, (size, stamp) in found.items()]


def _found_below(filesystem: Any, place: str) -> dict[str, tuple[int, str]]:
    """Size and stamp of every file; fsspec's own `find` leaves out what cannot be listed."""
    found: dict[str, tuple[int, str]] = {}
    folders = [place]
    while folders:
        listed = folders.pop()
        for entry in filesystem.ls(listed, detail=True):
            if entry["type"] == "directory" and entry["name"].rstrip("/") != listed.rstrip("/"):
                folders.append(entry["name"])
            elif entry["type"] == "file":
                found[entry["name"]] = entry["size"] or 0, _remote_stamp(entry)
    return found


def stamp(path: str | os.PathLike) -> str:
    """A text that changes when the bytes of a file change: times and inode, or the ETag of an object.

    Returns:
        Empty if nothing here tells one version of the file from the next: a place without ETags, or a local
        file that was written in the last two seconds, and might be again within a tick of its clock.

    Raises:
        OSError: there is no such file.
    """
    if (place := local_path(path)) is not None:
        return stamp_of(os.stat(place))
    with _remote(path) as (filesystem, place):
        is_s3 = isinstance(filesystem, s3.S3)
        return filesystem.etag(place) if is_s3 else _remote_stamp(filesystem.info(place))


def stamp_of(facts: os.stat_result) -> str:
    """The :func:`stamp` of a local file, from what `os.stat` says of it."""
    changed = max(facts.st_mtime_ns, facts.st_ctime_ns)
    if abs(time.time_ns() - changed) < _UNSETTLED_NS:
        return ""
    # A program can set the time of the last modification, but not that of the last change.
    return f"{facts.st_mtime_ns}.{facts.st_ctime_ns}.{facts.st_ino}"


def _remote_stamp(entry: Mapping[str, Any]) -> str:
    tag = entry.get("ETag")
    return tag if isinstance(tag, str) and not tag.startswith("W/") else ""  # a weak one allows other bytes


def read(path: str | os.PathLike) -> bytes:
    """The bytes of a file.

    Raises:
        FileNotFoundError: the file does not exist.
        MachineError: a local disk fails, or the memory is full; so do the other functions that read.
        DimmagenError: a local path is a folder, a pipe or a device.
    """
    if (place := local_path(path)) is None:
        with _remote(path) as (filesystem, place):
            return filesystem.cat_file(place)
    if exists(place) and not is_file(place):
        raise _no_regular_file(path)
    with machine_trouble(path), open(place, "rb") as file:
        return file.read()


def read_range(path: str | os.PathLike, offset: int, size: int) -> bytes:
    """A range of bytes of a file, with one request; fewer bytes if the file ends earlier.

    Raises:
        FileNotFoundError: the file does not exist.
    """
    if (place := local_path(path)) is not None:
        with machine_trouble(path), open(place, "rb") as file:
            file.seek(offset)
            return file.read(size)
    with _remote(path) as (filesystem, place):
        if isinstance(filesystem, s3.S3):
            return filesystem.cat_file(place, start=offset, end=offset + size)
        return remote.read_range(filesystem, place, offset, offset + size)


def read_json(path: str | os.PathLike) -> dict[str, Any]:
    """The object in a JSON file, see :func:`parse_json`. Raises FileNotFoundError if it does not exist."""
    return parse_json(read(path))


def parse_json(text: str | bytes) -> dict[str, Any]:
    """The object in JSON text from an untrusted source.

    Raises:
        ValueError: it is not JSON, not an object, nested too deeply, or holds a number that is not finite.
    """
    try:
        value = json.loads(text, parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("it is not an object")
    return value


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text[:20]} is not a finite number")
    return number


def open_binary(path: str | os.PathLike) -> BinaryIO:
    """A file for reading at random positions."""
    if (place := local_path(path)) is not None:
        return open(place, "rb")
    filesystem, place = _open_filesystem(path)
    if isinstance(filesystem, s3.S3):
        return filesystem.open(place, "rb")
    return remote.open_reader(filesystem, place, os.fspath(path))


def remove(path: str | os.PathLike) -> None:
    """Remove a file or an empty folder; does nothing if it does not exist.

    A folder that holds nothing but what systems leave there stays.
    """
    with suppress(FileNotFoundError):
        if (place := local_path(path)) is not None:
            if os.path.islink(place) or not os.path.isdir(place):
                os.unlink(place)
                return
            try:
                os.rmdir(place)
            except OSError:
                if not os.listdir(place) or list_names(place):
                    raise
            return
        with _remote(path) as (filesystem, place):
            if not isinstance(filesystem, s3.S3) and filesystem.isdir(place):  # S3 has no empty folders
                filesystem.rmdir(place)
            else:
                filesystem.rm_file(place)


def size_and_sha256(path: str | os.PathLike) -> tuple[int, str]:
    """Size in bytes and SHA-256 (hex) of a file. Raises FileNotFoundError if it does not exist."""
    with machine_trouble(path), open_binary(path) as file:
        digest = hashlib.file_digest(file, "sha256")  # type: ignore[arg-type]
        return file.seek(0, os.SEEK_END), digest.hexdigest()
