"""Folders, zips and tars as lists of entries that are read in place; nothing is ever unpacked to disk.

A member's name is only a name: it is compared, sorted and recorded, and never becomes a path. An entry is
found again by its locator (a few numbers, and the path of the archive or file), so that any process can read
it without reading the archive's directory again.
"""

from dimmagen.sources.archives.entry import DamagedArchiveError, Entry
from dimmagen.sources.archives.listing import list_entries
from dimmagen.sources.archives.reading import read_entry

__all__ = ["DamagedArchiveError", "Entry", "list_entries", "read_entry"]
