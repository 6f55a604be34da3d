"""Records on disk instead of in memory: what there are millions of, while a run goes on."""

import os
import tempfile
from array import array
from collections.abc import Iterator

_READ_AHEAD = 2**20


class Spool:
    """Byte strings in the order in which they were added, read back by number.

    They lie in an unnamed temporary file, which is gone with the process however it ends; 8 bytes of memory a
    record tell where. `TMPDIR` says in which folder.

    Example:
        >>> spool = Spool()
        >>> for word in (b"first", b"second"):
        ...     spool.append(word)
        >>> spool[1], list(spool), len(spool)
        (b'second', [b'first', b'second'], 2)
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="dimmagen-", buffering=_READ_AHEAD)  # noqa: SIM115
        self._ends = array("Q")
        self._flushed = True

    def append(self, record: bytes) -> None:
        self._file.write(record)
        self._ends.append(len(record) + (self._ends[-1] if self._ends else 0))
        self._flushed = False

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> bytes:
        """One record. Raises IndexError."""
        end = self._ends[index]
        start = self._ends[index - 1] if index else 0
        return self._read(start, end - start)

    def __iter__(self) -> Iterator[bytes]:
        """All records, read a megabyte or so at a time."""
        first = 0
        while first < len(self):
            start = self._ends[first - 1] if first else 0
            last = first
            while last + 1 < len(self) and self._ends[last + 1] - start <= _READ_AHEAD:
                last += 1
            block = self._read(start, self._ends[last] - start)
            place = start
            for end in self._ends[first : last + 1]:
                yield block[place - start : end - start]
                place = end
            first = last + 1

    def _read(self, start: int, size: int) -> bytes:
        if not self._flushed:
            self._file.flush()
            self._flushed = True
        return os.pread(self._file.fileno(), size, start)
