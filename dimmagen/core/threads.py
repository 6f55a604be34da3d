"""Threads for work that releases the GIL: decoding, hashing, compressing, reading."""

import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from threadpoolctl import threadpool_limits

from dimmagen.core.numba_settings import numba_settings_errors
from dimmagen.core.processors import processor_count

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_COMPUTING = ("torch", "numba")  # libraries with their own threads
_AHEAD = 4  # results per thread: enough to keep it busy, few enough to hold in memory


def ordered_map(
    function: Callable[[_Item], _Result], items: Iterable[_Item], workers: int
) -> Generator[_Result, None, None]:
    """`map` with threads: results in the order of the items, a bounded number ahead of the consumer.

    Raises:
        Exception: the first that `function` raises; items not yet started are then skipped.
    """
    pending: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) >= workers * _AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def in_threads(function: Callable[..., _Result], *arguments: Sequence) -> list[_Result]:
    """`[*map(function, *arguments)]` in as many threads as there are processors, and items."""
    items = list(zip(*arguments, strict=True))
    workers = min(processor_count(), len(items))
    return list(ordered_map(lambda item: function(*item), items, max(workers, 1)))


@contextmanager
def one_thread() -> Iterator[None]:
    """Let libraries compute in one thread inside the block.

    Workers share the processors, and the order of sums is fixed: NumPy's and SciPy's BLAS splits the sums of
    long vectors as torch does. The numbers of threads are restored after the block: the process may belong to
    the user.
    """
    with _restored_threads(), threadpool_limits(1, "blas"):
        _compute_in_one_thread()
        yield


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Let torch, which is imported, compute in that many threads inside the block."""
    with _restored_threads():
        sys.modules["torch"].set_num_threads(number)
        yield


@contextmanager
def _restored_threads() -> Iterator[None]:
    with numba_settings_errors():  # it starts its threads
        before = {name: sys.modules[name].get_num_threads() for name in _COMPUTING if name in sys.modules}
    try:
        yield
    finally:
        for name, threads in before.items():
            sys.modules[name].set_num_threads(threads)


def use_one_thread() -> None:
    """Compute in one thread from now on; for processes that this package starts."""
    threadpool_limits(1, "blas")
    _compute_in_one_thread()


def _compute_in_one_thread() -> None:
    with numba_settings_errors():
        for name in _COMPUTING:  # only those that are imported
            if name in sys.modules:
                sys.modules[name].set_num_threads(1)
