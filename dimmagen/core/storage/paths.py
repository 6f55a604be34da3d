"""Local paths and fsspec URLs: which of both a text is, and how its parts are joined. No file is touched."""

import os
import re
from pathlib import Path

from dimmagen.core.errors import MachineError, UsageError
from dimmagen.core.storage import s3

# Protocols of two letters or more, so that `C://photos` is a path on Windows; `::` chains them.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+._-]+(::[A-Za-z][A-Za-z0-9+._-]+)*://")
_FILE_URL = re.compile(r"(file|local)://", re.IGNORECASE)


def local_path(path: str | os.PathLike) -> str | None:
    """The absolute path of what is on this machine; None for an fsspec URL.

    A path is never parsed as a URL: `photos::2024`, `file:x` and `a:b//c` are names like any other.

    Raises:
        MachineError: the path is relative, and the working directory was removed.
    """
    text = os.fspath(path)
    if is_url(text):
        if not (found := _FILE_URL.match(text)):
            return None
        text = text[found.end() :]
        if os.name == "nt":  # file:///C:/photos
            text = re.sub(r"^/(?=[A-Za-z]:)", "", text)
    try:
        return os.path.abspath(os.path.expanduser(text))
    except FileNotFoundError:  # which names nothing
        raise MachineError(
            "the working directory was removed", "change to another one and try again"
        ) from None


def only_local(path: str | os.PathLike) -> Path:
    """A path as it is, or that of a URL with the protocol `file`.

    Raises:
        UsageError: it is another URL, which would otherwise be taken for a path below a folder `s3:`.
    """
    text = os.fspath(path)
    if not is_url(text):
        return Path(text)
    place = local_path(text)
    if place is None:
        raise UsageError(f"{text} is a URL", "give a local or mounted path", code="usage", path=text)
    return Path(place)


def is_url(path: str) -> bool:
    """Whether a path is an fsspec URL: it begins with a protocol, or with several that are joined by `::`."""
    return bool(_URL.match(path))


def is_local(path: str | os.PathLike) -> bool:
    """Whether a path, or a URL with the protocol `file`, is on this machine."""
    return local_path(path) is not None


def join(root: str | os.PathLike, *parts: str) -> str:
    """A path below a folder or an fsspec URL; the parts are joined with slashes, also on Windows.

    An empty path is the working directory, as everywhere, and not the root of the file system. In a chained
    URL of fsspec (`zip://photos::a.zip`) the path is that of the first part with one; in a local path and in
    a key of S3, `::` is a text like any other.
    """
    folder = os.fspath(root)
    first, chained, rest = folder.partition("::")
    if chained and not is_local(folder) and not folder.startswith(s3.SCHEMES):
        in_first = "://" in first
        return f"{join(first, *parts)}::{rest}" if in_first else f"{first}::{join(rest, *parts)}"
    if _URL.fullmatch(folder):  # `memory://`, the root of that file system
        return folder + "/".join(parts)
    return "/".join([folder.rstrip("/"), *parts] if folder else parts)


def last_part(path: str) -> str:
    """The last component of a local path or URL: the name of the file or folder."""
    return os.path.basename(path.rstrip("/" + os.sep))
