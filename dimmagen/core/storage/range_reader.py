"""A remote file that is read by ranges, as a stream."""

import errno
import io
import logging
import os
from collections.abc import Callable
from functools import cache
from typing import Any

_LOG = logging.getLogger(__name__)


class RangeReader(io.RawIOBase):
    """A file as an unbuffered stream: each read is one request.

    Args:
        size: of the file in bytes.
        read_range: returns the bytes from a start up to an end, or the first of them.
    """

    def __init__(self, size: int, read_range: Callable[[int, int], bytes]) -> None:
        self._size = size
        self._read_range = read_range
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        end = min(self._position + len(buffer), self._size)
        if end <= self._position:
            return 0
        data = self._read_range(self._position, end)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


@cache
def tell_of_whole_files(server: str) -> None:
    """Say once per server that it sends more than it is asked for."""
    _LOG.warning(
        "%s sends whole files where a part is asked for, which takes long: copy the data first", server
    )
