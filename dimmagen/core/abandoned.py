"""What a killed process left unfinished, as distinct from what a live process is writing.

A process locks the unfinished file or folder that it writes, and the system takes the lock back when the
process ends, however it ends. A disk may have no locks, or locks for each host alone, and Windows locks no
folder: what no lock can tell, such as what another host has made, is abandoned after a day without a change.
"""

import os
import platform
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha256

from filelock import lock_descriptor

_ABANDONED_SECONDS = 24 * 3600
_LOOK_SECONDS = 0.05


@cache
def host_mark() -> str:
    """Four hex digits that stand for this host in the names of what it writes."""
    return sha256(platform.node().encode()).hexdigest()[:4]


def claim(descriptor: int, path: str | os.PathLike) -> bool:
    """Lock an unfinished file or folder for as long as its descriptor is open.

    Args:
        descriptor: of what this process has just made.
        path: of it.

    Returns:
        False if another process has taken it for abandoned in the meantime, and removes it.
    """
    if os.name == "nt":  # nothing that is open is removed there, and no open file gets its name
        return True
    try:
        return lock_descriptor(descriptor, blocking=False) and _is_there(path)
    except OSError:  # a file system without locks
        return True


@contextmanager
def is_held(path: str | os.PathLike) -> Iterator[bool | None]:
    """Whether a live process has claimed a file or folder; nobody else can claim it during the block.

    Args:
        path: of it; a link is not followed.

    Yields:
        None where this is unknown: it cannot be opened, or is on a disk without locks, or on Windows.
    """
    descriptor = None if os.name == "nt" else _opened(path)
    try:
        yield None if descriptor is None else _is_locked(descriptor)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _opened(path: str | os.PathLike) -> int | None:
    for access in (os.O_RDWR, os.O_RDONLY):  # NFS locks what can be written to; no folder can be opened so
        with suppress(OSError):
            return os.open(path, access | os.O_NOFOLLOW | os.O_NONBLOCK)
    return None


def _is_locked(descriptor: int) -> bool | None:
    try:
        return not lock_descriptor(descriptor, blocking=False)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return None


def remove_if_abandoned(path: str, is_own: bool) -> bool:
    """Remove an unfinished file or folder unless a live process may be writing it.

    Args:
        path: of it.
        is_own: whether a process of this host has made it.

    Returns:
        Whether it is removed.
    """
    with is_held(path) as held:
        is_free = held is False and is_own
        return not held and (is_free or _is_old(path)) and _remove(path)


def remove_unless_held(path: str, until: float) -> bool:
    """Remove an unfinished file or folder that only one run may write, unless a live process holds it.

    Args:
        path: of it.
        until: by `time.monotonic()`, to which the end of a process is waited for: one that was just killed
            holds what it wrote a moment longer.

    Returns:
        Whether it is removed.
    """
    while True:
        with is_held(path) as held:
            if not held:
                return _remove(path)
        if time.monotonic() >= until:
            return False
        time.sleep(_LOOK_SECONDS)


def _is_old(path: str) -> bool:
    with suppress(OSError):
        return time.time() - os.lstat(path).st_mtime > _ABANDONED_SECONDS
    return False


def _remove(path: str) -> bool:
    with suppress(OSError):
        if stat.S_ISDIR(os.lstat(path).st_mode):
            shutil.rmtree(path)
        else:
            os.unlink(path)
        return True
    return False


def _is_there(path: str | os.PathLike) -> bool:
    """Whether what has just been made is still at its path: nothing else gets a name with a random token.

    The number of a file would not say it, since some network disks change that each time.
    """
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    return True
