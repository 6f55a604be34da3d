"""Verifying a finished data set against its manifest; no file in it is trusted."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from dimmagen.core import storage
from dimmagen.core.hugging_face import LAYOUT
from dimmagen.core.processors import processor_count
from dimmagen.dataset.card import CARD, SHEET
from dimmagen.dataset.checking import Fault, check_file, check_pair_shard
from dimmagen.dataset.croissant import CROISSANT
from dimmagen.dataset.generations import REMOVED
from dimmagen.dataset.manifest import MANIFEST, Manifest

_FOLDERS = ("shards", "metadata", "rejected")


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of :func:`verify_dataset`.

    Attributes:
        manifest: of the data set.
        faults: all that were found; empty for an intact data set.
    """

    manifest: Manifest
    faults: list[Fault]


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
    faults = _check_files(out, manifest)
    keys: set[str] = set()
    with ThreadPoolExecutor(processor_count()) as pool:
        records = [entry.shard_record() for entry in manifest.shards]
        for record, check in zip(records, pool.map(lambda r: check_pair_shard(out, r), records), strict=True):
            faults += check.faults
            faults += [
                Fault(record.name, f"sample {key}: its key occurs twice in the data set")
                for key in check.keys
                if key in keys
            ]
            keys.update(check.keys)
            on_shard(record.samples)
    return Verification(manifest, faults)


def _check_files(out: str, manifest: Manifest) -> list[Fault]:
    """Check that no file is missing or unexpected, and that the counts are consistent."""
    expected = {MANIFEST, CARD, LAYOUT, SHEET, CROISSANT, *(entry.name for entry in manifest.files)}
    for entry in manifest.shards:
        expected |= {entry.name, entry.metadata.name}
    present = {name for name in storage.list_names(out) if name not in _FOLDERS}
    for folder in _FOLDERS:
        present |= {f"{folder}/{name}" for name in storage.list_names(storage.join(out, folder))}

    faults = [Fault(name, "does not belong to the data set") for name in sorted(present - expected)]
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
    if REMOVED in manifest.settings:  # shards that were written anew have later numbers
        if len({*names}) < len(names):
            faults.append(Fault(MANIFEST, "it names a shard twice"))
    elif names != [f"shards/train-{index:05d}.tar" for index in range(len(names))]:
        faults.append(Fault(MANIFEST, "its shards are not numbered from 0 without gaps"))
    return faults
