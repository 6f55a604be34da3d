"""Archives of the formats that packages add (:mod:`dimmagen.sources.archive_formats`)."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, fault_of
from dimmagen.core.file_names import native, portable
from dimmagen.core.machine import machine_trouble
from dimmagen.sources.archive_formats import ARCHIVES, format_of
from dimmagen.sources.archives.entry import DamagedArchiveError, Entry


def format_entries(path: str, name: str) -> Iterator[Entry]:
    """The images of an archive of another format, with the stamp of its file and of the package."""
    plugin = ARCHIVES.plugin(name)
    stamp = f"{storage.stamp(path)} {plugin.distribution} {plugin.version}" if plugin else ""
    locator = {"kind": "format", "format": name, "path": portable(path)}
    try:
        with machine_trouble(path):
            for member, size, place in ARCHIVES[name].members(path):
                _refuse_other_place(name, place)
                yield Entry(member, size, {**locator, "place": place}, stamp=stamp)
    except DimmagenError:
        raise
    except Exception as error:  # the package has its own errors
        raise DimmagenError(
            f"{path} cannot be read as {name} ({fault_of(error)})",
            "it may be damaged: fetch it again",
            code="archive",
            path=path,
        ) from error


def _refuse_other_place(name: str, place: Any) -> None:
    try:
        json.dumps(place)
    except (TypeError, ValueError) as error:
        raise DimmagenError(
            f"the archive format {name} gives a place that JSON cannot hold ({error})",
            "fix its members(): a place is made of Python's own numbers, texts, lists and dictionaries",
            code="plugin-broken",
            kind="archive format",
            name=name,
        ) from error


def with_members_of_formats(entries: list[Entry]) -> Iterator[Entry]:
    """The entries, with the images of each archive of another format in its place."""
    if not ARCHIVES:
        yield from entries
        return
    for entry in entries:
        found = format_of(entry.name) if entry.locator["kind"] == "file" and not entry.refusal else ""
        if not found:
            yield entry
            continue
        for member in format_entries(native(entry.locator["path"]), found):
            yield replace(member, name=f"{entry.name}/{member.name}")


def read_format(path: str, locator: dict[str, Any]) -> bytes:
    """The bytes of one of :func:`format_entries`. Raises DamagedArchiveError for the package's own errors."""
    archive = ARCHIVES[locator["format"]]
    try:
        return bytes(archive.read(path, locator["place"]))
    except Exception as error:  # the package has its own errors
        if isinstance(error, (DimmagenError, OSError, MemoryError)):
            raise
        raise DamagedArchiveError(
            f"{path} is damaged at {locator['place']} ({fault_of(error)})",
            "fetch the archive again",
            path=path,
        ) from error
