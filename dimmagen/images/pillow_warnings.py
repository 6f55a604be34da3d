"""Pillow's warnings, which concern no user, without a trace in the process."""

import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from threading import Lock
from typing import cast

# In the form of an entry in `warnings.filters`.
_PILLOW_FILTER = ("ignore", None, Warning, re.compile(r"PIL\."), 0)
_CONTEXT_AWARE = getattr(sys.flags, "context_aware_warnings", False)  # from Python 3.14 on


def ignored_warnings() -> AbstractContextManager:
    """Ignore the warnings of Pillow while a thread is inside the block.

    Pillow warns about damaged metadata, and about large images below the limit of the codec. Neither
    concerns the user, and no image must be rejected because a process turns warnings into errors.
    """
    return _caught_warnings() if _CONTEXT_AWARE else _SHARED


@contextmanager
def _caught_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


class _SharedFilter:
    """One filter for all threads: the first thread adds it to `warnings.filters`, the last one removes it.

    Unless warnings are context-aware, `warnings.catch_warnings` is not thread-safe: overlapping uses may
    leave a filter in place. Each use also makes Python repeat warnings that it has already shown.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._threads = 0
        self._filters: list = []

    def __enter__(self) -> None:
        with self._lock:
            if self._threads == 0:
                self._filters = cast(list, warnings.filters)
                self._filters.insert(0, _PILLOW_FILTER)
            self._threads += 1

    def __exit__(self, *_) -> None:
        with self._lock:
            self._threads -= 1
            if self._threads == 0:
                with suppress(ValueError):  # warnings.resetwarnings() was called meanwhile
                    self._filters.remove(_PILLOW_FILTER)


_SHARED = _SharedFilter()
