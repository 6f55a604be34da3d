"""The members of zips."""

import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError
from dimmagen.core.file_names import native, portable
from dimmagen.core.machine import machine_trouble
from dimmagen.sources.archives.entry import (
    DamagedArchiveError,
    Entry,
    incomplete,
    read_bytes,
    with_replaced,
)

_AES = 99  # the member is encrypted; what it was compressed by is in an extra field
_ZIP_METHODS = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "XZ", 98: "PPMd"}
_LOCAL_HEADER = 30  # bytes of a zip member's local header before its name
_MOST_ADDED = 2**16  # bytes by which a compressed member may be larger than its content and an eighth of it


def zip_entries(path: str) -> Iterator[Entry]:
    """The members of a zip. Raises DimmagenError if it is damaged, cut off or one part of several."""
    try:
        with machine_trouble(path), storage.open_binary(path) as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError) as error:
        todo = incomplete(path)
        if "multiple disks" in str(error) or "span" in str(error):
            todo = "it is one part of a split zip: join the parts first (zip -s 0 PART.zip --out WHOLE.zip)"
        raise DimmagenError(
            f"{path} is not a complete zip file ({error})", todo, code="archive", path=path
        ) from error
    yield from with_replaced(_members(path, members))


def _members(path: str, members: Iterable[zipfile.ZipInfo]) -> Iterator[tuple[str, int, Entry]]:
    """The files among the members of a zip, for :func:`.with_replaced`."""
    for member in members:
        if member.is_dir() or member.filename.endswith("\\"):
            continue
        refusal = ""
        if stat.S_ISLNK(member.external_attr >> 16):
            refusal = "is a link in the archive"
        elif member.flag_bits & 1 or member.compress_type == _AES:
            refusal = "is encrypted"
        elif member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            method = _ZIP_METHODS.get(member.compress_type, "an unknown method")
            refusal = f"is compressed by {method} (zip method {member.compress_type}), only 0 and 8 are read"
        locator = {
            "kind": "zip",
            "path": portable(path),
            "header": member.header_offset,
            "compressed": member.compress_size,
            "deflated": member.compress_type == zipfile.ZIP_DEFLATED,
            "size": member.file_size,
            "crc": member.CRC,
        }
        # Some Windows programs separate folders with backslashes, against the format's rule.
        name = member.filename.replace("\\", "/")
        yield name, member.header_offset, Entry(name, member.file_size, locator, refusal)


def read_zip_member(locator: dict[str, Any]) -> bytes:
    """The bytes of a member. Raises DamagedArchiveError if they are not those of the zip's directory."""
    path, start, size = native(locator["path"]), locator["header"], locator["size"]
    header = read_bytes(path, start, _LOCAL_HEADER)
    skip = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    damaged = DamagedArchiveError(
        f"{path} is damaged at byte {start}", "fetch the archive again", path=path, offset=start
    )
    if locator["compressed"] > size + size // 8 + _MOST_ADDED:  # it would be read whole
        raise damaged
    data = read_bytes(path, start + _LOCAL_HEADER + skip, locator["compressed"])
    if locator["deflated"]:
        try:
            # A zip bomb unpacks to more than the size in its header.
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size + 1)
        except zlib.error as error:
            raise damaged from error
    if header[:4] != b"PK\3\4" or len(data) != size or zlib.crc32(data) != locator["crc"]:
        raise damaged
    return data
