"""Telling the trouble of a machine from what the bytes of a file prove.

A full memory, a stale network disk or too many open files say nothing about the file that was being read:
they end a run with the path and what to do, and are never a verdict on an image or the fault of a data set.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from dimmagen.core.errors import MachineError, Ways

_AGAIN = "run the same command again; what is complete stays valid"
_TODO = {
    errno.ENOMEM: Ways.of("close other programs", "give fewer `workers`", then=_AGAIN),
    errno.EMFILE: Ways.of("raise the limit (ulimit -n)", "give fewer `workers`", then=_AGAIN),
    errno.ENFILE: Ways.of("close other programs", then=_AGAIN),
    errno.EACCES: Ways.of("make it readable", "leave it out", then=_AGAIN),
    errno.EPERM: Ways.of("make it readable", "leave it out", then=_AGAIN),
    errno.ENOSPC: Ways.of("free some space", then=_AGAIN),
    errno.EDQUOT: Ways.of("free some space", then=_AGAIN),
}
# What disks, networks and limits say, by its name: some systems lack some of them.
_NAMES = (
    "EAGAIN EBUSY ECONNABORTED ECONNREFUSED ECONNRESET EHOSTDOWN EHOSTUNREACH EINTR EIO ENETDOWN ENETRESET "
    "ENETUNREACH ENOBUFS ENODEV ENOLINK ENOTCONN ENXIO EPIPE EREMOTEIO EROFS ESTALE ETIMEDOUT"
)
_TROUBLE = {*_TODO, *(getattr(errno, name) for name in _NAMES.split() if hasattr(errno, name))}
# Where a library says so in words alone: Pillow's decoders, and threads that cannot be started.
_WORDS = ("out of memory", "can't start new thread")


def is_machine_trouble(error: BaseException) -> bool:
    """Whether an error says something about the machine, and nothing about the bytes that were read."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _TROUBLE
    return isinstance(error, (OSError, RuntimeError)) and any(words in str(error) for words in _WORDS)


def machine_error(error: BaseException, path: str | os.PathLike) -> MachineError:
    """The error that ends a run because of the machine.

    Args:
        error: one for which :func:`is_machine_trouble` holds.
        path: what was being read, for the message.
    """
    number = errno.ENOMEM if isinstance(error, MemoryError) else getattr(error, "errno", None)
    reason = os.strerror(number) if number else " ".join(str(error).split())
    todo = _TODO.get(number or 0, Ways.of("check the disk or the network", then=_AGAIN))
    return MachineError(f"this machine failed at {os.fspath(path)}: {reason}", todo, path=os.fspath(path))


@contextmanager
def machine_trouble(path: str | os.PathLike) -> Iterator[None]:
    """Turn the trouble of the machine inside the block into a MachineError that names the path."""
    try:
        yield
    except Exception as error:
        if not is_machine_trouble(error):
            raise
        raise machine_error(error, path) from error
