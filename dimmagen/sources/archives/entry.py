"""One file in a folder or an archive, and the bytes at its place."""

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError

JOIN_PARTS = "it is one part of several by its name: join them to one file first"
REPLACED = "is replaced by a later member of the same name"
_PART = re.compile(r"\.(z\d\d|\d{3}|part[-_]?\w{1,3}|part\d+\.rar)$", re.IGNORECASE)


class DamagedArchiveError(DimmagenError):
    """The bytes of an archive are not those of its member: the one fault of an archive that is a verdict."""

    code = "archive"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file in a folder or an archive.

    Attributes:
        name: POSIX path below the folder or inside the archive.
        size: bytes, according to the folder or the archive's directory.
        locator: argument of :func:`dimmagen.sources.archives.read_entry`.
        refusal: why the entry cannot be read (a link, a device, encrypted ...); empty when it can.
        stamp: of the file or the archive, see :func:`dimmagen.core.storage.stamp`; may be empty.
    """

    name: str
    size: int
    locator: dict[str, Any]
    refusal: str = ""
    stamp: str = ""


def with_replaced(members: Iterable[tuple[str, int, Entry]]) -> Iterator[Entry]:
    """The entries of one archive; of several members with one name, who unpacks it has the last.

    `tar --append` and `--update` leave the earlier ones in the archive.

    Args:
        members: in stored order: name in the archive, place, and an entry. An archive inside it has one name
            and place for all of its entries.

    Yields:
        Each entry, with :data:`REPLACED` as the refusal of those that are replaced.
    """
    found = [(posixpath.normpath(name), place, entry) for name, place, entry in members]
    # A second hard link to a file is stored as a link of its name to itself, which replaces nothing.
    last = {name: place for name, place, entry in found if not entry.refusal}
    for name, place, entry in found:
        is_last = entry.refusal or last[name] == place
        yield entry if is_last else replace(entry, refusal=REPLACED)


def read_bytes(path: str, offset: int, size: int) -> bytes:
    """A range of the bytes of an archive. Raises DamagedArchiveError if the archive ends within it."""
    data = storage.read_range(path, offset, size)
    if len(data) != size:
        raise DamagedArchiveError(f"{path} ends within a member", incomplete(path), path=path)
    return data


def is_part(path: str) -> bool:
    """Whether a file is one part of an archive by its name, such as `photos.zip.001` or `x.tar.part2`."""
    return bool(_PART.search(path.replace("\\", "/").rpartition("/")[2]))


def incomplete(path: str) -> str:
    """What to do about an archive that is not whole."""
    return JOIN_PARTS if is_part(path) else "it may be truncated: fetch it again"
