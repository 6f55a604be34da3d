"""The bytes of an entry, found again by its locator."""

from typing import Any

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError
from dimmagen.core.file_names import native
from dimmagen.core.machine import is_machine_trouble, machine_error
from dimmagen.sources.archives.entry import read_bytes
from dimmagen.sources.archives.plugins import read_format
from dimmagen.sources.archives.zips import read_zip_member


def read_entry(locator: dict[str, Any]) -> bytes:
    """The bytes of one entry.

    Args:
        locator: of an :class:`Entry`.

    Raises:
        DamagedArchiveError: the archive ends early, or is damaged at this place.
        MachineError: the disk or the network fails, or the file may not be read.
        DimmagenError: the file or the archive is gone.
    """
    path = native(locator["path"])
    try:
        if locator["kind"] == "file":
            return storage.read(path)
        if locator["kind"] == "range":
            return read_bytes(path, locator["offset"], locator["size"])
        if locator["kind"] == "format":
            return read_format(path, locator)
        return read_zip_member(locator)
    except (OSError, MemoryError) as error:
        if is_machine_trouble(error):
            raise machine_error(error, path) from error
        raise DimmagenError(
            f"{path} cannot be read ({getattr(error, 'strerror', None) or error})",
            "check the source",
            code="source-changed",
            path=path,
        ) from error
