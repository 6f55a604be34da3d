"""The file systems of fsspec other than S3, with the methods that storage calls: those of :class:`.s3.S3`."""

from collections.abc import Mapping
from functools import partial
from typing import Any, BinaryIO

from dimmagen.core.storage import remote


class FsspecFiles:
    """A file system of fsspec; its errors are to be translated by :func:`.remote.explained`.

    Args:
        filesystem: of fsspec.
        path: fsspec URL that it was opened for, for messages.

    Attributes:
        shows_unfinished: whether what is there of a file is seen while it is being uploaded.
    """

    def __init__(self, filesystem: Any, path: str) -> None:
        self.filesystem = filesystem
        self._path = path

    @property
    def shows_unfinished(self) -> bool:
        return remote.is_of_files(self.filesystem)

    def forget(self) -> None:
        """Forget listings of before."""
        self.filesystem.invalidate_cache()

    def exists(self, place: str) -> bool:
        return remote.exists(self.filesystem, place)

    def isfile(self, place: str) -> bool:
        return bool(self.filesystem.isfile(place))

    def isdir(self, place: str) -> bool:
        return bool(self.filesystem.isdir(place))

    def ls(self, place: str) -> list[str]:
        """Places of the files and folders directly below a folder."""
        return list(self.filesystem.ls(place, detail=False))

    def find(self, place: str) -> dict[str, tuple[int, str]]:
        """Size and stamp of every file below a folder; fsspec's `find` leaves out what cannot be listed."""
        found: dict[str, tuple[int, str]] = {}
        folders = [place]
        while folders:
            listed = folders.pop()
            for entry in self.filesystem.ls(listed, detail=True):
                if entry["type"] == "directory" and entry["name"].rstrip("/") != listed.rstrip("/"):
                    folders.append(entry["name"])
                elif entry["type"] == "file":
                    found[entry["name"]] = entry["size"] or 0, _etag(entry)
        return found

    def etag(self, place: str) -> str:
        """What the server says that changes with the bytes of a file; empty if it says nothing."""
        return _etag(self.filesystem.info(place))

    def cat_file(self, place: str, start: int | None = None, end: int | None = None) -> bytes:
        """The bytes of a file, or its range [`start`, `end`), cut at the end of the file."""
        if start is None or end is None:
            return remote.found(self.filesystem, partial(self.filesystem.cat_file, place))
        return remote.read_range(self.filesystem, place, start, end)

    def open(self, place: str) -> BinaryIO:
        """A file for reading at random positions."""
        return remote.open_reader(self.filesystem, place, self._path)

    def put_file(self, file: str, place: str, unfinished: str) -> None:
        """Upload a local file, whole or not at all; `unfinished` is its name until it is whole."""
        self.filesystem.makedirs(self.filesystem._parent(place), exist_ok=True)
        remote.put_file(self.filesystem, file, place, unfinished)

    def rm_file(self, place: str) -> None:
        """Remove a file or an empty folder."""
        remote.remove(self.filesystem, place)

    def abort_uploads(self, place: str) -> list[str]:
        """Discard uploads to a folder that were never completed; there are none that no listing shows."""
        return []


def _etag(entry: Mapping[str, Any]) -> str:
    tag = entry.get("ETag")
    return tag if isinstance(tag, str) and not tag.startswith("W/") else ""  # a weak one allows other bytes
