"""A folder in the place of another: at every moment the old one or the new one is on the disk.

No system renames a folder over another one that holds files. The old one is renamed to a hidden name first,
and :func:`restore_folder` gives its name back where a process was killed before the new one had it.
"""

import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path

from dimmagen.core.storage.listing import remove
from dimmagen.core.storage.writing import sync_folder, unfinished_name, writing_errors

_MARK = ".replaced"
_LOG = logging.getLogger(__name__)


def replace_folder(new: Path, folder: Path) -> None:
    """Rename a local folder to a name that another folder has, which is removed.

    Raises:
        DimmagenError: the disk refuses it; the old folder has its name.
    """
    restore_folder(folder)
    with writing_errors(folder):
        try:
            os.rename(folder, _aside(folder))
            os.rename(new, folder)
        except BaseException:
            with suppress(OSError):
                _give_back(folder)
            raise
        sync_folder(folder.parent)
    restore_folder(folder)


def restore_folder(folder: Path) -> None:
    """Undo what a killed :func:`replace_folder` had begun, or remove what it had replaced.

    Nothing is changed on a disk that refuses it.
    """
    with suppress(OSError):
        if not folder.name or not os.path.lexists(_aside(folder)):
            return
        if _give_back(folder):
            _LOG.warning("%s was being replaced when a process ended: the old one has its name again", folder)
            return
        # Not removed under this name: a part of it must never be restored.
        leftover = folder.with_name(unfinished_name(folder.name))
        os.rename(_aside(folder), leftover)
        remove(leftover) if leftover.is_symlink() else shutil.rmtree(leftover)


def restore_folders(parent: Path) -> None:
    """:func:`restore_folder` for every folder in a local one, which may be missing."""
    with suppress(OSError):
        for name in os.listdir(parent):
            if name.startswith(".") and name.endswith(_MARK):
                restore_folder(parent / name[1 : -len(_MARK)])


def _give_back(folder: Path) -> bool:
    """Whether the old folder is under its name again, as no other one has it."""
    if is_free := not os.path.lexists(folder):
        os.rename(_aside(folder), folder)
    return is_free


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}{_MARK}")
