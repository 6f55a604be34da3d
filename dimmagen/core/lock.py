"""One writer a folder: a lock that ends with the process that holds it, however it ends."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from filelock import lock_descriptor

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError

STATE = ".dimmagen"  # what a run keeps in its folder while it writes there
_LOCK = "lock"
_held: set[int] = set()  # descriptors of this process's locks


def _let_go() -> None:
    """In a forked process: a lock is its parent's, and must not outlive that."""
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_let_go)


@contextmanager
def exclusive(out: str) -> Iterator[None]:
    """Keep other runs out of a folder for the time of the block; places behind a URL have no lock.

    The folder is made where it is missing, and removed again if nothing was written to it.

    Args:
        out: folder or fsspec URL.

    Raises:
        DimmagenError: another run is writing here.
        UsageError: the folder cannot be made or written to.
    """
    if not storage.is_local(out):
        yield
        return
    out = os.path.abspath(out)
    is_new, state = not os.path.exists(out), os.path.join(out, STATE)
    try:
        descriptor = _lock(state)
    except BlockingIOError:
        raise DimmagenError(
            f"another run is writing to {out}",
            "wait until it ends, or choose another `out` folder",
            code="locked",
            path=out,
        ) from None
    except OSError as error:
        raise UsageError(
            f"{out} cannot be written to: {error.strerror}",
            "choose another `out` folder",
            code="disk",
            path=out,
        ) from None
    _held.add(descriptor)
    try:
        yield
    finally:
        if descriptor in _held:  # not in a forked process
            folders = (state, out) if is_new else (state,)
            # While it is locked: afterwards the file may be another run's.
            removed = _remove(state, folders)
            _held.remove(descriptor)
            os.close(descriptor)
            if not removed:
                _remove(state, folders)


def _remove(state: str, folders: Iterable[str]) -> bool:
    """Remove the lock file, and the folders as far as they are empty; False where the system refuses it."""
    try:
        os.unlink(os.path.join(state, _LOCK))
    except FileNotFoundError:
        pass  # the folder itself was removed
    except PermissionError:  # of Windows: the file is open
        return False
    for folder in folders:
        with suppress(OSError):
            os.rmdir(folder)  # unless a stopped run keeps its state there
    return True


def remove_stale_lock(out: str) -> None:
    """Remove the lock of a run that was killed behind its last file; one that is held stays."""
    if storage.is_local(out) and os.path.exists(os.path.join(out, STATE, _LOCK)):
        with suppress(DimmagenError), exclusive(out):
            pass


def _lock(state: str) -> int:
    """The descriptor of a locked file, locked while it is open. BlockingIOError when it is taken."""
    path = os.path.join(state, _LOCK)
    while True:
        os.makedirs(state, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not lock_descriptor(descriptor, blocking=False):
                raise BlockingIOError
            # Windows removes no file that is open, so there it is still the one at this path.
            if os.name == "nt" or os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        except FileNotFoundError:
            pass  # the run that held it has just ended and removed it: take a new one
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
