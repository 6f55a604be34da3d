"""Comparing what two data sets, or two MixHQs, hold, wherever it is stored in them.

A set that grew, or of which photos were taken out, holds what one that is made at once does; its shards are
others.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from dimmagen.core import hashing, storage
from dimmagen.core.errors import DimmagenError
from dimmagen.dataset.generations import GENERATIONS, REMOVED
from dimmagen.dataset.manifest import Manifest, changed_values
from dimmagen.dataset.matching import NamedRows, matched_rows
from dimmagen.dataset.reader import ROWS_ALONE, PairSet, open_pairs
from dimmagen.dataset.rejected import rejected_rows
from dimmagen.dataset.schema import PIPELINE_STAGES
from dimmagen.sources.catalog import CatalogRow
from dimmagen.sources.mixhq_reading import catalog_parts, is_mixhq, read_catalog, read_mixhq_manifest

# Settings of a set that say when its photos came, and not what they are.
_HISTORY = ("lights_sha256", GENERATIONS, REMOVED)
_COUNTS = ("lights", "pairs", "rejected", "lights_by_source")


def unordered_differences(a: str, b: str) -> list[str]:
    """One line for each difference between what two data sets or two MixHQs hold; empty without any.

    Every setting, row and file of a pair counts, but not in which shard it is, and at which place.

    Args:
        a, b: folders or fsspec URLs.
    """
    if is_mixhq(a) and is_mixhq(b):
        return _mixhq_differences(a, b)
    one, other = open_pairs(a, ROWS_ALONE), open_pairs(b, ROWS_ALONE)
    lines = _manifest_differences(one.manifest, other.manifest)
    lines += _row_differences(a, b, _pair_rows(one), _pair_rows(other))
    lines += _row_differences(a, b, _rejected(one), _rejected(other))
    for pairs in (one, other):
        lines += _damage(pairs.whole(), partial(_read_pair, pairs))
    return lines


def _manifest_differences(one: Manifest, other: Manifest) -> list[str]:
    lines = []
    for part in ("settings", "environment", "counts"):
        lines += changed_values(_compared(one, part), _compared(other, part), part)
    return lines


def _compared(manifest: Manifest, part: str) -> dict:
    values = manifest.model_dump()[part]
    if part == "counts":
        return {name: values[name] for name in _COUNTS}
    values = {name: value for name, value in values.items() if part != "settings" or name not in _HISTORY}
    if labels := values.get("labels") if part == "settings" else None:
        values["labels"] = {name: value for name, value in labels.items() if name != "sha256"}
    return values


def _row_differences(a: str, b: str, here: NamedRows, there: NamedRows) -> list[str]:
    only_here, only_there, different = list[str](), list[str](), list[str]()
    for name, row, other in matched_rows(here, there):
        if other is None:
            only_here.append(f"{name} is only in {a}")
        elif row is None:
            only_there.append(f"{name} is only in {b}")
        elif changed := _changed(row, other):
            different.append(f"{name} differs in {', '.join(changed)}")
    return [*only_here, *only_there, *different]


def _changed(row: Mapping, other: Mapping) -> list[str]:
    """The columns in which two rows differ, those of the earliest stage of making a pair first."""
    changed = [name for name in {**row, **other} if row.get(name) != other.get(name)]
    stages = [column for columns in PIPELINE_STAGES.values() for column in columns]
    return sorted(changed, key=lambda name: stages.index(name) if name in stages else len(stages))


def _pair_rows(pairs: PairSet) -> NamedRows:
    return ((f"pair {row['key']}", _without_place(row)) for row in pairs.whole())


def _without_place(row: Mapping) -> dict:
    return {name: value for name, value in row.items() if name != "shard" and not name.endswith("offset")}


def _rejected(pairs: PairSet) -> NamedRows:
    return _by_name(rejected_rows(pairs.out, pairs.manifest))


def _by_name(rows: Iterable[dict]) -> NamedRows:
    return ((f"candidate {row['source']}={row['name']} {row['frame']}{row['sha256']}", row) for row in rows)


def _read_pair(pairs: PairSet, row: dict) -> None:
    pairs.files(row)
    if "labels_member" in row:
        pairs.labels(row)


def _damage(rows: Iterable[dict], read: Callable[[dict], None]) -> Iterator[str]:
    """One line for each row whose files are not those that it names."""
    for row in rows:
        try:
            read(row)
        except DimmagenError as error:
            yield error.what


def _mixhq_differences(a: str, b: str) -> list[str]:
    manifests = [read_mixhq_manifest(path) for path in (a, b)]
    lines = list[str]()
    for path, manifest in zip((a, b), manifests, strict=True):
        lights = (row.to_dict() for row in _catalog(path, manifest) if row.accepted)
        lines += _damage(lights, partial(_read_light, path))
    left, right = ({**manifest["inputs"], "sources": {}} for manifest in manifests)
    lines += changed_values(left, right, "inputs")
    here, there = (
        _by_name(_without_place(row.to_dict()) for row in _catalog(path, manifest))
        for path, manifest in zip((a, b), manifests, strict=True)
    )
    return lines + _row_differences(a, b, here, there)


def _catalog(path: str, manifest: Mapping) -> Iterator[CatalogRow]:
    return read_catalog(path, catalog_parts(manifest))


def _read_light(path: str, values: dict) -> None:
    row = CatalogRow(**values)
    data = storage.read_range(storage.join(path, row.shard), row.offset, row.light_bytes)
    if hashing.sha256(data) != row.light_sha256:
        raise DimmagenError(f"{path}/{row.shard}: {row.member} is not what the catalog says", code="damaged")
