"""The file system behind an fsspec URL."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import fsspec

from dimmagen.core.errors import UsageError
from dimmagen.core.storage import remote, s3
from dimmagen.core.storage.fsspec_files import FsspecFiles

FileSystem = s3.S3 | FsspecFiles

_SFTP = ("sftp", "ssh")
_CONNECT_SECONDS = 30  # as fsspec's FTP


def open_filesystem(path: str | os.PathLike) -> tuple[FileSystem, str]:
    """The file system of an fsspec URL, and the path within it.

    Raises:
        UsageError: the protocol of the URL is unknown, or its package is not installed.
    """
    text = os.fspath(path)
    if text.startswith(s3.SCHEMES):
        return s3.S3(), text.split("://", 1)[1].rstrip("/")
    try:
        with _without_tracebacks():
            filesystem, place = fsspec.core.url_to_fs(text, **_patience(text))
    except (AttributeError, ImportError, TypeError, ValueError) as error:  # also of one that needs more
        raise _opening_error(text, error) from None
    return FsspecFiles(filesystem, text), place


@contextmanager
def _without_tracebacks() -> Iterator[None]:
    """Where no program listens to logs, what the threads of SFTP log is not printed: it is raised as well."""
    logger, handler = logging.getLogger("paramiko"), logging.NullHandler()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _patience(url: str) -> dict[str, dict[str, int]]:
    """For how long SFTP waits for a server, by protocol: only there the limit is the system's, of minutes."""
    protocols = {part.split("://", 1)[0].lower() for part in url.split("::")}
    unlimited = [name for name in _SFTP if "timeout" not in fsspec.config.conf.get(name, {})]
    return {name: {"timeout": _CONNECT_SECONDS} for name in unlimited if name in protocols}


def _opening_error(url: str, error: Exception) -> UsageError:
    failed = f"{url} cannot be opened ({error})"
    todo = "pip install aiohttp requests" if url.startswith("http") else "install the package that it names"
    if isinstance(error, ImportError):
        return UsageError(failed, todo, code="missing-package", path=url)
    return UsageError(failed, f"check the URL, or {todo}", code="usage", path=url)


@contextmanager
def remote_filesystem(path: str | os.PathLike, remembers: bool = False) -> Iterator[tuple[FileSystem, str]]:
    """:func:`open_filesystem` for a block in which its errors are translated.

    Args:
        path: an fsspec URL.
        remembers: whether the file system may answer from a listing of before; otherwise it asks again,
            because other processes write there too.
    """
    with remote.explained(path), _without_tracebacks():
        filesystem, place = open_filesystem(path)
        if not remembers:
            filesystem.forget()
        yield filesystem, place


def check_protocol(url: str) -> None:
    """Whether the file system of an fsspec URL is known here; nothing behind it is read.

    Raises:
        UsageError: its protocol is unknown, its package is not installed, or it needs more than a URL.
        RefusedError, UnavailableError: it is not there, where to know it is to connect to it.
    """
    with remote_filesystem(url):
        pass
