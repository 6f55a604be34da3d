"""Folders and archives with one label file for each image."""

from collections.abc import Callable, Iterator
from typing import Any

from dimmagen.core.errors import UsageError
from dimmagen.core.text import decoded
from dimmagen.sources.archives import Entry, list_entries, read_entry
from dimmagen.sources.labels.annotations import broken

MAX_BYTES = 64 * 2**20


class LabelFiles:
    """The label files below a folder or in an archive.

    Args:
        path: local path or fsspec URL.
        endings: of the names of label files.
        keeps: whether a file of that name holds the labels of an image.

    Raises:
        UsageError: there is no such folder, or no label file in it.
        DimmagenError: an archive is damaged.
    """

    def __init__(
        self, path: str, endings: tuple[str, ...], keeps: Callable[[str], bool] = lambda name: True
    ) -> None:
        self.path = path
        entries = list_entries(path, wanted="labels")
        self.others = {entry.name: entry for entry in entries}
        self._entries = {
            entry.name: entry
            for entry in entries
            if entry.name.lower().endswith(endings) and keeps(entry.name) and not entry.refusal
        }
        if not self._entries:
            raise UsageError(
                f"{path} has no label files",
                f"give a folder of files whose names end in {' '.join(endings)}",
                code="no-match",
                path=path,
            )

    def names(self) -> Iterator[str]:
        """Names of the label files."""
        return iter(self._entries)

    def locator(self, name: str) -> dict[str, Any]:
        """Where a label file is, for :func:`.read_entry`."""
        return self._entries[name].locator

    def data(self, name: str, entry: Entry | None = None) -> bytes:
        """The content of a label file.

        Raises:
            DimmagenError: it is too large, or cannot be read.
        """
        found = entry or self._entries[name]
        if found.size > MAX_BYTES:
            raise broken(f"{self.path}: {name}", f"{found.size} bytes are too many for a label file")
        return read_entry(found.locator)

    def text(self, name: str, entry: Entry | None = None) -> str:
        """The content as UTF-8; errors as :meth:`data`."""
        try:
            return decoded(self.data(name, entry))
        except UnicodeDecodeError:
            raise broken(f"{self.path}: {name}", "it is not UTF-8 text") from None
