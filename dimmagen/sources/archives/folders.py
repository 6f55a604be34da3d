"""The files of folders and globs, and which links are followed."""

import errno
import logging
import os
import re
import stat
from collections.abc import Iterator

from fsspec.utils import glob_translate

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.file_names import portable
from dimmagen.core.lock import STATE
from dimmagen.core.machine import machine_error, machine_trouble
from dimmagen.core.system_files import is_system_name
from dimmagen.sources.archives.entry import Entry
from dimmagen.sources.own_outputs import kind_of

_GLOB = re.compile(r"[*?\[]")
_BROKEN = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_LOG = logging.getLogger(__name__)


def folder_entries(path: str, follow_links: bool) -> Iterator[Entry]:
    """All files below a folder; see :func:`dimmagen.sources.archives.list_entries`."""
    if (root := storage.local_path(path)) is None:
        with machine_trouble(path):
            for name, size, stamp in storage.find_files(path):
                yield Entry(name, size, {"kind": "file", "path": storage.join(path, name)}, stamp=stamp)
        return
    for folder, _, files in _walk(root, follow_links):
        for file in files:
            yield _file_entry(root, os.path.join(folder, file), follow_links)


def is_glob(path: str) -> bool:
    """Whether a path has wildcards."""
    return bool(_GLOB.search(path))


def _walk(root: str, follow_links: bool) -> Iterator[tuple[str, list[str], list[str]]]:
    """Every folder below a root once, with the names of its folders, which may be removed, and of its files.

    Links to folders come last, in the order of their names: what is below the root has its own name, however
    old the links to it are.
    """
    visited = set()
    starts = [root]
    while starts:
        start = starts.pop(0)
        for folder, folders, files in os.walk(start, onerror=_cannot_list):
            real = os.path.realpath(folder)
            if real in visited:
                folders.clear()
                continue
            visited.add(real)
            folders[:] = sorted(name for name in folders if not is_system_name(name) or name == STATE)
            kind = kind_of({*folders, *files}) if folder != root else ""
            if kind:
                _LOG.warning("%s is left out: it is %s that dimmagen made", folder, kind)
                folders.clear()
                continue
            folders[:] = [name for name in folders if name != STATE]
            yield folder, folders, files
            for path in (os.path.join(folder, name) for name in folders):
                if os.path.islink(path) and (follow_links or not _leaves(root, path)):
                    starts.append(path)
                elif os.path.islink(path):
                    _LOG.warning(
                        "%s is left out: it is a link that leads out of %s; `follow_links=True` reads it",
                        path,
                        root,
                    )
        starts.sort()


def _leaves(root: str, path: str) -> bool:
    """Whether a link below a root leads out of it."""
    inside = os.path.join(os.path.realpath(root), "")
    return not os.path.join(os.path.realpath(path), "").startswith(inside)


def _cannot_list(error: OSError) -> None:
    """A folder that is left out would make a smaller set, or let an evaluation scene in: nothing is
    guessed."""
    raise DimmagenError(
        f"{error.filename} cannot be listed ({error.strerror})",
        "make it readable, or give a source that does not hold it",
        code="disk",
        path=error.filename,
    ) from error


def glob_entries(pattern: str, follow_links: bool) -> Iterator[Entry]:
    """The files that a pattern matches, named below its fixed part. Raises UsageError without that folder."""
    pattern = os.path.abspath(os.path.expanduser(pattern))
    root = os.path.dirname(pattern[: _GLOB.search(pattern).start()])  # type: ignore[union-attr]
    if not os.path.isdir(root):
        raise UsageError(f"there is no folder {root}", "check the path", code="missing-path", path=root)
    wanted = re.compile(_glob_regex(pattern))
    levels = pattern[len(root) :].strip(os.sep).split(os.sep)
    for folder, folders, files in _walk(root, follow_links):
        depth = 0 if folder == root else os.path.relpath(folder, root).count(os.sep) + 1
        if not any("**" in level for level in levels[: depth + 1]):  # go where the pattern can still match
            level = re.compile(_glob_regex(levels[depth]))
            deeper = depth + 1 < len(levels)
            folders[:] = [name for name in folders if deeper and level.match(name)]
        for file in files:
            path = os.path.join(folder, file)
            if wanted.match(path.replace(os.sep, "/")):
                yield _file_entry(root, path, follow_links)


def _glob_regex(pattern: str) -> str:
    return glob_translate(pattern.replace(os.sep, "/"))


def _file_entry(root: str, path: str, follow_links: bool) -> Entry:
    name = portable(os.path.relpath(path, root)).replace(os.sep, "/")
    locator = {"kind": "file", "path": portable(path)}
    try:
        facts = os.stat(path)
    except OSError as error:
        if os.path.islink(path) and error.errno in _BROKEN:
            return Entry(name, 0, locator, "is a broken link")
        raise machine_error(error, path) from error
    refusal = "" if stat.S_ISREG(facts.st_mode) else "is a device or a pipe, not a file"
    if not follow_links and os.path.islink(path) and _leaves(root, path):
        refusal = "is a link that leads out of its source; --follow-links reads it"  # in catalogs
    return Entry(name, facts.st_size, locator, refusal, storage.stamp_of(facts))
