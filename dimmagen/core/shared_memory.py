"""The shared memory in which processes hand over their batches: containers have 64 MB of it, or none."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager

from dimmagen.core.errors import DimmagenError

# Semaphores in shared memory that a DataLoader makes, and as many again.
_LOCKS, _LOCKS_PER_READER = 16, 6


def refuse_without_shared_memory(readers: int, parameter: str) -> None:
    """Refuse readers where no shared memory can be written to.

    A DataLoader that finds none for its locks cannot even be dropped without a traceback.

    Args:
        readers: number of processes.
        parameter: the argument that says how many.

    Raises:
        DimmagenError: there is none.
    """
    try:
        _ = [multiprocessing.Lock() for _ in range(_LOCKS + _LOCKS_PER_READER * readers)]
    except OSError as error:
        raise _no_shared_memory(f"cannot be used ({error.strerror})", parameter) from error


@contextmanager
def shared_memory_for(parameter: str) -> Iterator[None]:
    """Turn torch's errors of a full shared memory inside the block into one that says what to do.

    Args:
        parameter: as for :func:`refuse_without_shared_memory`.
    """
    try:
        yield
    except RuntimeError as error:  # also of a reader that was killed, by SIGBUS for one
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
