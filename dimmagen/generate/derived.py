"""Data sets from data sets: what a subset (:mod:`.subset`) and a merge (:mod:`.merge`) have in common.

A derived set is a data set like any other and passes verification. Its images are the files of its origins,
each checked against its SHA-256 when it is read; a merge may store light images of several file types as PNG.
Its settings record the origins and how they were combined. Nothing is dimmed.
"""

import json
import os
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dimmagen.core import storage
from dimmagen.core.disk_map import DiskMap
from dimmagen.core.errors import UsageError
from dimmagen.core.hashing import text_hash
from dimmagen.core.shard_sizes import shard_sizes
from dimmagen.dataset.manifest import Manifest, Run
from dimmagen.dataset.reader import ChosenRows, PairSet
from dimmagen.dataset.rejected import rejected_rows
from dimmagen.dataset.schema import sidecar_values
from dimmagen.dataset.writer import Sample, write_pair_shard
from dimmagen.generate.finalize import finalize_dataset
from dimmagen.generate.light_format import LightFormat, convert_light
from dimmagen.generate.plan import shard_name
from dimmagen.generate.resume import DatasetFolder
from dimmagen.images.codec import decode_rgb8
from dimmagen.sources.light_image import LightImage, LightImageRef

_ROWS_AT_ONCE = 4096
_SORTED_BY = ("source", "name", "frame")  # rejected candidates
_KEPT = ("dark_sha256", "dark_pixel_sha256", "light_sha256", "light_pixel_sha256")  # besides the JSON file


@dataclass(frozen=True, slots=True)
class DerivedPair:
    """One pair on its way into another set; the row may have a new key, the light image another file type.

    Attributes:
        pairs: the data set that it is of.
        row: of its parquet file.
        light_format: file type of the light image in the other set.
    """

    pairs: PairSet
    row: dict
    light_format: LightFormat = "same"

    @property
    def light_extension(self) -> str:
        """File type of the light image before it is converted."""
        return self.row["light_member"].rsplit(".", 1)[1]

    def sample(self) -> Sample:
        """The files and the row of the pair as they are written. Raises DimmagenError if they are damaged."""
        dark, light = self.pairs.files(self.row)
        dark_extension, light_extension = self.row["dark_member"].rsplit(".", 1)[1], self.light_extension
        row = sidecar_values(self.row) | {name: self.row[name] for name in _KEPT}
        if self.light_format not in ("same", light_extension):
            converted = convert_light(self.light_image(light), self.light_format)
            light, light_extension = converted.data, converted.ref.extension
            row |= {"transform": converted.ref.transform, "light_sha256": converted.sha256}
        sample = Sample(row, dark, dark_extension, light, light_extension)
        if "labels_member" not in self.row:
            return sample
        ending = self.row["labels_member"].split(".", 1)[1]
        return replace(sample, labels=self.pairs.labels(self.row), labels_extension=ending)

    def ref(self) -> LightImageRef:
        """The reference of the light image as it is in its data set; without a locator."""
        names = ("source", "name", "transform", "width", "height")
        return LightImageRef(
            self.row["light_key"],
            sha256=self.row["source_sha256"],
            extension=self.light_extension,
            locator="",
            **{name: self.row[name] for name in names},
        )

    def light_image(self, data: bytes) -> LightImage:
        """The light image, decoded from its bytes."""
        return LightImage(self.ref(), data, decode_rgb8(data)[0])


class ChosenPairs(Sequence[DerivedPair]):
    """Some pairs of a data set in its order; arguments as for :class:`.ChosenRows`."""

    def __init__(self, pairs: PairSet, indices: Sequence[int]) -> None:
        self._pairs = pairs
        self._rows = ChosenRows(pairs, indices)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: Any) -> Any:
        found = self._rows[place]
        if isinstance(place, slice):
            return [DerivedPair(self._pairs, row) for row in found]
        return DerivedPair(self._pairs, found)

    def __iter__(self) -> Iterator[DerivedPair]:
        return (DerivedPair(self._pairs, row) for row in self._rows)


def stored_sample(pairs: PairSet, row: dict) -> Sample:
    """A pair of a data set as it is written to another shard, with the same files.

    Raises:
        DimmagenError: its bytes are not those of its row.
    """
    return DerivedPair(pairs, row).sample()


def origin_of(pairs: PairSet) -> dict:
    """What the settings of a derived set record of a set that it is derived from."""
    manifest = pairs.manifest
    return {
        "command": manifest.command,
        "fingerprint": manifest.fingerprint,
        "root_hash": manifest.root_hash,
        "derived_from": manifest.settings.get("derived_from", []),
    }


