"""Verifying a finished data set against its manifest, from the outside in: nothing in it is trusted."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from dimmagen.core import storage
from dimmagen.core.processors import processor_count
from dimmagen.dataset.card import CARD, SHEET
from dimmagen.dataset.checking import Fault, check_file, check_pair_shard
from dimmagen.dataset.croissant import CROISSANT
from dimmagen.dataset.manifest import MANIFEST, Manifest

_FOLDERS = ("shards", "metadata", "rejected")


@dataclass(frozen=True, slots=True)
class Verification:
    """What was checked, and every fault that was found."""

    manifest: Manifest
    faults: list[Fault]


def verify_dataset(
    out: str,
    on_start: Callable[[int], None] = lambda pairs: None,
    on_shard: Callable[[int], None] = lambda pairs: None,
) -> Verification:
    """Check files, hashes, counts, order, sidecars, and that every picture decodes to the recorded pixels.

    Args:
        out: folder or fsspec URL of the data set.
        on_start: told the number of pairs to check.
        on_shard: told the number of pairs of each shard that was checked.

    Raises:
        DimmagenError: there is no manifest, or it cannot be trusted.
    """
    manifest = Manifest.load(out)
    on_start(manifest.counts.pairs)
    faults = _check_files(out, manifest)
    seen: set[str] = set()
    with ThreadPoolExecutor(processor_count()) as pool:
        records = [entry.shard_record() for entry in manifest.shards]
        for record, check in zip(records, pool.map(lambda r: check_pair_shard(out, r), records), strict=True):
            faults += check.faults
            faults += [
                Fault(record.name, f"sample {key}: its key occurs twice in the set")
                for key in check.keys
                if key in seen
            ]
            seen.update(check.keys)
            on_shard(record.samples)
    return Verification(manifest, faults)


def _check_files(out: str, manifest: Manifest) -> list[Fault]:
    """Nothing missing, nothing extra, counts that add up."""
    expected = {MANIFEST, CARD, SHEET, CROISSANT, *(entry.name for entry in manifest.files)}
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
            Fault(MANIFEST, f"counts {manifest.counts.pairs} pairs, its shards hold another number")
        )
    names = [entry.name for entry in manifest.shards]
    if names != [f"shards/train-{index:05d}.tar" for index in range(len(names))]:
        faults.append(Fault(MANIFEST, "its shards are not numbered from 0 without a gap"))
    return faults
