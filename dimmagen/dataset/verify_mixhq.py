"""Verifying a finished MixHQ against its manifest and its catalogs; no file in it is trusted."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

import numpy as np

from dimmagen.core.disk_list import DiskIntegers, DiskList
from dimmagen.core.errors import DimmagenError, UnavailableError
from dimmagen.core.hashing import FileRecord
from dimmagen.core.hugging_face import LAYOUT
from dimmagen.core.processors import processor_count
from dimmagen.core.tar import Member, read_at
from dimmagen.dataset.card import CARD
from dimmagen.dataset.checking import (
    Fault,
    check_file,
    check_image,
    check_size,
    check_tar,
    files_of,
    is_unpublished,
)
from dimmagen.sources.catalog import CatalogRow, values_of
from dimmagen.sources.mixhq_generations import base_of, mixhq_generations
from dimmagen.sources.mixhq_packing import light_sidecar
from dimmagen.sources.mixhq_reading import MIXHQ_MANIFEST, catalog_parts, read_catalog, read_mixhq_manifest
from dimmagen.sources.mixhq_verdicts import with_recorded_others
from dimmagen.sources.verdict_counts import VerdictCounts, tally

_FOLDERS = ("shards", "catalog")
# What an addition or a removal writes before it is published.
_WRITTEN = re.compile(r"shards/mixhq-[0-9]{5,}\.tar|catalog/part-[0-9]{5,}\.parquet")


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
    lights = _LightRows(one["name"] for one in manifest["shards"])
    counts, broken = _check_catalogs(out, manifest, lights)
    faults += broken
    if not broken:  # otherwise it does not say what the shards should hold
        faults += _check_counts(out, manifest, counts)
        faults += lights.faults
        lights.sort()
        with ThreadPoolExecutor(processor_count()) as pool:
            checks = pool.map(partial(_check_shard, out, lights), manifest["shards"])
            for one, found in zip(manifest["shards"], checks, strict=True):
                faults += found
                on_shard(one["samples"])
    return MixHQVerification(manifest["samples"], len(manifest["shards"]), faults, unfinished)


def _check_files(out: str, manifest: Mapping) -> tuple[list[str], list[Fault]]:
    """The files of a stopped addition, and what is missing or unexpected; shards are looked at later."""
    named = {*catalog_parts(manifest), *(one["name"] for one in manifest["shards"])}
    present = files_of(out, _FOLDERS)
    others = sorted(present - named - {MIXHQ_MANIFEST, CARD, LAYOUT})
    unfinished = [name for name in others if is_unpublished(name, _FOLDERS, _WRITTEN)]
    faults = [
        Fault(name, "does not belong to the MixHQ", is_stranger=True)
        for name in others
        if name not in unfinished
    ]
    if CARD not in present:
        faults.append(Fault(CARD, "is missing"))
    return unfinished, faults


class _LightRows:
    """The rows of the light images by shard, kept on disk; a light image takes 4 bytes of memory.

    Args:
        shards: names of those that the manifest has.

    Attributes:
        faults: of rows that name another shard.
    """

    def __init__(self, shards: Iterable[str]) -> None:
        self.faults: list[Fault] = []
        self._numbers = {name: number for number, name in enumerate(dict.fromkeys(shards))}
        self._records = DiskList()
        self._shards = DiskIntegers()
        self._order, self._starts = np.empty(0, np.uint32), np.empty(0, np.int64)

    def add(self, row: CatalogRow) -> None:
        """Take a row of the catalog."""
        if not row.accepted:
            return
        if row.shard in self._numbers:
            self._records.append(json.dumps(values_of(row), separators=(",", ":")).encode())
            self._shards.append(self._numbers[row.shard])
        else:
            what = f"light image {row.key}: the manifest does not name its shard"
            self.faults.append(Fault(row.shard, what))

    def sort(self) -> None:
        """To be called once, after all were added."""
        shards = self._shards[:]
        self._order = np.argsort(shards, kind="stable").astype(np.uint32)
        self._starts = np.cumsum([0, *np.bincount(shards.astype(np.int64), minlength=len(self._numbers))])

    def of(self, shard: str) -> list[CatalogRow]:
        """The rows of a shard, in the order of its light images."""
        number = self._numbers[shard]
        places = self._order[self._starts[number] : self._starts[number + 1]].tolist()
        rows = [CatalogRow(*json.loads(self._records[place])) for place in places]
        return sorted(rows, key=lambda row: row.offset)


def _check_catalogs(
    out: str, manifest: Mapping, lights: _LightRows
) -> tuple[dict[str, VerdictCounts], list[Fault]]:
    """Compare each catalog with its record, and read it whole, once; its rows are added to `lights`."""
    faults: list[Fault] = []

    def all_rows() -> Iterator[CatalogRow]:
        for name, one in zip(catalog_parts(manifest), mixhq_generations(manifest), strict=True):
            record, count = _file_record({**one["catalog"], "name": name}), 0
            faults.extend(check_file(out, record))
            try:
                for row in read_catalog(out, [name]):
                    count += 1
                    lights.add(row)
                    yield row
            except UnavailableError:
                raise
            except DimmagenError as error:
                faults.append(Fault(name, error.what))
            else:
                if count != (said := one["catalog"].get("rows")):
                    faults.append(Fault(name, f"rows: {count}, the manifest says {said}"))

    return tally(all_rows()), faults


def _check_counts(out: str, manifest: Mapping, counts: Mapping[str, VerdictCounts]) -> Iterator[Fault]:
    """Compare the counts of the manifest with each other and with those of the catalogs."""
    if sum(one["samples"] for one in manifest["shards"]) != manifest["samples"]:
        yield Fault(MIXHQ_MANIFEST, "its shards hold a different number of light images than it counts")
    found = {name: one.to_dict() for name, one in with_recorded_others(out, manifest, counts).items()}
    if found != manifest.get("sources"):
        yield Fault(MIXHQ_MANIFEST, "its counts by source are not those of the catalog")


def _check_shard(out: str, lights: _LightRows, record: Mapping) -> list[Fault]:
    """Check the file, the members and every light image of one shard."""
    name, rows = record["name"], lights.of(record["name"])
    faults = list(check_file(out, _file_record(record)))
    if len(rows) != record["samples"]:
        faults.append(Fault(name, f"rows in the catalog: {len(rows)}, the manifest says {record['samples']}"))

    def check_light_images(file: BinaryIO, found: list[Member], is_whole: bool) -> Iterator[Fault]:
        expected = [member for row in rows for member in (f"{row.key}.json", row.member)]
        if is_whole and [member.name for member in found] != expected:
            yield Fault(name, "its members are not those of the catalog")
        present = {member.name: member for member in found}
        for row in rows:
            for what in _check_light_image(file, row, present):
                yield Fault(name, f"light image {row.key}: {what}")

    return faults + check_tar(out, name, check_light_images)


def _file_record(record: Mapping) -> FileRecord:
    """Of a file, from the manifest; what that does not say belongs to no file."""
    return FileRecord(record["name"], record.get("bytes", -1), record.get("sha256", ""))


def _check_light_image(file: BinaryIO, row: CatalogRow, present: Mapping[str, Member]) -> Iterator[str]:
    """What is wrong with a light image."""
    described = present.get(f"{row.key}.json")
    if described and read_at(file, described.offset, described.size) != light_sidecar(row):
        yield "the JSON differs from its row"
    if present.get(row.member) != Member(row.member, row.offset, row.light_bytes):
        yield f"{row.member} is not at byte {row.offset}"
        return
    wrong, pixels = check_image(read_at(file, row.offset, row.light_bytes), row.member, row.light_sha256)
    yield from wrong
    if pixels is not None:
        yield from check_size(pixels, row.member, row.light_width, row.light_height)
