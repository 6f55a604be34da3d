"""LMDB environments as BasicSR reads them: key = file name without extension, value = the PNG file."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError

META = "meta_info.txt"
_COMMIT_EVERY = 64  # entries: bounds the dirty pages in memory


def write_lmdb(folder: Path, entries: Iterable[tuple[str, bytes, tuple[int, int]]], max_bytes: int) -> None:
    """Write one environment; the folder appears complete or not at all.

    Args:
        folder: such as `train/lq.lmdb`.
        entries: (key, PNG bytes, (height, width)) in sorted order of the keys.
        max_bytes: upper bound of the size of all values together.

    Raises:
        DimmagenError: the disk is full, or cannot be mapped into memory.
    """
    try:
        _write(folder, entries, max_bytes)
    except lmdb.Error as error:
        raise DimmagenError(
            f"{folder} could not be written: {error}",
            "LMDB maps its file into memory, which some network disks and limits (ulimit -v) refuse: export "
            "to a disk of this machine with room, or choose a layout of files",
            code="disk",
            path=str(folder),
        ) from error


def _write(folder: Path, entries: Iterable[tuple[str, bytes, tuple[int, int]]], max_bytes: int) -> None:
    unfinished = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        _fill(unfinished, entries, max_bytes)
        os.replace(unfinished, folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    storage.sync_folder(folder.parent)


def _fill(folder: Path, entries: Iterable[tuple[str, bytes, tuple[int, int]]], max_bytes: int) -> None:
    folder.mkdir(parents=True)
    # The map is address space, not disk: twice the data leaves room for pages that are half full.
    # Nobody else opens the folder before it is renamed, and the file of a lock would hold the process's id.
    # As readable and writable as the umask lets every other file be.
    opened = lmdb.open(str(folder), map_size=2 * max_bytes + 2**24, lock=False, mode=0o777)
    with opened as environment, storage.atomic_writer(folder / META) as meta:
        transaction = environment.begin(write=True)
        for index, (key, data, (height, width)) in enumerate(entries, 1):
            transaction.put(key.encode("ascii"), data)
            meta.write(f"{key}.png ({height},{width},3) 1\n".encode())
            if index % _COMMIT_EVERY == 0:
                transaction.commit()
                transaction = environment.begin(write=True)
        transaction.commit()
        environment.sync(True)


@contextmanager
def open_lmdb(folder: Path) -> Iterator[tuple[list[str], Callable[[str], bytes]]]:
    """The keys of an environment, in order, and a function that reads a value (from any thread).

    Raises:
        lmdb.Error: the folder is not an LMDB environment.
    """
    options = {"readonly": True, "lock": False, "readahead": False}
    with lmdb.open(str(folder), **options) as environment, environment.begin() as transaction:
        keys = [bytes(key).decode("ascii", "replace") for key in transaction.cursor().iternext(values=False)]

        def read(key: str) -> bytes:
            with environment.begin() as reading:
                return bytes(reading.get(key.encode(), b""))

        yield keys, read
