"""One writer per folder: a lock that is released when the process that holds it ends, however it ends."""

import errno
import itertools
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from filelock import lock_descriptor

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError, Ways
from dimmagen.core.outputs import refuse_inside_a_set

STATE = ".dimmagen"  # the subfolder in which a run keeps its state while it writes
_LOCK = "lock"
_ATTEMPTS = 20
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
_LOG = logging.getLogger(__name__)
_held: set[int] = set()  # descriptors of this process's locks
_locks: set[str] = set()  # their paths
_told: set[str] = set()  # of which a warning said that they cannot be locked


def _close_inherited() -> None:
    """In a forked process: a lock belongs to the parent process, and must not outlive it."""
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()
    _locks.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_close_inherited)


@contextmanager
def exclusive(out: str, may_only_read: bool = False) -> Iterator[UsageError | None]:
    """Keep other runs out of a folder for the duration of the block; locations behind a URL have no lock.

    A missing folder is created, and removed again if nothing was written to it.

    Args:
        out: folder or fsspec URL.
        may_only_read: whether the block may find that there is nothing to write, so that it can have a folder
            that this user may only read; without a lock.

    Yields:
        None; for a folder that may only be read the error of it, to be raised before anything is written.

    Raises:
        DimmagenError: another run is writing to the folder, or it is gone at the end.
        UsageError: the folder cannot be created or written to, or would be a part of a data set.
    """
    if (place := storage.local_path(out)) is None:
        yield None
        return
    out = place
    # A folder that holds nothing but the state of a run was made by it.
    is_new = not os.path.exists(out) or (os.path.isdir(out) and storage.list_names(out) == [STATE])
    if is_new:
        refuse_inside_a_set(out)
    state = os.path.join(out, STATE)
    try:
        descriptor = _lock(state)
    except BlockingIOError:
        raise DimmagenError(
            f"another run is writing to {out}",
            Ways.of("wait until it ends", "choose another `out` folder"),
            code="locked",
            path=out,
        ) from None
    except OSError as error:
        refused = UsageError(
            f"{out} cannot be written to: {error.strerror}",
            Ways.of("check its permissions and its disk", "choose another `out` folder"),
            code="disk",
            path=out,
        )
        if is_new or not may_only_read or error.errno not in _READ_ONLY:
            raise refused from None
        yield refused
        return
    _held.add(descriptor)
    _locks.add(os.path.join(state, _LOCK))
    try:
        yield None
        refuse_gone(out)
    finally:
        _locks.discard(os.path.join(state, _LOCK))
        if descriptor in _held:  # not in a forked process
            folders = (state, out) if is_new else (state,)
            # While it is locked: afterwards the file may belong to another run.
            kept = _remove(state, folders)
            _held.remove(descriptor)
            os.close(descriptor)
            # FUSE and NFS keep what is removed while it is open as another file.
            kept = _remove(state, folders) if kept else _remove_empty(folders)
            if kept and kept.filename in (os.path.join(state, _LOCK), state):
                left = f"{kept.filename} cannot be removed ({kept.strerror})"
                _LOG.warning("%s: nothing needs it any more", left)


def refuse_gone(out: str | os.PathLike) -> None:
    """Refuse to call complete what is in a folder that was removed or moved since this process locked it.

    The next file makes the folder again, without those that were written before.

    Args:
        out: folder or fsspec URL; one that this process has not locked is not refused.

    Raises:
        DimmagenError: it was.
    """
    place = storage.local_path(out)
    lock = os.path.join(place, STATE, _LOCK) if place else ""
    if lock in _locks and not os.path.exists(lock):
        raise DimmagenError(
            f"{out} was removed or moved while it was written to",
            "remove what is there now, and run the same command again",
            code="missing-path",
            path=os.fspath(out),
        )


def _remove(state: str, folders: Iterable[str]) -> OSError | None:
    """Remove the lock file, and those of the folders that are empty; the error if the system refuses it."""
    try:
        os.unlink(os.path.join(state, _LOCK))
    except FileNotFoundError:
        pass  # the folder itself was removed
    except OSError as error:  # the file is open: Windows, and disks that cannot rename
        return error
    return _remove_empty(folders)


def _remove_empty(folders: Iterable[str]) -> OSError | None:
    """Remove those that hold nothing, such as the state of an interrupted run; the first error."""
    refused = None
    for folder in folders:
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            pass
        except OSError as error:
            with suppress(OSError):
                refused = refused or (None if os.listdir(folder) else error)
    return refused


def remove_stale_lock(out: str) -> None:
    """Remove the lock, and the empty folder of the state, of a run that was stopped after its last file; a
    lock that is held stays."""
    if storage.is_local(out) and storage.exists(storage.join(out, STATE)):
        with suppress(DimmagenError), exclusive(out):
            pass


def _lock(state: str) -> int:
    """Descriptor of the lock file, locked while it is open. Raises BlockingIOError if it is taken.

    Whether it is still the file at its path is known by its number, which some network disks change each
    time: there the lock counts after some attempts.
    """
    path = os.path.join(state, _LOCK)
    for attempt in itertools.count(1):
        os.makedirs(state, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:  # a run that has just ended removed its empty folder
            if attempt >= _ATTEMPTS:
                raise
            continue
        try:
            if not _locked(descriptor, state):
                raise BlockingIOError
            # Windows does not remove open files, so there it is still the file at this path.
            is_there = os.name == "nt" or os.path.samestat(os.fstat(descriptor), os.stat(path))
            if is_there or attempt >= _ATTEMPTS:
                return descriptor
        except FileNotFoundError:
            pass  # the run that held it has just ended and removed it: create a new one
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    raise AssertionError  # it counts for ever


def _locked(descriptor: int, state: str) -> bool:
    """Lock an open file; False if another process has it. On a file system without locks a warning is all.

    Such a file system says it in many words: ENOSYS (Lustre without `-o flock`), ENOLCK (NFS), ENOTSUP (SMB),
    EIO (Ceph), EINVAL, EPERM. A disk that really fails does so when the run writes.
    """
    try:
        return lock_descriptor(descriptor, blocking=False)
    except BlockingIOError:
        return False
    except OSError as error:
        if state not in _told:
            _told.add(state)
            _LOG.warning(
                "the file system of %s does not support locks (%s): do not start a second run there, as it "
                "would not be refused",
                os.path.dirname(state),
                error.strerror,
            )
        return True
