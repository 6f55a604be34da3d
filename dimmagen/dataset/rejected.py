"""The candidates that a data set rejected: the rows of files that are trusted only by their hashes."""

from collections.abc import Iterator

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError
from dimmagen.core.git_lfs import refuse_pointer
from dimmagen.core.parquet import iter_rows
from dimmagen.dataset.manifest import FileEntry, Manifest
from dimmagen.sources.catalog import REJECTED_SCHEMA

_FOLDER = "rejected/"


def rejected_entries(manifest: Manifest) -> list[FileEntry]:
    """The files of rejected candidates, one for each generation."""
    return [entry for entry in manifest.files if entry.name.startswith(_FOLDER)]


def rejected_rows(out: str, manifest: Manifest) -> Iterator[dict]:
    """The rows of all rejected candidates, generation by generation; errors as of :func:`read_rejected`."""
    for entry in rejected_entries(manifest):
        yield from read_rejected(out, entry)


def read_rejected(out: str, entry: FileEntry) -> Iterator[dict]:
    """The rows of one file of rejected candidates.

    Args:
        out: folder or fsspec URL of the data set.
        entry: of the file, in the manifest of the data set.

    Raises:
        DimmagenError: the file is missing, or is not that of the manifest.
    """
    path = storage.join(out, entry.name)
    try:
        is_named = storage.size_and_sha256(path) == (entry.bytes, entry.sha256)
    except FileNotFoundError:
        is_named = True  # reading it says that it is missing
    if not is_named:
        refuse_pointer(path)
        raise DimmagenError(
            f"{path} is not the file that the manifest names",
            f"run `verify({out})`",
            code="damaged",
            path=path,
        )
    yield from iter_rows(path, REJECTED_SCHEMA)
