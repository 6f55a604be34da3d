"""Files that are either complete or absent.

A local file is written under a temporary name in its own folder, flushed to the disk and renamed; a remote
file is written locally and sent as one upload, to a server of files under such a name, too. Nothing is
published if the writer fails.
"""

import errno
import itertools
import logging
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO, cast

from dimmagen.core import abandoned
from dimmagen.core.errors import DimmagenError
from dimmagen.core.storage.filesystems import remote_filesystem
from dimmagen.core.storage.listing import list_names, mode_of, no_regular_file, remove
from dimmagen.core.storage.paths import join, last_part, local_path

# The token is what a file of a user, such as `.notes.2024.tmp`, does not have.
_UNFINISHED = re.compile(r"\.(?P<name>.+)\.(?P<host>[0-9a-f]{4})[0-9a-f]{4}\.\d+\.tmp", re.DOTALL)
# Linux opens a file from its beginning by its descriptor; macOS' /dev/fd, from where it was written last.
_DESCRIPTORS = "/proc/self/fd"
_STANDARD_STREAMS = ("/dev/stdout", "/dev/stderr")
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
# What a file system says that does not have an operation, in several words.
_MISSING = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
_UNSUPPORTED = (*_MISSING, errno.EINVAL, errno.EBADF)
_OPEN = (errno.EACCES, errno.EPERM, errno.EBUSY, errno.ETXTBSY)  # the file is open, or something else
# An encrypted folder (eCryptfs, NAS) has room for 143 bytes, and the longest token for 28.
_KEPT_OF_NAME = 100
_CLAIMS = 20  # so often no other process is quicker: the disk says of every lock that it is taken
_ENDING_SECONDS = 2.0  # until a process that was killed has ended
_LOG = logging.getLogger(__name__)


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
    if local is not None and _is_special_file(local):
        raise no_regular_file(path)
    with writing_errors(path), _local_writer(Path(local)) if local else _remote_writer(path) as file:
        yield file


@contextmanager
def writing_errors(path: str | os.PathLike) -> Iterator[None]:
    """Turn what a disk says in the block, while a file is written, into a DimmagenError that names it."""
    try:
        yield
    except OSError as error:
        is_local = local_path(path) is not None
        raise _writing_error(error, os.fspath(path), is_local=is_local) from error


def _writing_error(error: OSError, path: str, *, is_local: bool) -> DimmagenError:
    again = "run the same command again; what is complete stays valid"
    failed = f"{path} could not be written"
    if error.errno in _DISK_FULL:
        where = "" if is_local else f" at {tempfile.gettempdir()}"
        return DimmagenError(
            f"the disk is full{where}: {failed}", f"free some space and {again}", code="disk", path=path
        )
    if isinstance(error, PermissionError) and error.filename:
        named = error.filename
        return DimmagenError(
            f"{named} cannot be written", "check its permissions", code="refused", path=named
        )
    reason = f"{failed}: {error.strerror or error}"
    if error.errno in _MISSING:
        todo = (
            "its file system cannot rename files or lacks another operation: write to a disk of this machine"
        )
        return DimmagenError(reason, f"{todo}, or to a bucket by its URL (s3://...)", code="disk", path=path)
    if error.errno == errno.ENAMETOOLONG:
        return DimmagenError(reason, "give a shorter name", code="invalid-name", path=path)
    return DimmagenError(reason, f"check the disk and {again}", code="disk", path=path)


@contextmanager
def _local_writer(path: Path) -> Iterator[BinaryIO]:
    path.parent.mkdir(parents=True, exist_ok=True)
    is_own = False
    for attempt in itertools.count(1):
        temporary = path.with_name(unfinished_name(path.name))
        try:  # begins before the file is there: a signal may come in between
            with open(temporary, "x+b") as file:
                is_own = abandoned.claim(file.fileno(), temporary) or attempt == _CLAIMS
                if is_own:
                    yield file
                    file.flush()
                    _sync(file.fileno(), path.parent)
                    _give_name(file, temporary, path)
        except BaseException:
            _remove_quietly(temporary)
            raise
        if is_own:
            break
        _remove_quietly(temporary)
    sync_folder(path.parent)