def write_derived(
    out: str,
    run: Run,
    command: str,
    picked: Sequence[DerivedPair],
    sets: Sequence[PairSet],
    on_start: Callable[[int], None],
    on_pair: Callable[[], None],
) -> Manifest:
    """Write pairs as shards; as in `dim`, the complete shards of a stopped run are kept.

    Args:
        out: folder or fsspec URL of the new set.
        run: its settings and its environment.
        command: that makes it.
        picked: its pairs, in their order.
        sets: that they are of; the new set has their rejected candidates.
        on_start: called once with the number of pairs.
        on_pair: called after each pair.

    Raises:
        UsageError: `out` is one of the sets, or holds something else.
        DimmagenError: one of the sets is damaged, or `out` cannot be written.
    """
    out = storage.local_path(out) or out
    refuse_itself(out, [pairs.out for pairs in sets])
    folder = DatasetFolder(out, discards=False)
    on_start(len(picked))
    shards = []
    with folder.locked():
        complete = folder.complete_shards(run, "if-possible")
        if manifest := folder.finished(run, complete):
            return manifest
        folder.begin(run, complete)
        lights = _LightCount()
        with folder.tidied():
            start = 0
            for index, size in enumerate(shard_sizes(len(picked), run.settings["samples_per_shard"])):
                name = shard_name(index)
                part = picked[start : start + size]
                start += size
                lights.add(part)
                if name not in complete:
                    samples = (one.sample() for one in part)
                    complete[name] = write_pair_shard(folder.out, name, samples, on_pair)
                    folder.notes.add(run, complete[name])
                shards.append(complete[name])
        by_source, extensions = lights.by_source(), lights.extensions
        return finalize_dataset(folder, run, command, by_source, extensions, _rejected(sets), shards)


class _LightCount:
    """The light images of pairs, of which each takes 8 bytes of memory.

    Attributes:
        extensions: file types that they have in the new set.
    """

    def __init__(self) -> None:
        self.extensions = set[str]()
        self._keys: defaultdict[str, array[int]] = defaultdict(lambda: array("Q"))

    def add(self, pairs: Iterable[DerivedPair]) -> None:
        for one in pairs:
            self._keys[one.row["source"]].append(text_hash(one.row["light_key"]))
            self.extensions.add(one.light_extension if one.light_format == "same" else one.light_format)

    def by_source(self) -> dict[str, int]:
        """The number of different light images by source."""
        return {source: len(np.unique(np.frombuffer(keys, np.uint64))) for source, keys in self._keys.items()}


def refuse_itself(out: str, origins: Iterable[str]) -> None:
    """Refuse to write a data set where one is that it is made from.

    Args:
        out: folder or fsspec URL of the new set.
        origins: those of the others.

    Raises:
        UsageError: it is one of them, maybe under another name.
    """
    if _place(out) in map(_place, origins):
        raise UsageError(
            f"`out={out}` is the data set itself",
            "choose another folder",
            code="conflict",
            parameter="out",
            value=out,
        )


def _place(path: str) -> str:
    """What is the same of two ways of naming a folder."""
    local = storage.local_path(path)
    return path.rstrip("/") if local is None else os.path.realpath(local)


def _rejected(sets: Iterable[PairSet]) -> Iterator[dict]:
    """Every candidate that an origin rejected, once; sorted by source, name and frame.

    They are on disk; in memory are the columns that they are sorted by.
    """
    kept, batches = DiskMap(), []
    columns = pa.schema([(name, pa.string()) for name in _SORTED_BY])
    rows = (row for pairs in sets for row in rejected_rows(pairs.out, pairs.manifest))
    while new := list(islice(_new_rows(rows, kept), _ROWS_AT_ONCE)):
        batches.append(pa.RecordBatch.from_pylist(new, columns))
    table = pa.Table.from_batches(batches, columns)
    order = pc.sort_indices(table, [(name, "ascending") for name in _SORTED_BY])
    return (json.loads(kept[number.as_py()]) for number in order)


def _new_rows(rows: Iterator[dict], kept: DiskMap) -> Iterator[dict]:
    """The rows of candidates that are not kept yet, which then are."""
    for row in rows:
        name = json.dumps([row[name] for name in (*_SORTED_BY, "sha256")])
        if name not in kept:
            kept.add(name, json.dumps(row).encode())
            yield row
