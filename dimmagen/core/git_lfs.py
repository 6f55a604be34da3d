"""Pointers that Git LFS leaves in the place of files that it has not fetched, as after a `git clone`."""

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError

_BEGINNING = b"version https://git-lfs.github.com/spec/"


def refuse_pointer(path: str) -> None:
    """Refuse a file that is a pointer; one that cannot be read is for others to judge.

    Args:
        path: local path or fsspec URL of a file that is not what it should be.

    Raises:
        DimmagenError: Git LFS has not fetched the file.
    """
    try:
        beginning = storage.read_range(path, 0, len(_BEGINNING))
    except OSError:
        return
    if beginning == _BEGINNING:
        raise DimmagenError(
            f"{path} is a Git LFS pointer instead of the file",
            "fetch the files with `git lfs pull`",
            code="damaged",
            path=path,
        )
