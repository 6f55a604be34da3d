"""Files appear in a folder in the order of their names, however many threads make them.

Some readers pair the n-th entry of one folder with the n-th entry of another one as the file system lists
them, unsorted. Most file systems list names by the order in which they were added (tmpfs, btrfs, XFS) or by a
hash of the name (ext4). Names that are added to every folder one after another in the same order, and never
removed, are listed in the same order in all of them. Files are therefore made in a hidden folder next to it,
and then moved or linked into place.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

STAGE = ".dimmagen-stage"
"""The subfolder of an export in which files are made; it is absent from a complete export."""


def begin_folder(folder: Path, names: Sequence[str]) -> None:
    """Create a folder, or prepare the one of a stopped export to be continued.

    Names that were published must be the first ones. If they are not (a power failure, a user who removed
    files), they are removed: they will be made again, in order.

    Args:
        folder: in which the names will be.
        names: of all files that the folder will hold, sorted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    there = set(os.listdir(folder)).intersection(names)
    if there == set(names[: len(there)]):
        return
    for name in there:
        (folder / name).unlink()
    if not any(folder.iterdir()):  # a new folder has no gaps in which later names could be put first
        folder.rmdir()
        folder.mkdir()


def publish(file: Path, target: Path, *, keep: bool) -> None:
    """Give a complete file its final name, unless that exists.

    Args:
        file: in the stage.
        target: its final path, on the same file system.
        keep: whether the file stays in the stage, because it has more names: a hard link, or a copy where the
            file system has no hard links.
    """
    if target.exists():
        return
    if not keep:
        os.replace(file, target)
        return
    try:
        os.link(file, target)
    except OSError:
        copy = file.with_name(f".{file.name}.{os.getpid()}.tmp")
        shutil.copyfile(file, copy)
        os.replace(copy, target)
