"""Making a data set again that grew, or of which photos were taken out: all generations, in one run.

Its manifest does not say which photo came when; its parquet files do. They say which photos of the sources
belong to which generation, and nothing else: every pixel is made from the photos.
"""

import json
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain

import numpy as np

from dimmagen.core import storage
from dimmagen.core.disk_list import DiskList
from dimmagen.core.disk_map import DiskMap
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.hashing import FileRecord
from dimmagen.core.parquet import write_rows
from dimmagen.core.text import pluralize
from dimmagen.dataset.census import census
from dimmagen.dataset.generations import REMOVED, generations_of, shards_of
from dimmagen.dataset.manifest import Manifest, Run, ShardEntry
from dimmagen.dataset.reader import PairSet
from dimmagen.dataset.rejected import read_rejected, rejected_entries
from dimmagen.dataset.writer import ShardRecord
from dimmagen.generate.execution import Execution
from dimmagen.generate.finalize import names_rejected, publish_dataset
from dimmagen.generate.from_manifest import settings_from_manifest
from dimmagen.generate.growing import light_files
from dimmagen.generate.pair import BuildDimmer
from dimmagen.generate.plan import PlannedShard
from dimmagen.generate.resume import DatasetFolder
from dimmagen.generate.run import GenerateProgress, generate_planned
from dimmagen.generate.run_environment import environment_for
from dimmagen.generate.run_plan import Plan
from dimmagen.sources.catalog import REJECTED_SCHEMA, CatalogRow, values_of
from dimmagen.sources.labels.index import Labels
from dimmagen.sources.light_image import LightImageRef
from dimmagen.sources.light_images import LightImages
from dimmagen.sources.newcomers import duplicate_of
from dimmagen.sources.scan import Candidate

_BATCH = 4096  # light images in memory at a time


class Membership:
    """Which candidates belong to which generation of a data set, by its parquet files.

    Args:
        original: the data set.

    Attributes:
        generations: number of them.
    """

    def __init__(self, original: PairSet) -> None:
        self._photos = DiskMap()  # generation and name, by key
        self._rejected = DiskMap()  # generation, by what identifies a candidate
        table, start = original.table.select(["light_key", "name"]), 0
        for number, shards in enumerate(shards_of(original.manifest)):
            size = sum(shard.samples for shard in shards)
            for row in replace(original, table=table.slice(start, size)).iter_rows():
                self._add_photo(row["light_key"], number, row["name"])
            start += size
        generations = generations_of(original.manifest)
        self.generations = len(generations)
        entries = {entry.name: entry for entry in rejected_entries(original.manifest)}
        for number, one in enumerate(generations):
            if one.rejected not in entries:
                raise DimmagenError(
                    f"{original.out}: its manifest does not name {one.rejected}",
                    code="damaged",
                    path=original.out,
                )
            for row in read_rejected(original.out, entries[one.rejected]):
                self._rejected.add(_identity(row), str(number).encode())

    def _add_photo(self, key: str, generation: int, name: str) -> None:
        record = json.dumps([generation, name]).encode()
        if self._photos.last(key) != record:  # which it is for another variant
            self._photos.add(key, record)

    def _photo(self, key: str) -> tuple[int, str] | None:
        """The generation and the name of a photo; None of one that the data set does not have."""
        record = self._photos.last(key)
        return None if record is None else tuple(json.loads(record))

    def choose(self, candidates: Iterable[Candidate]) -> Iterator[Candidate]:
        """The candidates of the data set, with the verdicts that they had in it.

        Of equal files it has the one that came first to it, and a scan of all takes the first by name. It
        has the dark half of a pair if that came before the light one.
        """
        first = DiskMap()
        for one in candidates:
            row = one.alone or one.row
            if (row.accepted or row.rule == "duplicate") and (photo := self._photo(row.key)):
                _, name = photo
                if row.accepted and row.key not in first:
                    first.add(row.key, json.dumps(values_of(row)).encode())
                if row.name == name:
                    accepted = first.last(row.key)
                    kept = CatalogRow(*json.loads(accepted)) if accepted else row
                    yield replace(one, row=replace(kept, name=name))
                    continue
                one = replace(one, row=duplicate_of(row, name))
            if not one.row.accepted and _identity(one.row.to_dict()) in self._rejected:
                yield one

    def generation_of(self, ref: LightImageRef) -> int:
        """The generation of a chosen light image. Raises KeyError of another one."""
        if (photo := self._photo(ref.key)) is None:
            raise KeyError(ref.key)
        return photo[0]

    def generation_of_rejected(self, row: Mapping) -> int:
        """The generation of a chosen candidate that was rejected. Raises KeyError of another one."""
        if (generation := self._rejected.last(_identity(row))) is None:
            raise KeyError(row["name"])
        return int(generation)


def _identity(row: Mapping) -> str:
    return json.dumps([row[name] for name in ("source", "name", "frame", "sha256", "rule")])


class StagedLightImages:
    """Light images by generation, and inside one in canonical order.

    Args:
        lights: chosen by :meth:`Membership.choose`.
        membership: of the data set.
    """

    def __init__(self, lights: LightImages, membership: Membership) -> None:
        self.origin, self.others = lights.origin, lights.others
        self.excluded, self.choices, self.catalogued = lights.excluded, lights.choices, lights.catalogued
        self._lights = lights
        numbers = np.fromiter(map(membership.generation_of, lights), np.int64, len(lights))
        self._order = np.argsort(numbers, kind="stable")
        self.sizes = np.bincount(numbers, minlength=membership.generations).tolist()

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[LightImageRef]:
        return (self._lights.refs(number, number + 1)[0] for number in self._order.tolist())

    def refs(self, start: int = 0, stop: int | None = None) -> list[LightImageRef]:
        numbers = self._order[start:stop].tolist()
        return [self._lights.refs(number, number + 1)[0] for number in numbers]

    def photo_sizes(self) -> Iterator[tuple[int, int]]:
        numbers = chain.from_iterable(self._lights.photo_sizes())
        sizes = np.fromiter(numbers, np.int64).reshape(-1, 2)[self._order]
        return ((int(width), int(height)) for width, height in sizes)

    def rejected(self) -> Iterator[dict]:
        return self._lights.rejected()


