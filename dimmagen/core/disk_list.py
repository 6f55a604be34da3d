"""Records on disk instead of in memory: what there are millions of, while a run goes on."""

import os
import sys
import tempfile
from collections.abc import Iterator
from threading import Lock

import numpy as np

_READ_AHEAD = 2048  # records


class DiskList:
    """Byte strings in the order in which they were added, read back by number.

    They lie in unnamed temporary files, which are gone with the process however it ends; no memory is kept
    for a record. `TMPDIR` says in which folder.

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
        """All records, some thousands read at a time."""
        start = 0
        for first in range(0, len(self), _READ_AHEAD):
            ends = self._ends[first : first + _READ_AHEAD].tolist()
            block, place = self._data.read(start, ends[-1] - start), 0
            for end in ends:
                yield block[place : end - start]
                place = end - start
            start = ends[-1]


class DiskIntegers:
    """Whole numbers below 2**64 on disk, in the order in which they were added; sliced into uint64 arrays."""

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
    """A temporary file that is written at its end and read anywhere."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="dimmagen-", buffering=2**16)  # noqa: SIM115
        self._dirty = False
        self._moving = Lock()
        self.size = 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._dirty = True
        self.size += len(data)

    def read(self, start: int, size: int) -> bytes:
        if self._dirty:
            self._file.flush()
            self._dirty = False
        descriptor = self._file.fileno()
        if hasattr(os, "pread"):
            return os.pread(descriptor, size, start)
        with self._moving:  # Windows only reads where the file stands, which is what its next write goes by
            os.lseek(descriptor, start, os.SEEK_SET)
            try:
                return os.read(descriptor, size)
            finally:
                os.lseek(descriptor, 0, os.SEEK_END)
