"""What is in a folder or an archive, of whatever kind it is."""

import logging
import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from dimmagen.core import storage
from dimmagen.core.errors import UsageError
from dimmagen.core.file_names import portable
from dimmagen.core.system_files import is_system_path, preview_test
from dimmagen.core.text import pluralize
from dimmagen.images.other_kinds import packed_or_missing
from dimmagen.sources.archive_formats import format_of
from dimmagen.sources.archives.entry import JOIN_PARTS, REPLACED, Entry, is_part
from dimmagen.sources.archives.folders import folder_entries, glob_entries, is_glob
from dimmagen.sources.archives.plugins import format_entries, with_members_of_formats
from dimmagen.sources.archives.tars import tar_entries
from dimmagen.sources.archives.zips import zip_entries
from dimmagen.sources.own_outputs import BARE_MIXHQ, is_inside, is_own_shard, kind_of_place, own_folders

Wanted = Literal["photos", "images", "labels"]
"""What files are listed for: `photos` to make pairs or a MixHQ from, `images` to compare with."""
_INSTEAD: dict[Wanted, str] = {
    "photos": "give the photos that it was made from",
    "images": "give the images that it was made from",
    "labels": "give the folder of the labels",
}
# As webdataset and shells expand them: train-{000..127}.tar, {a,b}.zip.
_BRACES = re.compile(r"\{[^{}]*(,|\.\.)[^{}]*\}")
_BRACES_ADVICE = "braces are not expanded: give each archive as a source of its own"
_LOG = logging.getLogger(__name__)


def list_entries(path: str, follow_links: bool = False, wanted: Wanted = "photos") -> list[Entry]:
    """All files of a folder (with its sub-folders), a glob, a zip, an uncompressed tar or an archive of
    another format (:mod:`.archive_formats`), sorted by name.

    Left out are hidden and system files and folders at any depth (:mod:`dimmagen.core.system_files`), and,
    with a warning, what dimmagen itself has written among the photos. A tar inside a tar is read as a folder,
    and so is an archive of another format in a folder.
    Every folder is listed once, under its own name if it has one below the path, otherwise under that of the
    first link to it.

    Args:
        path: local path or fsspec URL of a folder or an archive, or a local glob.
        follow_links: whether links that lead out of the folder are read: otherwise a file has a refusal, and
            a folder is left out with a warning.
        wanted: what the files are, for the message about something that dimmagen has written.

    Raises:
        UsageError: there is nothing at the path, it is not a folder and not an archive that can be read, or
            it is what dimmagen has written.
        DimmagenError: a folder cannot be listed, or the archive is damaged or cut off.
        MachineError: a disk or a network fails.
    """
    if not storage.is_url(path):
        _refuse_own(path, *kind_of_place(path), wanted)
    entries = _entries(path, follow_links, wanted)
    own = own_folders(entry.name for entry in entries)
    _refuse_own(path, path, own.get("", ""), wanted)
    for folder, kind in own.items():
        _LOG.warning("%s/%s is left out: it is %s that dimmagen made", path, folder, kind)
    above = f"{storage.last_part(path)}/"
    is_preview = preview_test(f"{above}{entry.name}" for entry in entries)
    kept = [
        entry
        for entry in entries
        if not is_system_path(entry.name)
        and (wanted == "photos" or entry.refusal != REPLACED)
        and not any(is_inside(entry.name, folder) for folder in own)
    ]
    photos = [entry for entry in kept if not is_preview(f"{above}{entry.name}")]
    if left := len(kept) - len(photos):
        _LOG.info("Note: left out of %s: %s that a photo manager keeps", path, pluralize(left, "file"))
    return sorted(with_members_of_formats(photos), key=lambda entry: entry.name)


def _entries(path: str, follow_links: bool, wanted: Wanted) -> list[Entry]:
    """What is at a path, by its kind, with what dimmagen has written."""
    if storage.is_folder(path):
        return list(folder_entries(path, follow_links))
    if storage.is_file(path) and (found := format_of(path)):
        return list(format_entries(storage.local_path(path) or path, found))
    if storage.is_file(path):
        entries = list(_archive_entries(path))
        if is_own_shard(entry.name for entry in entries):
            _refuse_own(path, path, "a shard of a data set", wanted)
        return entries
    if not storage.is_url(path) and is_glob(path):
        entries = list(glob_entries(path, follow_links))
        if not entries:
            raise UsageError(
                f"no file has a name like {path}",
                _BRACES_ADVICE if _BRACES.search(path) else "check the pattern",
                code="missing-path",
                path=path,
            )
        return entries
    if storage.exists(path):
        raise UsageError(
            f"{path} is a device or a pipe, not a file",
            "give a folder or an archive",
            code="archive",
            path=path,
        )
    raise UsageError(
        f"there is no folder and no file at {path}",
        _BRACES_ADVICE if _BRACES.search(path) else "check the path",
        code="missing-path",
    )


def _refuse_own(path: str, folder: str, kind: str, wanted: Wanted) -> None:
    if not kind:
        return
    whole = folder in (path, os.path.abspath(path))
    todo = _INSTEAD[wanted]
    if wanted == "photos" and kind == "a MixHQ":
        todo += ", or its own folder, alone, to `make_dataset()`"
    elif wanted == "photos" and kind == BARE_MIXHQ:
        todo += ", or copy it again or finish it with the command that built it, for `make_dataset()`"
    raise UsageError(
        f"{path} {'is' if whole else 'is part of'} {kind} that dimmagen made, not {wanted}",
        todo,
        code="own-output",
        path=path,
    )


def _archive_entries(path: str) -> Iterator[Entry]:
    place, stamp = portable(storage.local_path(path) or path), storage.stamp(path)
    for entry in _members(path):
        # An absolute path, because another process may work in another folder.
        yield replace(entry, locator={**entry.locator, "path": place}, stamp=stamp)


def _members(path: str) -> Iterator[Entry]:
    with storage.open_binary(path) as file:
        is_zip = zipfile.is_zipfile(file)
        file.seek(0)
        start = file.read(512)
    if start.startswith(b"PK\3\4"):
        return zip_entries(path)
    what, _, todo = packed_or_missing(start).partition(": ")  # whatever its name is
    # A zip is recognised by its end as well, which may be that of a zip among the last members of a tar.
    if start[257:262] == b"ustar" or (path.endswith(".tar") and not what):
        return tar_entries(path)
    if is_zip:
        return zip_entries(path)
    raise UsageError(
        f"{path} {what or 'is not a folder, a zip or a tar file'}",
        JOIN_PARTS if is_part(path) else todo or "give the folder or the archive of the images",
        code="archive",
        path=path,
    )
