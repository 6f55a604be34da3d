"""Kernels compiled by numba, with a cache on disk that speeds up a start and is never needed for one.

numba itself refuses to import a cached function where it finds no folder to write to, and raises from inside
the first call if the cache is damaged or the disk is full. Here each of these is one warning, and the kernel
is compiled for this process.
"""

import hashlib
import logging
import os
from collections.abc import Callable
from functools import cache
from typing import Any

from dimmagen.core.numba_settings import numba_settings_errors

with numba_settings_errors():
    import numba
    from numba.core import caching

_LOG = logging.getLogger(__name__)
_DIGEST_BYTES = 32


class DamagedEntryError(Exception):
    """A file of the cache does not have the bytes that were written to it."""


class _CheckedFiles(caching.IndexDataCacheFile):
    """The files of a kernel's cache; each begins with the SHA-256 of the rest.

    A changed byte of machine code could otherwise end the process, or change pixels. So could that of other
    arguments: numba numbers the entries, and two processes that compile at the same time may take one number.
    Each entry therefore says what it is of.
    """

    def __init__(self, *place: Any) -> None:
        super().__init__(*place)
        self._version = f"{numba.__version__}, entries with their keys"

    def save(self, key: Any, data: Any) -> None:
        super().save(key, (key, data))

    def load(self, key: Any) -> Any:
        of, data = super().load(key) or (None, None)
        return data if of == key else None

    def _load_index(self) -> dict:
        try:
            version, stamp, overloads = _read(self._index_path)
        except FileNotFoundError:
            return {}
        return overloads if (version, stamp) == (self._version, self._source_stamp) else {}

    def _save_index(self, overloads: dict) -> None:
        self._write(self._index_path, (self._version, self._source_stamp, overloads))

    def _load_data(self, name: str) -> Any:
        return _read(self._data_path(name))

    def _save_data(self, name: str, data: Any) -> None:
        self._write(self._data_path(name), data)

    def _write(self, path: str, content: Any) -> None:
        data = self._dump(content)
        with self._open_for_write(path) as file:
            file.write(hashlib.sha256(data).digest() + data)

    def discard(self) -> None:
        """Remove the index, and with it every entry."""
        os.unlink(self._index_path)


def _read(path: str) -> Any:
    with open(path, "rb") as file:
        digest, data = file.read(_DIGEST_BYTES), file.read()
    if hashlib.sha256(data).digest() != digest:
        raise DamagedEntryError(path)
    return caching.pickle.loads(data)


class _Impl(caching.CompileResultCacheImpl):
    def get_filename_base(self, fullname: str, abiflags: str) -> str:
        return f"{super().get_filename_base(fullname, abiflags)}.checked"


class KernelCache(caching.FunctionCache):
    """The cache of one kernel, none of whose failures reaches the caller."""

    _impl_class = _Impl
    _cache_file: _CheckedFiles

    def __init__(self, function: Callable) -> None:
        super().__init__(function)
        self._cache_file = _CheckedFiles(
            self.cache_path, self._impl.filename_base, self._impl.locator.get_source_stamp()
        )

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # what a damaged file raises is not limited to a few types
            self._make_again(error)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except DamagedEntryError as error:
            self._make_again(error)
        except OSError as error:
            self.disable()
            _warn_once(
                f"numba's cache in {self.cache_path} cannot be written ({error.strerror or error})", _WAY_OUT
            )

    def _make_again(self, error: Exception) -> None:
        reason = "is damaged" if isinstance(error, DamagedEntryError) else f"cannot be read ({error})"
        _warn_once(f"an entry of numba's cache in {self.cache_path} {reason}", "it is made again")
        try:
            self._cache_file.discard()
        except OSError:  # then it is compiled for this process, each time
            self.disable()


_WAY_OUT = (
    "kernels are compiled in each process, which takes some seconds; set NUMBA_CACHE_DIR to a folder that "
    "can be written to"
)


@cache
def _warn_once(what: str, then: str) -> None:
    _LOG.warning("%s: %s", what, then)


def jit(**options: Any) -> Callable[[Callable], Any]:
    """Like `numba.njit(cache=True, **options)`, for machines on which numba cannot use a cache as well.

    Returns:
        A decorator for functions of a module.
    """

    def compiled(function: Callable) -> Any:
        dispatcher = numba.njit(**options)(function)
        if dispatcher is function:  # NUMBA_DISABLE_JIT
            return dispatcher
        if not os.path.isabs(os.path.expanduser("~")) and not getattr(numba.config, "CACHE_DIR", ""):
            # numba would make a folder named "~" in the working directory.
            _warn_once("numba's cache has no place: HOME is not set", _WAY_OUT)
            return dispatcher
        try:
            dispatcher._cache = KernelCache(function)
        except (OSError, RuntimeError) as error:
            reason = "no folder can be written to" if isinstance(error, RuntimeError) else str(error)
            _warn_once(f"numba's cache has no place: {reason}", _WAY_OUT)
        return dispatcher

    return compiled
