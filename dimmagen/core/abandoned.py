"""What a killed process left unfinished, told from what a living process writes.

A process locks the unfinished file or folder that it writes, and the system takes the lock back when the
process ends, however it ends. A disk may have no locks, or locks for each host alone, and Windows locks no
folder: what no lock can tell, such as what another host has made, is abandoned after a day without a change.
"""

import os
import platform
import shutil
import stat
import time
from contextlib import suppress
from functools import cache
from hashlib import sha256

from filelock import lock_descriptor

_ABANDONED_SECONDS = 24 * 3600


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


def remove_if_abandoned(path: str, is_own: bool) -> bool:
    """Remove an unfinished file or folder unless a living process may be writing it.

    Args:
        path: of it.
        is_own: whether a process of this host has made it.

    Returns:
        Whether it is removed.
    """
    try:
        descriptor = None if os.name == "nt" else os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        if not _is_free(descriptor, is_own) and not _is_old(path):
            return False
        return _remove(path)
    except BlockingIOError:
        return False
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _is_free(descriptor: int | None, is_own: bool) -> bool:
    """Whether the lock says that it is abandoned; raises BlockingIOError if a process holds it."""
    if descriptor is None:
        return False
    try:
        if not lock_descriptor(descriptor, blocking=False):
            raise BlockingIOError
    except BlockingIOError:
        raise
    except OSError:  # a file system without locks
        return False
    return is_own


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
