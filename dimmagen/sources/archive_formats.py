"""The registry of formats of files that hold images, beside zip and tar: see docs/extending.md."""

from collections.abc import Iterable
from typing import Any, Protocol

from dimmagen.core.registry import Registry

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


ARCHIVES: Registry[ArchiveFormat] = Registry("archive format", "dimmagen.archives", instantiate=True)


def format_of(path: str) -> str:
    """The name of the format of a file, by its ending; empty for none of them."""
    lower = path.lower()
    return next((name for name in ARCHIVES if lower.endswith(ARCHIVES[name].endings)), "")
