"""Verifying a finished data set against its manifest; no file in it is trusted."""

import re
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from dimmagen.core import storage
from dimmagen.core.disk_map import DiskMap
from dimmagen.core.hugging_face import LAYOUT
from dimmagen.core.lock import STATE
from dimmagen.core.processors import processor_count
from dimmagen.dataset.card import CARD, SHEET
from dimmagen.dataset.checking import Fault, check_file, check_pair_shard, files_of, is_unpublished
from dimmagen.dataset.croissant import CROISSANT
from dimmagen.dataset.generations import REMOVED
from dimmagen.dataset.manifest import MANIFEST, Manifest, fingerprint
from dimmagen.dataset.schema import schema_of

_FOLDERS = ("shards", "metadata", "rejected")
# What an addition writes before it is published.
_ADDED = re.compile(
    r"shards/train-[0-9]{5,}\.tar|metadata/train-[0-9]{5,}\.parquet|rejected/candidates-[0-9]{5,}\.parquet"
)


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of :func:`verify_dataset`.

    Attributes:
        manifest: of the data set.
        faults: all that were found; empty for an intact data set.
        unfinished: names of the files of an addition or a removal that was stopped, which are not part of the
            data set yet.
    """

    manifest: Manifest
    faults: list[Fault]
    unfinished: list[str] = field(default_factory=list)


def verify_dataset(
    out: str,
    on_start: Callable[[int], None] = lambda pairs: None,
    on_shard: Callable[[int], None] = lambda pairs: None,
) -> Verification:
    """Check files, hashes, counts, order, JSON files, and that every image decodes to the recorded pixels.

    Args:
        out: folder or fsspec URL of the data set.
        on_start: called with the number of pairs to check.
        on_shard: called after each shard with its number of pairs.

    Raises:
        UsageError: there is no such folder.
        DimmagenError: there is no manifest, or the manifest is damaged or was changed.
    """
    manifest = Manifest.load(out)
    on_start(manifest.counts.pairs)
    unfinished = _unfinished(out, manifest)
    faults = _check_files(out, manifest, unfinished)
    keys = DiskMap()
    with ThreadPoolExecutor(processor_count()) as pool:
        records = [entry.shard_record() for entry in manifest.shards]
        checks = pool.map(partial(check_pair_shard, out, schemas=schema_of(manifest.settings)), records)
        for record, check in zip(records, checks, strict=True):
            faults += check.faults
            for key in [key for key in check.keys if key in keys]:
                faults.append(Fault(record.name, f"sample {key}: its key occurs twice in the data set"))
            for key in check.keys:
                keys.add(key)
            on_shard(record.samples)
    return Verification(manifest, faults, unfinished)


def _unfinished(out: str, manifest: Manifest) -> list[str]:
    """What an addition has written that is not published: what a run writes, besides the record of the run.

    Of a run that ended, or was killed before it wrote anything, it is the folder of its notes alone.
    """
    notes = files_of(storage.join(out, STATE), ["records"])
    of_no_run = {name for name in notes if name == "lock" or name.startswith("records/")}
    if STATE in storage.list_names(out) and all(map(storage.is_unfinished, notes - of_no_run)):
        return [STATE]
    try:
        begun = storage.read_json(storage.join(out, STATE, "run.json"))
        settings, environment = dict(begun["settings"]), dict(begun["environment"])
        is_published = fingerprint(settings, environment) == manifest.fingerprint
    except (FileNotFoundError, KeyError, ValueError, TypeError):
        return []
    if is_published:
        return [STATE]
    if begun.get("adds") is not True:
        return []
    found = sorted(files_of(out, _FOLDERS) - _named(manifest) - {STATE})
    return [STATE, *(name for name in found if is_unpublished(name, _FOLDERS, _ADDED))]


def _named(manifest: Manifest) -> set[str]:
    names = {entry.name for entry in manifest.files}
    return names | {name for entry in manifest.shards for name in (entry.name, entry.metadata.name)}


def _check_files(out: str, manifest: Manifest, unfinished: Collection[str] = ()) -> list[Fault]:
    """Check that no file is missing or unexpected, and that the counts are consistent."""
    expected = {*unfinished, MANIFEST, CARD, LAYOUT, SHEET, CROISSANT} | _named(manifest)
    present = files_of(out, _FOLDERS)
    faults = [
        Fault(name, "does not belong to the data set", is_stranger=True)
        for name in sorted(present - expected)
    ]
    if CARD not in present:
        faults.append(Fault(CARD, "is missing"))
    for file in manifest.files:
        faults += check_file(out, file.record())
    if len(manifest.shards) != manifest.counts.shards:
        faults.append(
            Fault(MANIFEST, f"counts {manifest.counts.shards} shards, names {len(manifest.shards)}")
        )
    if sum(entry.samples for entry in manifest.shards) != manifest.counts.pairs:
        faults.append(
            Fault(MANIFEST, f"counts {manifest.counts.pairs} pairs, its shards hold a different number")
        )
    names = [entry.name for entry in manifest.shards]
    if REMOVED in manifest.settings:  # shards that were rewritten have later numbers
        if len({*names}) < len(names):
            faults.append(Fault(MANIFEST, "it names a shard twice"))
    elif names != [f"shards/train-{index:05d}.tar" for index in range(len(names))]:
        faults.append(Fault(MANIFEST, "its shards are not numbered from 0 without gaps"))
    return faults