def regrow(
    original: PairSet,
    membership: Membership,
    lights: StagedLightImages,
    build_dimmer: BuildDimmer,
    out: str,
    execution: Execution,
    progress: GenerateProgress | None = None,
    labels: Labels | None = None,
) -> Manifest:
    """Make all generations of a data set again.

    Args:
        original: the data set.
        membership: of its photos.
        lights: its light images, from the photos.
        build_dimmer: from :func:`.dimmer_from_manifest`.
        out: folder or fsspec URL of the data set to make.
        execution, progress, labels: as for :func:`.generate_dataset`.

    Raises:
        UsageError: the photos are not those of the data set.
        DimmagenError: as :func:`.generate_dataset`.
    """
    plan = _plan(original, lights, build_dimmer)
    publish = partial(_publish, original, membership, lights)
    is_current = partial(_is_current, original, membership, lights)
    return generate_planned(
        plan, lights, build_dimmer, out, execution, publish, is_current, progress=progress, labels=labels
    )


def _plan(original: PairSet, lights: StagedLightImages, build_dimmer: BuildDimmer) -> Plan:
    manifest = original.manifest
    _refuse_other_photos(manifest, lights)
    photos = census(lights)
    settings = settings_from_manifest(manifest.settings)
    here = environment_for(build_dimmer().model.kind, photos.by_source, photos.steps)
    shards: list[PlannedShard] = []
    start = 0
    for size, entries in zip(lights.sizes, shards_of(manifest), strict=True):
        shards += _planned(entries, start, size)
        start += size
    light_format = settings.light_format
    if light_format == "auto":
        raise DimmagenError("the manifest does not say how light images are stored", code="damaged")
    return Plan(Run(manifest.settings, here), settings, light_format, photos, shards)


def _planned(entries: Sequence[ShardEntry], start: int, size: int) -> Iterator[PlannedShard]:
    """The shards of a generation whose light images are the `size` from `start` on."""
    variant = at = 0
    for entry in entries:
        if at + entry.samples > size:
            raise DimmagenError(f"{entry.name} is of photos of two variants", code="damaged", name=entry.name)
        name = entry.name.removeprefix("shards/").removesuffix(".tar")
        yield PlannedShard(name, variant, start + at, start + at + entry.samples)
        at += entry.samples
        if at == size:
            variant, at = variant + 1, 0


def _refuse_other_photos(manifest: Manifest, lights: StagedLightImages) -> None:
    generations = generations_of(manifest)
    wrong = [
        f"generation {number}: {pluralize(one.lights, 'photo')} → {size}"
        for number, (one, size) in enumerate(zip(generations, lights.sizes, strict=True), 1)
        if one.lights != size
    ]
    if not wrong and REMOVED not in manifest.settings:
        start = 0
        for number, one in enumerate(generations, 1):
            stop = start + one.lights
            parts = (lights.refs(place, min(place + _BATCH, stop)) for place in range(start, stop, _BATCH))
            if census(chain.from_iterable(parts)).sha256 != one.lights_sha256:
                wrong.append(f"generation {number}: lights_sha256")
            start = stop
    if wrong:
        raise UsageError(
            f"{lights.origin} does not have the photos that the data set was made from ({', '.join(wrong)})",
            "give the photos of all generations, and the options that they were chosen by",
            code="other-settings",
            changes=wrong,
        )


def _publish(
    original: PairSet,
    membership: Membership,
    lights: StagedLightImages,
    folder: DatasetFolder,
    plan: Plan,
    shards: Sequence[ShardRecord],
) -> Manifest:
    rejected, files = 0, []
    for name, rows in _rejected(original, membership, lights).items():
        written = write_rows(storage.join(folder.out, name), rows, REJECTED_SCHEMA)
        files.append(FileRecord(name, written.bytes, written.sha256))
        rejected += written.rows
    return publish_dataset(
        folder,
        plan.run,
        original.manifest.command,
        Counter(plan.photos.by_source),
        light_files(original),
        rejected,
        shards,
        files,
    )


def _is_current(
    original: PairSet, membership: Membership, lights: StagedLightImages, manifest: Manifest
) -> bool:
    """Whether the manifest of a run has its rejected candidates, which the fingerprint does not."""
    rejected = _rejected(original, membership, lights)
    return all(names_rejected(manifest, name, rows) for name, rows in rejected.items())


def _rejected(
    original: PairSet, membership: Membership, lights: StagedLightImages
) -> dict[str, Iterator[dict]]:
    """The rows of rejected candidates by the file of their generation; they are on disk."""
    stored, generations = DiskList(), array("I")
    for row in lights.rejected():  # once: a set that grows every night has hundreds of generations
        generations.append(membership.generation_of_rejected(row))
        stored.append(json.dumps({name: row[name] for name in REJECTED_SCHEMA.names}).encode())
    numbers = np.array(generations)

    def rows_of(generation: int) -> Iterator[dict]:
        return (json.loads(stored[place]) for place in np.flatnonzero(numbers == generation).tolist())

    names = [one.rejected for one in generations_of(original.manifest)]
    return {name: rows_of(number) for number, name in enumerate(names)}
