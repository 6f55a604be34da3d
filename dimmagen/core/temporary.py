"""Errors of the folder for temporary files, which no path in a command names."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from dimmagen.core.errors import DimmagenError


@contextmanager
def temporary_folder_errors() -> Iterator[None]:
    """Around what writes temporary files: an error names their folder, and how to choose another one.

    Raises:
        DimmagenError: the folder is full, cannot be written to, or there is none.
    """
    try:
        yield
    except OSError as error:
        try:
            where = f"at {tempfile.gettempdir()} "
        except OSError:  # none of the places that Python tries can be written to
            where = ""
        has_too_many_files = error.errno in (errno.EMFILE, errno.ENFILE)
        room = "free some space there, or set TMPDIR to a folder with room"
        raise DimmagenError(
            f"a temporary file {where}could not be written: {error.strerror or error}",
            "raise the limit (ulimit -n), or close other programs" if has_too_many_files else room,
            code="disk",
            path=os.environ.get("TMPDIR", ""),
        ) from error