def _remove_quietly(temporary: Path) -> None:
    with suppress(OSError):
        temporary.unlink()


def _give_name(file: BinaryIO, temporary: Path, path: Path) -> None:
    """Rename a file while it is open, and so belongs to this process; Windows and its disks refuse that."""
    try:
        os.replace(temporary, path)
    except OSError as error:
        if error.errno not in _OPEN:
            raise
        file.close()
        os.replace(temporary, path)


@contextmanager
def _remote_writer(url: str | os.PathLike) -> Iterator[BinaryIO]:
    with _readable_temporary() as (file, path):
        yield file
        file.flush()
        with remote_filesystem(url) as (filesystem, place):
            filesystem.put_file(path, place, unfinished_name(last_part(place)))


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
    """A new folder next to `folder`, to be filled and renamed to it in the block; otherwise it is removed.

    What killed processes left of it before is removed first.
    """
    remove_abandoned(folder.parent, [folder.name])
    is_own = False
    for attempt in itertools.count(1):
        temporary, descriptor = folder.with_name(unfinished_name(folder.name)), None
        try:  # as in _local_writer
            temporary.mkdir(0o700)
            descriptor = None if os.name == "nt" else os.open(temporary, os.O_RDONLY)
            is_own = descriptor is None or abandoned.claim(descriptor, temporary) or attempt == _CLAIMS
            if is_own:
                yield temporary
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            if descriptor is not None:
                os.close(descriptor)
        if is_own:
            return


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
    _LOG.warning(
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

    A link stays, and the file that it names is written.

    Raises:
        DimmagenError: as for :func:`atomic_writer`.
    """
    place = local_path(path)
    if place is None or not _is_stream(place):
        if place is not None:
            path = os.path.realpath(place) if os.path.islink(place) else place
            remove_abandoned(os.path.dirname(path), [os.path.basename(path)])
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
    mode = mode_of(place) or 0
    is_descriptor = place in _STANDARD_STREAMS or place.startswith(("/dev/fd/", f"{_DESCRIPTORS}/"))
    return is_descriptor or stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def _is_special_file(place: str) -> bool:
    """Whether there is something at a local path that is not a regular file."""
    mode = mode_of(place)
    return (mode is not None and not stat.S_ISREG(mode)) or place in _STANDARD_STREAMS


def remove_unfinished(folder: str | os.PathLike) -> list[str]:
    """Remove what a killed run left in one folder: temporary files and folders, or incomplete uploads.

    The run that calls it is the only one that writes there; what another command still writes into the same
    local folder stays.

    Returns:
        The names of the temporary files and folders that are removed, or of the files that were being
        uploaded.
    """
    place = local_path(folder)
    if place is None:
        with remote_filesystem(folder) as (filesystem, place):
            if not filesystem.shows_unfinished:
                return filesystem.abort_uploads(place)
        left = list(filter(is_unfinished, list_names(folder)))
        for name in left:
            remove(join(folder, name))
        return left
    until = time.monotonic() + _ENDING_SECONDS
    return [
        name
        for name in list_names(place)
        if is_unfinished(name) and abandoned.remove_unless_held(os.path.join(place, name), until)
    ]


def remove_abandoned(folder: str | os.PathLike, names: Iterable[str]) -> None:
    """Remove what killed processes left of some files or folders, in a folder that others may write to.

    Args:
        folder: local; nothing is done elsewhere, or if there is none.
        names: of the finished files or folders.
    """
    place, wanted, listed = local_path(folder), set(map(_beginning, names)), list[str]()
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
    return f".{_beginning(name)}.{abandoned.host_mark()}{secrets.token_hex(2)}.{os.getpid()}.tmp"


def _beginning(name: str) -> str:
    """What a temporary name keeps of a name, which may itself be as long as a disk allows."""
    coded = os.fsencode(name)
    return name if len(coded) <= _KEPT_OF_NAME else coded[:_KEPT_OF_NAME].decode("utf-8", "ignore")


def is_unfinished(name: str) -> bool:
    """Whether a name belongs to a file or folder that is being written, or was left by a killed run."""
    return bool(_UNFINISHED.fullmatch(name))
