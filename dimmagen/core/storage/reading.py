"""Bytes, ranges, JSON and hashes of files."""

import hashlib
import json
import math
import os
import stat
from typing import Any, BinaryIO

from dimmagen.core.machine import machine_trouble
from dimmagen.core.storage.filesystems import open_filesystem, remote_filesystem
from dimmagen.core.storage.listing import exists, is_file, mode_of, no_regular_file
from dimmagen.core.storage.paths import local_path


def read(path: str | os.PathLike) -> bytes:
    """The bytes of a file.

    Raises:
        FileNotFoundError: the file does not exist.
        MachineError: a local disk fails, or the memory is full; so do the other functions that read.
        DimmagenError: a local path is a folder, a pipe or a device.
    """
    if (place := local_path(path)) is None:
        with remote_filesystem(path, remembers=True) as (filesystem, place):
            return filesystem.cat_file(place)
    if exists(place) and not is_file(place):
        raise no_regular_file(path)
    with machine_trouble(path), open(place, "rb") as file:
        return file.read()


def read_once(path: str | os.PathLike) -> bytes:
    """The bytes of a file that a user has named, which may also be a pipe, such as `<(...)` of a shell.

    Nothing else may read it, before or after.

    Raises:
        FileNotFoundError, MachineError, DimmagenError: as for :func:`read`.
    """
    place = local_path(path)
    if place is None or not stat.S_ISFIFO(mode_of(place) or 0):
        return read(path)
    with machine_trouble(path), open(place, "rb") as pipe:
        return pipe.read()


def read_range(path: str | os.PathLike, offset: int, size: int) -> bytes:
    """A range of bytes of a file, with one request; fewer bytes if the file ends earlier.

    Raises:
        FileNotFoundError: the file does not exist.
    """
    if (place := local_path(path)) is not None:
        with machine_trouble(path), open(place, "rb") as file:
            # Python takes the memory for all that is asked for, and the numbers may be a stranger's.
            size = min(size, os.fstat(file.fileno()).st_size - offset)
            if size <= 0:
                return b""
            file.seek(offset)
            return file.read(size)
    with remote_filesystem(path, remembers=True) as (filesystem, place):
        return filesystem.cat_file(place, start=offset, end=offset + size)


def read_json(path: str | os.PathLike) -> dict[str, Any]:
    """The object in a JSON file, see :func:`parse_json`. Raises FileNotFoundError if it does not exist."""
    return parse_json(read(path))


def parse_json(text: str | bytes) -> dict[str, Any]:
    """The object in JSON text from an untrusted source.

    Raises:
        ValueError: it is not JSON, not an object, nested too deeply, or holds a number that is not finite.
    """
    try:
        value = json.loads(text, parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("it is not an object")
    return value


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text[:20]} is not a finite number")
    return number


def open_binary(path: str | os.PathLike) -> BinaryIO:
    """A file for reading at random positions."""
    if (place := local_path(path)) is not None:
        return open(place, "rb")
    filesystem, place = open_filesystem(path)
    return filesystem.open(place)


def size_and_sha256(path: str | os.PathLike) -> tuple[int, str]:
    """Size in bytes and SHA-256 (hex) of a file. Raises FileNotFoundError if it does not exist."""
    with machine_trouble(path), open_binary(path) as file:
        digest = hashlib.file_digest(file, "sha256")  # type: ignore[arg-type]
        return file.seek(0, os.SEEK_END), digest.hexdigest()
