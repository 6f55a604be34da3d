"""Data sets from data sets: what a subset (:mod:`.subset`) and a merge (:mod:`.merge`) have in common.

A derived set is a data set like any other and passes verification. Its images are the files of its origins,
each checked against its SHA-256 when it is read; a merge may store light images of several file types as PNG.
Its settings record the origins and how they were combined. Nothing is dimmed.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dimmagen.core import storage
from dimmagen.core.errors import UsageError
from dimmagen.core.shard_sizes import shard_sizes
from dimmagen.dataset.manifest import Manifest, Run
from dimmagen.dataset.reader import PairSet
from dimmagen.dataset.rejected import rejected_rows
from dimmagen.dataset.schema import schema_of_rows, sidecar_keys
from dimmagen.dataset.writer import Sample, write_pair_shard
from dimmagen.generate.finalize import finalize_dataset
from dimmagen.generate.light_format import LightFormat, convert_light
from dimmagen.generate.plan import shard_name
from dimmagen.generate.resume import DatasetFolder
from dimmagen.images.codec import decode_rgb8
from dimmagen.sources.light_image import LightImage, LightImageRef

_KEPT = ("dark_sha256", "dark_pixel_sha256", "light_sha256", "light_pixel_sha256")  # beside the JSON file
_ROWS_AT_ONCE = 4096


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
        dark, light = self.pairs.data(self.row, "dark"), self.pairs.data(self.row, "light")
        dark_extension, light_extension = self.row["dark_member"].rsplit(".", 1)[1], self.light_extension
        row = {name: self.row[name] for name in (*sidecar_keys(schema_of_rows([self.row])), *_KEPT)}
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
    """Some pairs of a data set in its order; of their rows, a few thousand are in memory at a time.

    Args:
        pairs: the data set.
        indices: of the pairs in its table, ascending.
    """

    def __init__(self, pairs: PairSet, indices: Sequence[int]) -> None:
        self._pairs = pairs
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return list(self._between(*place.indices(len(self))[:2]))
        return DerivedPair(self._pairs, self._pairs.row(self._indices[place]))

    def __iter__(self) -> Iterator[DerivedPair]:
        return self._between(0, len(self))

    def _between(self, start: int, stop: int) -> Iterator[DerivedPair]:
        for first in range(start, stop, _ROWS_AT_ONCE):
            chosen = self._indices[first : min(first + _ROWS_AT_ONCE, stop)]
            # Of the table as a whole, each choice would take as long as the table.
            part = self._pairs.table.slice(chosen[0], chosen[-1] - chosen[0] + 1)
            rows = part.take([index - chosen[0] for index in chosen]).to_pylist()
            yield from (DerivedPair(self._pairs, row) for row in rows)


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
    _refuse_itself(out, sets)
    folder = DatasetFolder(out, discards=False)
    on_start(len(picked))
    shards = []
    with folder.locked():
        complete = folder.complete_shards(run, "if-possible")
        if manifest := folder.finished(run, complete):
            return manifest
        folder.begin(run, complete)
        with folder.tidied():
            start = 0
            for index, size in enumerate(shard_sizes(len(picked), run.settings["samples_per_shard"])):
                name = shard_name(index)
                part = picked[start : start + size]
                start += size
                if name not in complete:
                    samples = (one.sample() for one in part)
                    complete[name] = write_pair_shard(folder.out, name, samples, on_pair)
                    folder.add(run, complete[name])
                shards.append(complete[name])
        source_by_light, extensions = {}, set[str]()
        for one in picked:
            source_by_light[one.row["light_key"]] = one.row["source"]
            extensions.add(one.light_extension if one.light_format == "same" else one.light_format)
        return finalize_dataset(
            folder, run, command, Counter(source_by_light.values()), extensions, _rejected(sets), shards
        )


def _refuse_itself(out: str, sets: Iterable[PairSet]) -> None:
    if _place(out) in (_place(pairs.out) for pairs in sets):
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


def _rejected(sets: Iterable[PairSet]) -> list[dict]:
    """Every candidate that an origin rejected, once; sorted by source, name and frame."""
    rows: dict[tuple, dict] = {}
    for pairs in sets:
        for row in rejected_rows(pairs.out, pairs.manifest):
            rows.setdefault((row["source"], row["name"], row["frame"], row["sha256"]), row)
    return sorted(rows.values(), key=lambda row: (row["source"], row["name"], row["frame"]))
