"""What processes need to hand over batches: sockets, and shared memory, of which containers have little."""

import multiprocessing
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Listener

from dimmagen.core.errors import DimmagenError

# Semaphores in shared memory that a DataLoader makes, and as many again.
_LOCKS, _LOCKS_PER_READER = 16, 6


def refuse_readers_without_means(readers: int, parameter: str) -> None:
    """Refuse readers where no shared memory can be written to, or where no socket can be made.

    A DataLoader that finds no memory for its locks cannot even be dropped without a traceback, and one whose
    readers have no socket waits for them forever.

    Args:
        readers: number of processes.
        parameter: the argument that says how many.

    Raises:
        DimmagenError: there is none.
    """
    if hasattr(socket, "AF_UNIX") and sys.platform != "win32":
        try:
            Listener(family="AF_UNIX").close()  # as multiprocessing makes them, in its temporary folder
        except OSError as error:
            raise DimmagenError(
                f"processes cannot be connected by sockets in the folder for temporary files "
                f"({tempfile.tempdir or 'none'}: {error.strerror or error})",
                f"give `{parameter}=0`, or set TMPDIR to a short path on a local disk",
                code="machine",
                parameter=parameter,
            ) from error
    try:
        _ = [multiprocessing.Lock() for _ in range(_LOCKS + _LOCKS_PER_READER * readers)]
    except OSError as error:
        raise _no_shared_memory(f"cannot be used ({error.strerror})", parameter) from error


@contextmanager
def shared_memory_for(parameter: str) -> Iterator[None]:
    """Turn torch's errors of a full shared memory, or too many open files, into ones that say what to do.

    Args:
        parameter: as for :func:`refuse_readers_without_means`.
    """
    try:
        yield
    except RuntimeError as error:  # also of a reader that was killed, by SIGBUS for one
        if "Too many open files" in str(error):
            raise DimmagenError(
                "this process has too many open files: each tensor of a batch that is kept is one",
                "keep fewer batches, or copies of their tensors (`clone()`), raise the limit (ulimit -n), or "
                f"give `{parameter}=0`",
                code="machine",
                parameter=parameter,
            ) from error
        if "shared memory" not in str(error):
            raise
        raise _no_shared_memory("is full", parameter) from error


def _no_shared_memory(what: str, parameter: str) -> DimmagenError:
    return DimmagenError(
        f"the shared memory of this machine (/dev/shm on Linux) {what}",
        f"give fewer `{parameter}` or `{parameter}=0`, or the container more of it (its shm-size)",
        code="machine",
        parameter=parameter,
    )
