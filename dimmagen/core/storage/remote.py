"""Places behind fsspec URLs other than S3: their errors in words, ranges where a server knows none, and files
that appear whole where an upload is written as it comes."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, BinaryIO, TypeVar, cast

from dimmagen.core.errors import DimmagenError, RefusedError, UnavailableError
from dimmagen.core.storage.range_reader import RangeReader, tell_of_whole_files

_REFUSED = (401, 403)
_NO_WRITING = (405, 501)
_ABSENT = (404, 410, None)  # fsspec says of any other status as well that there is no file
_HTTP = {"http", "https"}
# Servers of files: what they have of an upload is there, and they rename. An object appears when it is whole.
_OF_FILES = {"sftp", "ssh", "ftp", "smb", "hdfs", "webhdfs"}
_SILENT = {"webhdfs"}  # its answer that nothing was renamed, because the new name exists, is not an error
_BLOCK = 4 * 2**20
Read = TypeVar("Read")


@contextmanager
def explained(path: str | os.PathLike) -> Iterator[None]:
    """Turn what a file system raises inside the block into an error that names the path.

    Each library has its own errors, of which few are an OSError. None of them says anything of the bytes that
    are stored there.

    Raises:
        FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError: as they are.
        RefusedError: access is refused, or the place cannot be written to.
        UnavailableError: anything else.
    """
    try:
        yield
    except FileNotFoundError as error:
        if _status(error.__cause__) in _ABSENT:
            raise
        raise _explanation(cast(Exception, error.__cause__), os.fspath(path)) from error
    except (DimmagenError, FileExistsError, IsADirectoryError, NotADirectoryError):
        raise
    except Exception as error:
        raise _explanation(error, os.fspath(path)) from error


def _status(error: BaseException | None) -> int | None:
    """The HTTP status of an error; None if there was no answer."""
    return getattr(error, "status", None) or getattr(error, "status_code", None)


def _explanation(error: Exception, path: str) -> DimmagenError:
    status = _status(error)
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, NotImplementedError) or status in _NO_WRITING:
        return RefusedError(f"{path} cannot be written to", "give a local path or an s3:// URL", path=path)
    if isinstance(error, PermissionError) or status in _REFUSED:
        return RefusedError(
            f"{path} refuses access ({reason})", "check the URL and its permissions", path=path
        )
    todo = "check the URL and the network, then run the same command again; what is complete stays valid"
    return UnavailableError(f"{path} cannot be reached ({reason})", todo, path=path)


def exists(filesystem: Any, place: str) -> bool:
    """Whether there is anything; errors are to be translated by :func:`explained`."""
    if not _is_http(filesystem):
        return bool(filesystem.exists(place))
    try:
        filesystem.info(place)
    except FileNotFoundError as error:
        if _status(error.__cause__) in _ABSENT:
            return False
        raise
    return True


def found(filesystem: Any, read: Callable[[], Read]) -> Read:
    """What a function reads; it may have taken a new file for missing because of a listing of before.

    Raises:
        FileNotFoundError: the file is missing now.
    """
    try:
        return read()
    except FileNotFoundError:
        filesystem.invalidate_cache()
        return read()


def read_range(filesystem: Any, place: str, start: int, end: int) -> bytes:
    """The bytes [`start`, `end`) of a file, cut at its end, also from a server that sends the whole file."""
    if start >= end:
        return b""
    data: bytes = found(filesystem, partial(filesystem.cat_file, place, start=start, end=end))
    # What came is the whole file if it is more than was asked for, or ends where the file does.
    is_whole = start > 0 and _is_http(filesystem) and 0 < len(data) == filesystem.size(place)
    if len(data) > end - start or is_whole:
        tell_of_whole_files(place.split("/")[2] if "://" in place else place)
        return data[start:end]
    return data


def open_reader(filesystem: Any, place: str, path: str) -> BinaryIO:
    """A file for reading at random positions, with errors as of :func:`explained`."""
    with explained(path):
        if not _is_http(filesystem):
            file = found(filesystem, partial(filesystem.open, place, "rb"))
            return cast(BinaryIO, io.BufferedReader(_Explained(file, path, filesystem), _BLOCK))
        size = filesystem.size(place)
        if size is None:  # a server that does not say
            return io.BytesIO(filesystem.cat_file(place))
    return cast(BinaryIO, io.BufferedReader(RangeReader(size, _Ranges(filesystem, place, path)), _BLOCK))


def put_file(filesystem: Any, file: str, place: str, unfinished: str) -> None:
    """Upload a local file, whole or not at all; errors are to be translated by :func:`explained`.

    Args:
        filesystem: with the folder of `place`.
        file: local path.
        place: of the new file, which replaces one that is there.
        unfinished: a name next to it, under which servers of files have it until it is whole.
    """
    if not is_of_files(filesystem):
        filesystem.put_file(file, place)
        return
    temporary = f"{filesystem._parent(place).rstrip('/')}/{unfinished}"
    try:
        filesystem.put_file(file, temporary)
        is_renamed = _rename(filesystem, temporary, place)
    except BaseException:
        with suppress(Exception):
            filesystem.rm_file(temporary)
        raise
    if not is_renamed:
        filesystem.rm_file(temporary)
        filesystem.put_file(file, place)


def _rename(filesystem: Any, old: str, new: str) -> bool:
    """Rename a file; False where the server does not know how."""
    with suppress(Exception):
        filesystem.mv(old, new)
        if not (_SILENT & _protocols(filesystem) and filesystem.exists(old)):
            return True
    if not filesystem.exists(new):
        return False
    filesystem.rm_file(new)  # FTP, SMB and HDFS may not replace a file by renaming another one
    with suppress(Exception):
        filesystem.mv(old, new)
        return True
    return False


def remove(filesystem: Any, place: str) -> None:
    """Remove a file or an empty folder; errors are to be translated by :func:`explained`.

    Raises:
        FileNotFoundError: there is none, for which FTP has other words.
    """
    try:
        if filesystem.isdir(place):
            filesystem.rmdir(place)
        else:
            filesystem.rm_file(place)
    except Exception as error:
        if not exists(filesystem, place):
            raise FileNotFoundError(place) from error
        raise


def is_of_files(filesystem: Any) -> bool:
    """Whether what is there of a file is seen while it is being uploaded."""
    return bool(_OF_FILES & _protocols(filesystem))


def _is_http(filesystem: Any) -> bool:
    return bool(_HTTP & _protocols(filesystem))


def _protocols(filesystem: Any) -> set[str]:
    protocols = filesystem.protocol
    return {protocols} if isinstance(protocols, str) else {*protocols}


class _Explained(io.RawIOBase):
    """An open file of another library, with errors as of :func:`explained`."""

    def __init__(self, file: Any, path: str, filesystem: Any) -> None:
        self._file = file
        self._path = path
        self._filesystem = filesystem  # that of a zip closes the zip when nobody has it any more

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with explained(self._path):
            return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: Any) -> int:
        with explained(self._path):
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Ranges:
    """Ranges of a file by one request each, or by one for all where the server knows no ranges."""

    def __init__(self, filesystem: Any, place: str, path: str) -> None:
        self._filesystem = filesystem
        self._place = place
        self._path = path
        self._whole: bytes | None = None

    def __call__(self, start: int, end: int) -> bytes:
        if self._whole is None:
            with explained(self._path):
                data: bytes = self._filesystem.cat_file(self._place, start=start, end=end)
            if len(data) <= end - start:
                return data
            self._whole = data
        return self._whole[start:end]
