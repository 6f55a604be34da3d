"""Comparing two data sets: the public test of the promise that equal inputs give equal bytes."""

import os
from collections import Counter
from pathlib import Path

from dimmagen.core import arguments as kinds
from dimmagen.core import hashing, storage
from dimmagen.core.errors import UsageError
from dimmagen.core.parquet import read_rows
from dimmagen.core.system_files import is_left_by_system
from dimmagen.core.text import pluralize
from dimmagen.dataset.checking import expected_members
from dimmagen.dataset.compare_unordered import unordered_differences
from dimmagen.dataset.manifest import MANIFEST, Manifest, changed_values
from dimmagen.dataset.matching import matched_rows, rows_by_key
from dimmagen.dataset.reader import PairSet, read_member
from dimmagen.dataset.schema import PAIR_SCHEMAS, first_difference

_MAX_SHOWN = 10


def assert_same_dataset(a: str | Path, b: str | Path, *, order: bool = True) -> None:
    """Assert that all files of two finished data sets are equal, byte for byte.

    Args:
        a, b: local folders of finished data sets.
        order: whether the pairs are to be in the same shards and places. Without it, a set that grew equals
            one that was made at once: the same settings, rejected candidates and pairs, and of each pair the
            same row and the same files. Two MixHQs, or URLs, can be compared in this way too.

    Raises:
        AssertionError: they differ; the message names each file, and for a shard the first sample that
            differs and the first stage that does: source bytes, decoded pixels, draws, dark pixels or encoded
            bytes.
        UsageError: there is no such folder.

    Example:
        >>> from dimmagen import assert_same_dataset
        >>> assert_same_dataset("out", "out-again")  # raises nothing: they are equal
    """
    a, b = kinds.path("a", a), kinds.path("b", b)
    for place in (a, b):
        if storage.is_local(place) and not storage.is_folder(place):
            raise UsageError(f"there is no folder {place}", "check the path", code="missing-path", path=place)
    differences = dataset_differences(str(a), str(b)) if order else unordered_differences(str(a), str(b))
    if differences:
        shown = differences[:_MAX_SHOWN]
        more = [f"... and {len(differences) - _MAX_SHOWN} more"] if len(differences) > _MAX_SHOWN else []
        raise AssertionError("\n  ".join([f"{a} and {b} are different data sets:", *shown, *more]))


def dataset_differences(a: str, b: str) -> list[str]:
    """One line for each difference between two data sets; empty if they are equal.

    Args:
        a, b: local folders of finished data sets.
    """
    files_a, files_b = _files(a), _files(b)
    lines = [f"{name} is only in {a}" for name in sorted(files_a - files_b)]
    lines += [f"{name} is only in {b}" for name in sorted(files_b - files_a)]
    for name in sorted(files_a & files_b):
        if _content(a, name) == _content(b, name):
            continue
        if name == MANIFEST:
            found = manifest_differences(Manifest.load(a), Manifest.load(b))
            lines += [f"{MANIFEST}: {line}" for line in found]
        elif name.startswith("shards/"):
            lines.append(f"{name} differs: {_first_difference(a, b, name)}")
        else:
            lines.append(f"{name} differs")
    return lines


def manifest_differences(one: Manifest, other: Manifest) -> list[str]:
    """A line `settings.seed: 0 → 3` for each setting, count or part of the environment that differs, with the
    values of one and the other; and one for the files.

    Empty if both manifests are of the same data set.
    """
    lines = []
    for part in ("settings", "environment", "counts"):
        lines += changed_values(one.model_dump()[part], other.model_dump()[part], part)
    if names := changed_files(one, other):
        lines.append(f"{len(names)} files differ, the first is {names[0]}")
    return lines


def changed_files(one: Manifest, other: Manifest) -> list[str]:
    """Names of the files that differ between two manifests, shards first."""
    lists = []
    for manifest in (one, other):
        entries = [*manifest.shards, *(shard.metadata for shard in manifest.shards), *manifest.files]
        lists.append({entry.name: entry.sha256 for entry in entries})
    names = dict.fromkeys([*lists[0], *lists[1]])
    return [name for name in names if lists[0].get(name) != lists[1].get(name)]


def stages_that_differ(one: PairSet, other: PairSet) -> Counter[str]:
    """Number of pairs of two data sets that differ, by the first stage that differs.

    Pairs are matched by key; `missing` counts those that only one data set has.
    """
    counts = Counter[str]()
    for _, row, found in matched_rows(rows_by_key(one), rows_by_key(other)):
        if row is None or found is None:
            counts["missing"] += 1
        elif difference := first_difference(row, found):
            counts[difference[0]] += 1
    return counts


def _files(out: str) -> set[str]:
    """Relative POSIX paths of all files but those of systems; OSError if a folder cannot be listed."""

    def refuse(error: OSError) -> None:
        raise error

    found = set()
    for folder, folders, names in os.walk(out, onerror=refuse):
        folders[:] = [name for name in folders if not is_left_by_system(name)]  # `lost+found` is root's
        own = (name for name in names if not is_left_by_system(name))
        found |= {(Path(folder) / name).relative_to(out).as_posix() for name in own}
    return found


def _content(out: str, name: str) -> tuple[int, str]:
    return storage.size_and_sha256(storage.join(out, name))


def _first_difference(a: str, b: str, shard: str) -> str:
    """The first sample that differs between two shards, and the first stage that does."""
    metadata = shard.replace("shards/", "metadata/").replace(".tar", ".parquet")
    rows_a, rows_b = (read_rows(storage.join(out, metadata), PAIR_SCHEMAS) for out in (a, b))
    for row_a, row_b in zip(rows_a, rows_b, strict=False):
        if row_a["key"] != row_b["key"]:
            return f"sample {row_a['key']} here, {row_b['key']} there"
        changed = [name for name in {**row_a, **row_b} if row_a.get(name) != row_b.get(name)]
        if changed:
            stage, _ = first_difference(row_a, row_b) or ("names", "")
            return f"sample {row_a['key']}, first in its {stage}: {', '.join(changed)}"
        for member in expected_members(row_a):
            data_a, data_b = (read_member(out, shard, member.offset, member.size) for out in (a, b))
            if hashing.sha256(data_a) != hashing.sha256(data_b):
                return f"sample {row_a['key']}: the bytes of {member.name}"
    if len(rows_a) != len(rows_b):
        return f"{pluralize(len(rows_a), 'sample')} here, {len(rows_b)} there"
    return "outside the data of its samples"
