"""Making a data set again that grew, or of which photos were taken out: all generations, in one run.

Its manifest does not say which photo came when; its parquet files do. They say which photos of the sources
belong to which generation, and nothing else: every pixel is made from the photos.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from dimmagen.core import storage
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
from dimmagen.generate.run import GenerateProgress, Plan, generate_planned
from dimmagen.generate.run_environment import environment_for
from dimmagen.sources.catalog import REJECTED_SCHEMA, CatalogRow
from dimmagen.sources.labels.index import Labels
from dimmagen.sources.light_image import LightImageRef
from dimmagen.sources.light_images import LightImages
from dimmagen.sources.newcomers import duplicate_of
from dimmagen.sources.scan import Candidate

_Identity = tuple[str, str, str, str, str]  # source, name, frame, sha256 and rule


class Membership:
    """Which candidates belong to which generation of a data set, by its parquet files.

    Args:
        original: the data set.

    Attributes:
        generations: number of them.
    """

    def __init__(self, original: PairSet) -> None:
        self._names: dict[str, str] = {}
        self._generation: dict[str, int] = {}
        self._rejected: dict[_Identity, int] = {}
        keys, names = (original.table[name].to_pylist() for name in ("light_key", "name"))
        start = 0
        for number, shards in enumerate(shards_of(original.manifest)):
            stop = start + sum(shard.samples for shard in shards)
            for key, name in zip(keys[start:stop], names[start:stop], strict=True):
                self._names[key], self._generation[key] = name, number
            start = stop
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
                self._rejected[_identity(row)] = number

    def choose(self, seen: Iterable[Candidate]) -> Iterator[Candidate]:
        """The candidates of the data set, with the verdicts that they had in it.

        Of equal files it has the one that came first to it, and a scan of all takes the first by name. It
        has the dark half of a pair if that came before the light one.
        """
        first: dict[str, CatalogRow] = {}
        for one in seen:
            row = one.alone or one.row
            if (row.accepted or row.rule == "duplicate") and row.key in self._names:
                if row.accepted:
                    first.setdefault(row.key, row)
                if row.name == self._names[row.key]:
                    yield replace(one, row=replace(first.get(row.key, row), name=row.name))
                    continue
                one = replace(one, row=duplicate_of(row, self._names[row.key]))
            if not one.row.accepted and _identity(one.row.to_dict()) in self._rejected:
                yield one

    def generation_of(self, ref: LightImageRef) -> int:
        """The generation of a chosen light image."""
        return self._generation[ref.key]

    def generation_of_rejected(self, row: Mapping) -> int:
        """The generation of a chosen candidate that was rejected."""
        return self._rejected[_identity(row)]


def _identity(row: Mapping) -> _Identity:
    return (row["source"], row["name"], row["frame"], row["sha256"], row["rule"])


class StagedLightImages:
    """Light images by generation, and inside one in canonical order.

    Args:
        lights: chosen by :meth:`Membership.choose`.
        membership: of the data set.
    """

    def __init__(self, lights: LightImages, membership: Membership) -> None:
        self.origin, self.others = lights.origin, lights.others
        self.excluded, self.choices = lights.excluded, lights.choices
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
        sizes = np.array(list(self._lights.photo_sizes()), np.int64).reshape(-1, 2)[self._order]
        return ((width, height) for width, height in sizes.tolist())

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
            if census(lights.refs(start, start + one.lights)).sha256 != one.lights_sha256:
                wrong.append(f"generation {number}: lights_sha256")
            start += one.lights
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
    rejected, files = _rejected(original, membership, lights), []
    for name, rows in rejected.items():
        written = write_rows(storage.join(folder.out, name), rows, REJECTED_SCHEMA)
        files.append(FileRecord(name, written.bytes, written.sha256))
    return publish_dataset(
        folder,
        plan.run,
        original.manifest.command,
        Counter(plan.photos.by_source),
        light_files(original),
        sum(map(len, rejected.values())),
        shards,
        files,
    )


def _is_current(
    original: PairSet, membership: Membership, lights: StagedLightImages, manifest: Manifest
) -> bool:
    """Whether the manifest of a run has its rejected candidates, which the fingerprint does not."""
    rejected = _rejected(original, membership, lights)
    return all(names_rejected(manifest, name, rows) for name, rows in rejected.items())


def _rejected(original: PairSet, membership: Membership, lights: StagedLightImages) -> dict[str, list[dict]]:
    """The rows of rejected candidates by the file of their generation."""
    rejected: list[list[dict]] = [[] for _ in range(membership.generations)]
    for row in lights.rejected():
        kept = {name: row[name] for name in REJECTED_SCHEMA.names}
        rejected[membership.generation_of_rejected(row)].append(kept)
    names = [one.rejected for one in generations_of(original.manifest)]
    return dict(zip(names, rejected, strict=True))
