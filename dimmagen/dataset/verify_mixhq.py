"""Verifying a finished MixHQ against its manifest and its catalogs; no file in it is trusted."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from dimmagen.core import hashing, storage
from dimmagen.core.errors import DimmagenError, UnavailableError
from dimmagen.core.hashing import FileRecord
from dimmagen.core.hugging_face import LAYOUT
from dimmagen.core.lock import STATE
from dimmagen.core.machine import machine_trouble
from dimmagen.core.processors import processor_count
from dimmagen.core.tar import Member, read_at
from dimmagen.dataset.card import CARD
from dimmagen.dataset.checking import Fault, check_file, read_members
from dimmagen.images import codec
from dimmagen.sources.catalog import CatalogRow
from dimmagen.sources.mixhq import finished_tally
from dimmagen.sources.mixhq_generations import base_of, generations_of
from dimmagen.sources.mixhq_packing import sidecar
from dimmagen.sources.mixhq_reading import MIXHQ_MANIFEST, catalog_parts, read_catalog, read_mixhq_manifest

_ROWS_AT_ONCE = 100_000  # of the catalog that are held, some 100 MB
_FOLDERS = ("shards", "catalog")
# What an addition or a removal writes before it is published, temporary files among them.
_UNPUBLISHED = re.compile(
    rf"{re.escape(STATE)}|shards/mixhq-[0-9]{{5,}}\.tar|catalog/part-[0-9]{{5,}}\.parquet"
    r"|((shards|catalog)/)?\..+\.[0-9a-f]{8}\.\d+\.tmp"
)


@dataclass(frozen=True, slots=True)
class MixHQVerification:
    """The result of :func:`verify_mixhq`.

    Attributes:
        light_images, shards: their numbers, according to the manifest.
        faults: all that were found; empty for an intact MixHQ.
        unfinished: names of the files of an addition or a removal that was stopped, which are not part of the
            MixHQ yet.
    """

    light_images: int
    shards: int
    faults: list[Fault]
    unfinished: list[str]


def verify_mixhq(
    out: str,
    on_start: Callable[[int], None] = lambda images: None,
    on_shard: Callable[[int], None] = lambda images: None,
) -> MixHQVerification:
    """Check files, hashes, counts, JSON files, and that every light image is what its row says.

    Args:
        out: folder or fsspec URL of the MixHQ.
        on_start: called with the number of light images to check.
        on_shard: called after each shard with its number of light images.

    Raises:
        DimmagenError: there is no manifest, or it is damaged.
    """
    manifest = base_of(out) or read_mixhq_manifest(out)
    on_start(manifest["samples"])
    unfinished, faults = _check_files(out, manifest)
    broken = _check_catalogs(out, manifest)
    faults += broken
    if not broken:  # otherwise it does not say what the shards should hold
        faults += _check_counts(out, manifest)
        with ThreadPoolExecutor(processor_count()) as pool:
            for some in _batches(manifest["shards"]):
                rows = _rows_by_shard(out, manifest, {one["name"] for one in some})
                checks = pool.map(partial(_check_shard, out), some, [rows[one["name"]] for one in some])
                for one, found in zip(some, checks, strict=True):
                    faults += found
                    on_shard(one["samples"])
    return MixHQVerification(manifest["samples"], len(manifest["shards"]), faults, unfinished)


def _check_files(out: str, manifest: Mapping) -> tuple[list[str], list[Fault]]:
    """The files of a stopped addition, and what is missing or unexpected; shards are looked at later."""
    named = {*catalog_parts(manifest), *(one["name"] for one in manifest["shards"])}
    present = {name for name in storage.list_names(out) if name not in _FOLDERS}
    for folder in _FOLDERS:
        present |= {f"{folder}/{name}" for name in storage.list_names(storage.join(out, folder))}
    others = sorted(present - named - {MIXHQ_MANIFEST, CARD, LAYOUT})
    unfinished = [name for name in others if _UNPUBLISHED.fullmatch(name)]
    faults = [Fault(name, "does not belong to the MixHQ") for name in others if name not in unfinished]
    if CARD not in present:
        faults.append(Fault(CARD, "is missing"))
    return unfinished, faults


def _check_catalogs(out: str, manifest: Mapping) -> list[Fault]:
    """Compare each catalog with its record, and read it whole."""
    faults: list[Fault] = []
    for name, one in zip(catalog_parts(manifest), generations_of(manifest), strict=True):
        record = _file_record({**one["catalog"], "name": name})
        faults += check_file(out, record)
        try:
            rows = sum(1 for _ in read_catalog(out, [record.name]))
        except UnavailableError:
            raise
        except DimmagenError as error:
            faults.append(Fault(record.name, error.what))
        else:
            if rows != one["catalog"].get("rows"):
                said = one["catalog"].get("rows")
                faults.append(Fault(record.name, f"rows: {rows}, the manifest says {said}"))
    return faults


def _check_counts(out: str, manifest: Mapping) -> Iterator[Fault]:
    """Compare the counts of the manifest with each other and with the catalogs."""
    if sum(one["samples"] for one in manifest["shards"]) != manifest["samples"]:
        yield Fault(MIXHQ_MANIFEST, "its shards hold another number of light images than it counts")
    found = {name: one.to_dict() for name, one in finished_tally(out, manifest).items()}
    if found != manifest.get("sources"):
        yield Fault(MIXHQ_MANIFEST, "its counts by source are not those of the catalog")
    shards = {one["name"] for one in manifest["shards"]}
    for row in read_catalog(out, catalog_parts(manifest)):
        if row.accepted and row.shard not in shards:
            yield Fault(row.shard, f"light image {row.key}: the manifest does not name its shard")


def _batches(shards: Sequence[Mapping]) -> Iterator[list[Mapping]]:
    """Shards whose rows are held at once."""
    batch: list[Mapping] = []
    for one in shards:
        if batch and sum(other["samples"] for other in batch) + one["samples"] > _ROWS_AT_ONCE:
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def _rows_by_shard(out: str, manifest: Mapping, names: set[str]) -> dict[str, list[CatalogRow]]:
    """The rows of some shards, in the order of the light images."""
    rows: dict[str, list[CatalogRow]] = {name: [] for name in names}
    for row in read_catalog(out, catalog_parts(manifest)):
        if row.accepted and row.shard in names:
            rows[row.shard].append(row)
    for some in rows.values():
        some.sort(key=lambda row: row.offset)
    return rows


def _check_shard(out: str, record: Mapping, rows: Sequence[CatalogRow]) -> list[Fault]:
    """Check the file, the members and every light image of one shard."""
    name = record["name"]
    faults = list(check_file(out, _file_record(record)))
    if len(rows) != record["samples"]:
        faults.append(Fault(name, f"rows in the catalog: {len(rows)}, the manifest says {record['samples']}"))
    path = storage.join(out, name)
    try:
        with machine_trouble(path), storage.open_binary(path) as file:
            found, broken = read_members(file, name)
            faults += broken
            expected = [member for row in rows for member in (f"{row.key}.json", row.member)]
            if not broken and [member.name for member in found] != expected:
                faults.append(Fault(name, "its members are not those of the catalog"))
            present = {member.name: member for member in found}
            for row in rows:
                faults += _check_light_image(file, name, row, present)
    except FileNotFoundError:
        pass  # reported by check_file
    return faults


def _file_record(record: Mapping) -> FileRecord:
    """Of a file, from the manifest; what that does not say is no file's."""
    return FileRecord(record["name"], record.get("bytes", -1), record.get("sha256", ""))


def _check_light_image(
    file: BinaryIO, name: str, row: CatalogRow, present: Mapping[str, Member]
) -> Iterator[Fault]:
    where = f"light image {row.key}"
    described = present.get(f"{row.key}.json")
    if described and read_at(file, described.offset, described.size) != sidecar(row):
        yield Fault(name, f"{where}: the JSON differs from its row")
    if present.get(row.member) != Member(row.member, row.offset, row.light_bytes):
        yield Fault(name, f"{where}: {row.member} is not at byte {row.offset}")
        return
    data = read_at(file, row.offset, row.light_bytes)
    if hashing.sha256(data) != row.light_sha256:
        yield Fault(name, f"{where}: its bytes are not those of its row")
    try:
        pixels, _ = codec.decode_rgb8(data)
    except codec.ImageError as error:
        yield Fault(name, f"{where}: {error.what}")
        return
    height, width, _ = pixels.shape
    if (width, height) != (row.light_width, row.light_height):
        yield Fault(name, f"{where}: is {width}x{height}, not {row.light_width}x{row.light_height}")
