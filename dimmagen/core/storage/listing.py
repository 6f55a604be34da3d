"""What is in a place: whether there is a file or a folder, the names in it, and the version of a file."""

import errno
import logging
import os
import posixpath
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache

from dimmagen.core.errors import DimmagenError
from dimmagen.core.storage.filesystems import remote_filesystem
from dimmagen.core.storage.paths import local_path
from dimmagen.core.system_files import is_left_by_system

# How a system says that there is nothing at a path: a missing part, a file as a folder, a link to itself.
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL)
_LOG = logging.getLogger(__name__)
_UNSETTLED_NS = 2 * 10**9  # the coarsest clock of a file system (FAT) ticks every two seconds


def exists(path: str | os.PathLike) -> bool:
    """Whether there is anything; a local disk that fails is an error, not an absence."""
    if (place := local_path(path)) is not None:
        return mode_of(place) is not None
    with remote_filesystem(path) as (filesystem, place):
        return filesystem.exists(place)


def is_folder(path: str | os.PathLike) -> bool:
    """Whether there is a folder; errors as for :func:`exists`."""
    if (place := local_path(path)) is not None:
        return stat.S_ISDIR(mode_of(place) or 0)
    with remote_filesystem(path) as (filesystem, place):
        return filesystem.isdir(place)


def is_file(path: str | os.PathLike) -> bool:
    """Whether there is a regular file; errors as for :func:`exists`."""
    if (place := local_path(path)) is not None:
        return stat.S_ISREG(mode_of(place) or 0)
    with remote_filesystem(path) as (filesystem, place):
        return filesystem.isfile(place)


def mode_of(place: str) -> int | None:
    """The mode of a local file or folder; None if there is none."""
    try:
        return os.stat(place).st_mode
    except ValueError:  # a null character
        return None
    except OSError as error:
        if error.errno not in _ABSENT:
            raise
        return None


def no_regular_file(path: str | os.PathLike) -> DimmagenError:
    return DimmagenError(
        f"{path} is not a regular file",
        "check what is in its place",
        code="missing-path",
        path=os.fspath(path),
    )


def list_names(folder: str | os.PathLike) -> list[str]:
    """Sorted names of the entries of a folder; empty if the folder does not exist.

    What systems leave there by themselves (`.DS_Store`, `._*`, `@eaDir`, `lost+found`) is not among them.
    """
    if not is_folder(folder):
        return []
    if (place := local_path(folder)) is not None:
        names = os.listdir(place)
    else:
        with remote_filesystem(folder) as (filesystem, place):
            names = [entry.rstrip("/").rsplit("/", 1)[-1] for entry in filesystem.ls(place)]
    return sorted(name for name in names if not is_left_by_system(name))


def find_files(folder: str) -> list[tuple[str, int, str]]:
    """Relative path, size in bytes and stamp (see :func:`stamp`) of every file below an fsspec URL, in
    arbitrary order.

    Raises:
        OSError: a folder cannot be listed.
    """
    with remote_filesystem(folder) as (filesystem, place):
        found = filesystem.find(place)
    return [(posixpath.relpath(name, place), size, stamp) for name, (size, stamp) in found.items()]


def stamp(path: str | os.PathLike) -> str:
    """A text that changes when the bytes of a file change: times and inode, or the ETag of an object.

    Returns:
        Empty if nothing distinguishes two versions of the file: a place without ETags or times, or a local
        file that was written in the last two seconds, and might be again within a tick of its clock.

    Raises:
        OSError: there is no such file.
    """
    if (place := local_path(path)) is not None:
        return stamp_of(os.stat(place))
    with remote_filesystem(path) as (filesystem, place):
        return filesystem.etag(place)


def stamp_of(facts: os.stat_result) -> str:
    """The :func:`stamp` of a local file, from what `os.stat` says of it."""
    now, times = time.time_ns(), (facts.st_mtime_ns, facts.st_ctime_ns)
    is_timeless = max(times) <= 0  # a disk that keeps no times, such as some of FUSE
    # Each of both: a camera with a wrong clock sets the last modification to any time.
    if is_timeless or any(abs(now - changed) < _UNSETTLED_NS for changed in times):
        return ""
    # A program can set the time of the last modification, but not that of the last change.
    return f"{facts.st_mtime_ns}.{facts.st_ctime_ns}.{facts.st_ino}"


def remove(path: str | os.PathLike) -> None:
    """Remove a file or an empty folder; does nothing if it does not exist.

    A folder that holds nothing but what systems leave there stays.
    """
    with suppress(FileNotFoundError):
        if (place := local_path(path)) is not None:
            if not os.path.lexists(place):  # a read-only file system refuses to remove what is not there
                return
            if os.path.islink(place) or not os.path.isdir(place):
                os.unlink(place)
                return
            try:
                os.rmdir(place)
            except OSError:
                if not os.listdir(place) or list_names(place):
                    raise
            return
        with remote_filesystem(path) as (filesystem, place):
            filesystem.rm_file(place)


def discard(paths: Iterable[str | os.PathLike]) -> None:
    """Remove files and empty folders that nothing needs any more, the contents of a folder before it.

    What a disk or a server keeps is not a failure: a warning names it.
    """
    kept, reason = [], ""
    for path in paths:
        try:
            remove(path)
        except (OSError, DimmagenError) as error:
            kept.append(os.fspath(path))
            reason = reason or _reason(error)
    if kept:
        more = f" and {len(kept) - 1} more" if len(kept) > 1 else ""
        _warn_of_kept(f"{kept[0]}{more}", reason)


@contextmanager
def discarding(folder: str | os.PathLike) -> Iterator[None]:
    """Around the removal of a folder that nothing needs any more: failing is a warning."""
    try:
        yield
    except (OSError, DimmagenError) as error:
        _warn_of_kept(os.fspath(folder), _reason(error))


def _reason(error: Exception) -> str:
    return error.what if isinstance(error, DimmagenError) else getattr(error, "strerror", None) or str(error)


@cache
def _warn_of_kept(what: str, reason: str) -> None:
    """Once: a run may try it several times."""
    _LOG.warning("%s cannot be removed (%s): nothing needs it any more", what, reason)
