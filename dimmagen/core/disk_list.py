"""Records on disk instead of in memory, for lists of millions of entries during a run."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from threading import Lock

import numpy as np

from dimmagen.core.temporary import temporary_folder_errors

_READ_AHEAD = 2048  # records


class DiskList:
    """Byte strings in insertion order, read back by index.

    They are stored in unnamed temporary files, which disappear with the process however it ends; no memory is
    kept per record. The environment variable `TMPDIR` sets the folder.

    Example:
        >>> words = DiskList()
        >>> for word in (b"first", b"second"):
        ...     words.append(word)
        >>> words[1], list(words), len(words)
        (b'second', [b'first', b'second'], 2)
    """

    def __init__(self) -> None:
        self._data = _File()
        self._ends = DiskIntegers()

    def append(self, record: bytes) -> None:
        self._data.write(record)
        self._ends.append(self._data.size)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> bytes:
        """One record. Raises IndexError."""
        if not 0 <= index < len(self):
            raise IndexError(f"record {index} of {len(self)}")
        before = self._ends[max(index - 1, 0) : index + 1].tolist()
        start = before[0] if index else 0
        return self._data.read(start, before[-1] - start)

    def __iter__(self) -> Iterator[bytes]:
        """All records, a few thousand read at a time."""
        start = 0
        for first in range(0, len(self), _READ_AHEAD):
            ends = self._ends[first : first + _READ_AHEAD].tolist()
            block, place = self._data.read(start, ends[-1] - start), 0
            for end in ends:
                yield block[place : end - start]
                place = end - start
            start = ends[-1]


class DiskIntegers:
    """Integers in [0, 2**64) on disk, in insertion order; slices are uint64 arrays."""

    def __init__(self) -> None:
        self._file = _File()

    def append(self, number: int) -> None:
        self._file.write(number.to_bytes(8, sys.byteorder))

    def __len__(self) -> int:
        return self._file.size // 8

    def __getitem__(self, part: slice) -> np.ndarray:
        start, stop, _ = part.indices(len(self))
        return np.frombuffer(self._file.read(8 * start, 8 * max(0, stop - start)), np.uint64)


class _File:
    """A temporary file that is appended to and read at any position."""

    def __init__(self) -> None:
        with temporary_folder_errors():
            self._file = tempfile.TemporaryFile(prefix="dimmagen-", buffering=2**16)  # noqa: SIM115
        self._dirty = False
        self._seeking = Lock()
        self.size = 0

    def __del__(self) -> None:
        """Close the file, of which Python would complain where a program makes its warnings errors."""
        if hasattr(self, "_file"):
            with suppress(OSError):  # a full disk, with records that nobody needs any more
                self._file.close()

    def write(self, data: bytes) -> None:
        with temporary_folder_errors():
            self._file.write(data)
        self._dirty = True
        self.size += len(data)

    def read(self, start: int, size: int) -> bytes:
        if self._dirty:
            with temporary_folder_errors():
                self._file.flush()
            self._dirty = False
        descriptor = self._file.fileno()
        if hasattr(os, "pread"):
            return os.pread(descriptor, size, start)
        with self._seeking:  # Windows only reads at the file position, where the next write starts
            os.lseek(descriptor, start, os.SEEK_SET)
            try:
                return os.read(descriptor, size)
            finally:
                os.lseek(descriptor, 0, os.SEEK_END)
