"""Recognising what dimmagen itself has written: its images are not photos to start from."""

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable

from dimmagen.core.lock import STATE
from dimmagen.sources.mixhq_reading import has_mixhq_manifest

BARE_MIXHQ = "a MixHQ without its catalog"
_EITHER = "a data set or a MixHQ"  # with neither metadata nor a catalog
_RUN, _NETWORKS = {"run.json", "log.csv"}, {"best.safetensors", "checkpoint.safetensors"}
_PROFILE = {"profile.json", "profile.png"}
_MARKS = frozenset(
    {"manifest.json", "shards", "metadata", "catalog", "export.json", ".export-begun.json", STATE}
    | {*_RUN, *_NETWORKS, *_PROFILE}
)
# Folders of a data set, a MixHQ or a run in which its files lie; an export's images may lie in any.
_PARTS = frozenset({"shards", "metadata", "rejected", "catalog", "validation"})
_SHARD_MEMBER = re.compile(r"[a-z0-9]+-[0-9a-f]{16}(-first|-last)?(-v[0-9]+)?\.(dark|light)\.(png|jpg|webp)")


def kind_of(names: Collection[str]) -> str:
    """What a folder is, by the names directly in it.

    Returns:
        `a data set`, `a MixHQ`, `a data set or a MixHQ`, `an export`, `a training run`, `a profile` or `an
        unfinished run`; empty for any other folder.
    """
    names = {*names}
    if "export.json" in names or ".export-begun.json" in names:
        return "an export"
    if "manifest.json" in names and "shards" in names:
        return "a MixHQ" if "catalog" in names else "a data set" if "metadata" in names else _EITHER
    if names >= _RUN and names & _NETWORKS:
        return "a training run"
    return "a profile" if names >= _PROFILE else "an unfinished run" if STATE in names else ""


def own_folders(paths: Iterable[str]) -> dict[str, str]:
    """The folders among relative POSIX paths of files that are dimmagen's, with what they are.

    The root is the empty string. A folder inside another one of these is not listed again.
    """
    marks: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        parts = path.split("/")
        for depth, part in enumerate(parts):
            if part in _MARKS:
                marks["/".join(parts[:depth])].add(part)
    found: dict[str, str] = {}
    for folder in sorted(marks):
        kind = kind_of(marks[folder])
        if kind and not any(is_inside(folder, outer) for outer in found):
            found[folder] = kind
    return found


def is_inside(path: str, folder: str) -> bool:
    """Whether a relative POSIX path is a folder, or lies in it; all lie in the root, which is empty."""
    return not folder or path == folder or path.startswith(f"{folder}/")


def is_own_shard(members: Iterable[str]) -> bool:
    """Whether the members of an archive are those of a shard."""
    return any(_SHARD_MEMBER.fullmatch(name) for name in members)


def kind_of_place(path: str) -> tuple[str, str]:
    """What a local folder or file is or lies in: (folder, what it is); empty where it is not dimmagen's."""
    path = os.path.abspath(path)
    inner = ""
    while True:
        if os.path.isdir(path):
            there = {name for name in _MARKS if os.path.exists(os.path.join(path, name))}
            kind = kind_of(there)
            if kind and (not inner or kind == "an export" or inner in _PARTS):
                return path, BARE_MIXHQ if kind == _EITHER and has_mixhq_manifest(path) else kind
        parent = os.path.dirname(path)
        if parent == path:
            return "", ""
        inner, path = os.path.basename(path), parent
