"""The registry of formats of files that hold images, besides zip and tar: see docs/extending.md."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from dimmagen.core.registry import Registry, missing

ArchiveMember = tuple[str, int, Any]
"""Name of an image, with an ending as image files have it; its bytes; and its place, a value of JSON."""


class ArchiveFormat(Protocol):
    """A format of files each of which holds images, such as Parquet.

    Attributes:
        endings: of the names of such files, with the dot, in lower case.
    """

    endings: tuple[str, ...]

    def members(self, path: str) -> Iterable[ArchiveMember]:
        """The images of a file, of different names; none of a file that holds something else.

        Args:
            path: local path or fsspec URL.
        """
        ...

    def read(self, path: str, place: Any) -> bytes:
        """The bytes of one image file, as they were packed; called in any order, by several threads.

        Args:
            path: as for :meth:`members`, maybe on another machine.
            place: of the image.
        """
        ...


def format_faults(name: str, archive: Any) -> Iterator[str]:
    """Why an object cannot be an archive format, for the registry."""
    lacking = list(missing(archive, ("endings",), ("members", "read")))
    yield from lacking
    if lacking:
        return
    endings = (archive.endings,) if isinstance(archive.endings, str) else archive.endings
    if not isinstance(endings, tuple) or not endings:
        yield f"its endings are {endings!r}, not a tuple such as ('.parquet',)"
    elif wrong := [
        one for one in endings if not isinstance(one, str) or not re.fullmatch(r"(\.[^.A-Z]+)+", one)
    ]:
        yield f"its endings have {wrong[0]!r}: each begins with a dot and is in lower case"


ARCHIVES: Registry[ArchiveFormat] = Registry(
    "archive format", "dimmagen.archives", instantiate=True, faults=format_faults
)


def format_of(path: str) -> str:
    """The name of the format of a file, by its ending; empty for none of them."""
    lower = path.lower()
    return next((name for name in ARCHIVES if lower.endswith(ARCHIVES[name].endings)), "")
