"""Taking photos out of a MixHQ: only the shards and the catalogs that name them are rewritten.

As in a data set, what is new has numbers of its own and counts when the manifest is published; then the old
files are removed.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, replace
from itertools import groupby

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.hashing import FileRecord
from dimmagen.core.lock import exclusive
from dimmagen.core.parquet import write_rows
from dimmagen.core.tar import TarWriter, members, read_at
from dimmagen.sources.catalog import CATALOG_SCHEMA, CatalogRow
from dimmagen.sources.mixhq import publish_mixhq
from dimmagen.sources.mixhq_generations import base_of, drop_unpublished, mixhq_generations, next_numbers
from dimmagen.sources.mixhq_reading import (
    GROWN_MIXHQ_SCHEMA,
    catalog_parts,
    read_catalog,
    refuse_other_catalogs,
    refuse_other_file,
)
from dimmagen.sources.mixhq_verdicts import finished_tally
from dimmagen.sources.takedown import Listed, Removed, Takedown, is_done


def remove_from_mixhq(out: str, lines: Collection[str], ignore_unknown: bool = False) -> Removed:
    """Take photos out of a finished MixHQ.

    Args:
        out: folder or fsspec URL.
        lines: keys of light images, or names of photos as in the catalog; see :class:`.Takedown`.
        ignore_unknown: pass over what is not there.

    Raises:
        UsageError: something is not there, or no light image would be left.
        DimmagenError: the MixHQ is not finished or damaged, or cannot be written.
    """
    with exclusive(out, may_only_read=True) as refused:
        base = base_of(out)
        if base is None:
            raise DimmagenError(
                f"{out} is not finished", "finish it with `build_mixhq()` first", code="unfinished", path=out
            )
        if not refused:
            for folder in ("", "catalog", "shards"):
                storage.remove_unfinished(storage.join(out, folder))
            drop_unpublished(out, base)
        return _remove(out, base, lines, ignore_unknown, refused)


def _remove(
    out: str, base: Mapping, lines: Collection[str], ignore_unknown: bool, refused: UsageError | None
) -> Removed:
    refuse_other_catalogs(out, base)
    parts = catalog_parts(base)
    takedown = Takedown(lines, map(_listed, read_catalog(out, parts)))
    if not ignore_unknown and not is_done(base.get("removed", []), takedown):
        takedown.refuse_unknown(out)
    if not takedown.photos:
        return Removed(0, 0, 0, 0, tuple(takedown.unknown))
    if refused:
        raise refused
    gone = [row for row in read_catalog(out, parts) if _listed(row).photo in takedown.photos]
    lights = [row for row in gone if row.accepted]
    if len(lights) == base["samples"]:
        raise UsageError(
            f"no light image of {out} would be left", "remove its folder instead", code="no-match", path=out
        )
    shards, places = _write_shards(out, base, lights)
    generations = _write_catalogs(out, base, takedown.photos, places)
    rewritten = len({row.shard for row in lights})
    removal = {
        "list_sha256": takedown.list_sha256,
        "photos": takedown.remembered(),
        "samples": len(lights),
        "shards": rewritten,
        "generations": len(generations),
    }
    manifest = {name: value for name, value in base.items() if name != "catalog"} | {
        "schema": GROWN_MIXHQ_SCHEMA,
        "samples": base["samples"] - len(lights),
        "shards": shards,
        "generations": generations,
        "removed": [*base.get("removed", []), removal],
    }
    tallies = finished_tally(out, manifest)
    manifest["sources"] = {name: one.to_dict() for name, one in tallies.items()}
    publish_mixhq(out, manifest, tallies)
    drop_unpublished(out, manifest)
    return Removed(
        len(takedown.photos),
        len(lights),
        rewritten,
        len(gone) - len(lights),
        tuple(takedown.unknown),
    )


def _listed(row: CatalogRow) -> Listed:
    return Listed(row.source, row.name, row.sha256, (row.key,) if row.key else ())


def _write_shards(
    out: str, base: Mapping, lights: Iterable[CatalogRow]
) -> tuple[list[dict], dict[str, tuple[str, int]]]:
    """The records of all shards of what is left, and by its key where each light image is that has moved."""
    gone: dict[str, set[str]] = {}
    for row in lights:
        gone.setdefault(row.shard, set()).add(row.key)
    records, places = [], dict[str, tuple[str, int]]()
    _, number = next_numbers(base)
    for shard in base["shards"]:
        keys = gone.get(shard["name"], set())
        if len(keys) == shard["samples"]:
            continue
        if not keys:
            records.append(shard)
            continue
        name = f"shards/mixhq-{number:05d}.tar"
        refuse_other_file(out, shard)  # whose bytes get a new hash
        file, moved = _write_shard(out, shard["name"], name, keys)
        records.append({**asdict(file), "samples": shard["samples"] - len(keys)})
        places |= {key: (name, offset) for key, offset in moved.items()}
        number += 1
    return records, places


def _write_shard(out: str, old: str, new: str, keys: Collection[str]) -> tuple[FileRecord, dict[str, int]]:
    """Copy a shard without some samples; the offsets of the light images in the new one, by key."""
    offsets = {}
    with (
        storage.open_binary(storage.join(out, old)) as source,
        storage.atomic_writer(storage.join(out, new)) as file,
    ):
        tar = TarWriter(file)
        for key, sample in groupby(members(source, old), key=lambda one: one.name.split(".", 1)[0]):
            for member in sample:
                if key not in keys:
                    data = read_at(source, member.offset, member.size)
                    offset = tar.add(member.name, data)
                    if not member.name.endswith(".json"):
                        offsets[key] = offset
        size, sha256 = tar.finish()
    return FileRecord(new, size, sha256), offsets


def _write_catalogs(
    out: str, base: Mapping, photos: Collection[str], places: Mapping[str, tuple[str, int]]
) -> list[dict]:
    """The generations of what is left; those catalogs in which something changes are rewritten."""
    number, _ = next_numbers(base)
    generations = []
    for one in mixhq_generations(base):
        name = one["catalog"]["name"]
        rows = [*read_catalog(out, [name])]
        kept = [row for row in rows if _listed(row).photo not in photos]
        if len(kept) < len(rows):
            moved = [_moved(row, places) for row in kept]
            path = f"catalog/part-{number:05d}.parquet"
            written = write_rows(storage.join(out, path), (row.to_dict() for row in moved), CATALOG_SCHEMA)
            catalog = {**asdict(FileRecord(path, written.bytes, written.sha256)), "rows": written.rows}
            number += 1
            samples = sum(row.accepted for row in moved)
            shards = len({row.shard for row in moved if row.accepted})
            one = {**one, "catalog": catalog, "samples": samples, "shards": shards}
        generations.append(one)
    return generations


def _moved(row: CatalogRow, places: Mapping[str, tuple[str, int]]) -> CatalogRow:
    if row.key not in places or not row.accepted:
        return row
    shard, offset = places[row.key]
    return replace(row, shard=shard, offset=offset)
