"""Data sets from data sets: a subset of one, or several merged. Nothing is dimmed; provenance is kept.

A derived set is a data set like any other and passes verification. Its images are the files of its origins,
each checked against its SHA-256 when it is read; a merge may store light images of several file types as PNG.
Its settings record the origins and how they were combined.
"""

import json
import os
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa

from dimmagen.core import hashing, keyed_random, storage
from dimmagen.core.errors import UsageError
from dimmagen.core.registry import did_you_mean
from dimmagen.core.shard_sizes import shard_sizes
from dimmagen.dataset.generations import GENERATIONS, REMOVED
from dimmagen.dataset.manifest import Manifest, Run
from dimmagen.dataset.reader import PairSet
from dimmagen.dataset.schema import WHITE_BALANCE, schema_of_rows, sidecar_keys
from dimmagen.dataset.writer import Sample, write_pair_shard
from dimmagen.generate.finalize import finalize_dataset
from dimmagen.generate.growing import rejected_rows
from dimmagen.generate.light_format import (
    AskedLightFormat,
    LightConversion,
    LightFormat,
    choose_light_format,
    convert_light,
    measure_conversion,
)
from dimmagen.generate.plan import shard_name
from dimmagen.generate.resume import DatasetFolder
from dimmagen.images.codec import decode_rgb8
from dimmagen.sources import terms_of
from dimmagen.sources.light_images import LightImage, LightImageRef

_KEPT = ("dark_sha256", "dark_pixel_sha256", "light_sha256", "light_pixel_sha256")  # beside the JSON file

_CRITERIA = ["key", "light_key", "source", "gamma", "lightness_after", "width", "height"]
_ROWS_AT_ONCE = 4096

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which pairs a subset keeps: those that meet all given criteria; None and empty values are ignored.

    Attributes:
        sources: names of sources.
        licence: words in the terms of the pair's source; upper and lower case are equal.
        gamma: lowest and highest gamma.
        lightness: lowest and highest mean of the dark image, in [0, 1].
        min_side: minimum length of the shorter side, pixels.
        keys: keys of pairs or of light images.
        without_keys: keys of pairs or of light images that are left out.
    """

    sources: tuple[str, ...] = ()
    licence: str = ""
    gamma: Span | None = None
    lightness: Span | None = None
    min_side: int = 0
    keys: tuple[str, ...] = ()
    without_keys: tuple[str, ...] = ()

    def kept(self, rows: Iterable[dict], settings: Mapping) -> Iterator[dict]:
        """The rows of the pairs that are selected, given the settings of their data set."""
        keys, without_keys = frozenset(self.keys), frozenset(self.without_keys)
        for row in rows:
            names = (row["key"], row["light_key"])
            is_named = not keys or not keys.isdisjoint(names)
            if is_named and without_keys.isdisjoint(names) and self._fits(row, settings):
                yield row

    def _fits(self, row: dict, settings: Mapping) -> bool:
        """Whether a pair meets the criteria other than its keys."""
        return (
            (not self.sources or row["source"] in self.sources)
            and self.licence.lower() in terms_of(row["source"], settings).lower()
            and _inside(row["gamma"], self.gamma)
            and _inside(row["lightness_after"], self.lightness)
            and min(row["width"], row["height"]) >= self.min_side
        )

    def command(self) -> str:
        """The command that makes this subset of a set; a list of keys is a placeholder."""
        words = ["dimmagen", "subset", "ORIGIN", "--to", "out/"]
        for source in self.sources:
            words += ["--source", source]
        words += ["--licence", self.licence] if self.licence else []
        for name in ("gamma", "lightness"):
            if span := getattr(self, name):
                words += [f"--{name}", f"{span[0]}:{span[1]}"]
        words += ["--min-side", str(self.min_side)] if self.min_side else []
        words += ["--keys", "KEYS"] if self.keys else []
        words += ["--without-keys", "KEYS"] if self.without_keys else []
        return shlex.join(words)

    def note(self) -> dict:
        """The selection as recorded in the settings; a list of keys is recorded as its hash."""
        note = {**asdict(replace(self, keys=(), without_keys=())), "keys": _list_hash(self.keys)}
        del note["without_keys"]  # recorded only where it is used: older subsets do not have it
        return note | ({"without_keys": _list_hash(self.without_keys)} if self.without_keys else {})


def _list_hash(keys: Sequence[str]) -> str:
    return hashing.sha256("\n".join(sorted(keys)).encode()) if keys else ""


@dataclass(frozen=True, slots=True)
class _Picked:
    """One pair on its way into another set; the row may have a new key, the light image another file type."""

    pairs: PairSet
    row: dict
    light_format: LightFormat = "same"

    @property
    def light_extension(self) -> str:
        """File type of the light image before it is converted."""
        return self.row["light_member"].rsplit(".", 1)[1]

    def sample(self) -> Sample:
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


class _Chosen(Sequence[_Picked]):
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
        return _Picked(self._pairs, self._pairs.row(self._indices[place]))

    def __iter__(self) -> Iterator[_Picked]:
        return self._between(0, len(self))

    def _between(self, start: int, stop: int) -> Iterator[_Picked]:
        for first in range(start, stop, _ROWS_AT_ONCE):
            chosen = self._indices[first : min(first + _ROWS_AT_ONCE, stop)]
            # Of the table as a whole, each choice would take as long as the table.
            part = self._pairs.table.slice(chosen[0], chosen[-1] - chosen[0] + 1)
            rows = part.take([index - chosen[0] for index in chosen]).to_pylist()
            yield from (_Picked(self._pairs, row) for row in rows)


def stored_sample(pairs: PairSet, row: dict) -> Sample:
    """A pair of a data set as it is written to another shard, with the same files.

    Raises:
        DimmagenError: its bytes are not those of its row.
    """
    return _Picked(pairs, row).sample()


def write_subset(
    pairs: PairSet,
    selection: Selection,
    out: str,
    on_start: Callable[[int], None] = lambda pairs: None,
    on_pair: Callable[[], None] = lambda: None,
) -> Manifest:
    """Write the pairs that a selection keeps, in their original order, as a data set.

    Args:
        pairs: a finished data set.
        selection: what to keep.
        out: folder or fsspec URL of the new set; a run that was stopped is resumed.
        on_start: called once with the number of pairs.
        on_pair: called after each pair.

    Raises:
        UsageError: no pair is selected, a source or key is unknown, or `out` holds something else.
        DimmagenError: the origin is damaged, or `out` cannot be written.
    """
    _refuse_unknown(pairs, selection)
    criteria = pairs.table.select(_CRITERIA).append_column("index", pa.array(range(len(pairs))))
    kept = selection.kept(replace(pairs, table=criteria).iter_rows(), pairs.manifest.settings)
    picked = _Chosen(pairs, [row["index"] for row in kept])
    if not picked:
        raise UsageError(
            f"no pair of {pairs.out} matches the selection",
            "look at the sources, gammas and lightness of its pairs first",
            code="no-match",
            dataset=pairs.out,
        )
    settings = pairs.manifest.settings
    own = {name: value for name, value in settings.items() if name not in (GENERATIONS, REMOVED)}
    settings = {**own, "subset": selection.note(), "derived_from": [_origin(pairs)]}
    run = Run(settings, pairs.manifest.environment)
    return _write(out, run, selection.command(), picked, [pairs], on_start, on_pair)


def write_merge(
    sets: Sequence[PairSet],
    out: str,
    on_start: Callable[[int], None] = lambda pairs: None,
    on_pair: Callable[[], None] = lambda: None,
    light_format: AskedLightFormat = "same",
    on_conversion: Callable[[LightConversion], None] = lambda conversion: None,
) -> Manifest:
    """Write all pairs of several data sets as one, shuffled by a keyed permutation.

    A pair that occurs twice with the same pixels is kept once, with the files of the first set. Where two
    different pairs have the same key (one photo, two profiles), the later set's fingerprint is appended to
    the key of its pair.

    Args:
        sets: two or more finished data sets.
        out, on_start, on_pair: as for :func:`write_subset`.
        light_format: `auto`, `same` or `png`, as for a new data set.
        on_conversion: called before anything is written, with what the light format does.

    Raises:
        UsageError: fewer than two sets, their dark images differ in file type, `out` holds something else,
            or the light format is another one.
        DimmagenError: a set is damaged, or `out` cannot be written.
    """
    formats = {pairs.manifest.settings["image_format"] for pairs in sets}
    if len(sets) < 2:
        raise UsageError(
            "a merge needs at least two data sets",
            "give two or more",
            code="missing-argument",
            count=len(sets),
        )
    if len(formats) > 1:
        raise UsageError(
            f"the dark images of the data sets differ in file type: {', '.join(sorted(formats))}",
            "make the sets with the same `image_format`",
            code="unsuitable-pairs",
            formats=sorted(formats),
        )
    if len({json.dumps(_label_kind(pairs), sort_keys=True) for pairs in sets}) > 1:
        raise UsageError(
            "the data sets differ in their labels: format, categories, or whether they have any",
            "merge sets whose labels are of one kind",
            code="unsuitable-pairs",
        )
    if light_format == "jpg":
        raise UsageError(
            "the dark images were made from the light images as they are, and JPEG would change these",
            'omit `light_format`, or give `light_format="png"`',
            code="conflict",
            parameter="light_format",
        )
    picked = sorted(_unique(sets), key=lambda one: keyed_random.rank(0, one.row["key"], "merge"))
    extensions = Counter(one.light_extension for one in picked)
    stored_as = choose_light_format(light_format, extensions)
    on_conversion(_conversion(picked, extensions, stored_as))
    settings = _merged_settings(sets) | ({} if stored_as == "same" else {"light_format": stored_as})
    neutral = dict.fromkeys(WHITE_BALANCE, 1.0) if settings.get("white_balance") else {}
    picked = [replace(one, row={**neutral, **one.row}, light_format=stored_as) for one in picked]
    run = Run(settings, _merged_environment(sets))
    names = " ".join(f"SET{number}" for number, _ in enumerate(sets, 1))
    option = f" --light-format {stored_as}" if len(extensions) > 1 else ""
    command = f"dimmagen merge {names} --to out/{option}"
    return _write(out, run, command, picked, sets, on_start, on_pair)


def _label_kind(pairs: PairSet) -> dict:
    """Format and categories of a data set's labels; empty if it has none."""
    labels = pairs.manifest.settings.get("labels") or {}
    return {name: labels[name] for name in ("format", "categories") if name in labels}


def _conversion(
    picked: Sequence[_Picked], extensions: Mapping[str, int], light_format: LightFormat
) -> LightConversion:
    by_key = {one.row["light_key"]: one for one in picked}

    def load(ref: LightImageRef) -> LightImage:
        one = by_key[ref.key]
        return one.light_image(one.pairs.data(one.row, "light"))

    return measure_conversion((one.ref() for one in by_key.values()), extensions, light_format, load)


def _inside(value: float, span: Span | None) -> bool:
    return span is None or span[0] <= value <= span[1]


def _refuse_unknown(pairs: PairSet, selection: Selection) -> None:
    sources = sorted(set(pairs.table["source"].to_pylist()))
    if unknown := sorted(set(selection.sources) - set(sources)):
        raise UsageError(
            f"{pairs.out} has no source {', '.join(unknown)}",
            f"{did_you_mean(unknown[0], sources)}it has {', '.join(sources)}",
            code="unknown-name",
            kind="source",
            name=unknown[0],
        )
    named = {*selection.keys, *selection.without_keys}
    for name in ("key", "light_key") if named else ():
        named.difference_update(pairs.table[name].to_pylist())
    if missing := sorted(named):
        raise UsageError(
            f"{pairs.out} lacks {len(missing)} of the keys, such as {missing[0]}",
            "give keys that are in its parquet files",
            code="unknown-name",
            kind="key",
            name=missing[0],
        )


def _origin(pairs: PairSet) -> dict:
    manifest = pairs.manifest
    return {
        "command": manifest.command,
        "fingerprint": manifest.fingerprint,
        "root_hash": manifest.root_hash,
        "derived_from": manifest.settings.get("derived_from", []),
    }


def _unique(sets: Sequence[PairSet]) -> Iterator[_Picked]:
    seen: dict[str, tuple[str, str]] = {}
    for pairs in sets:
        for row in pairs.rows():
            content = (row["dark_sha256"], row["light_pixel_sha256"])
            key = row["key"]
            if seen.get(key, content) != content:
                key = f"{row['key']}-{pairs.manifest.fingerprint[:8]}"
            if key not in seen:
                seen[key] = content
                yield _Picked(pairs, {**row, "key": key})


def _merged_settings(sets: Sequence[PairSet]) -> dict:
    """The settings that the card and `inspect` show, joined over all sets, and each origin's own settings."""
    every = [pairs.manifest.settings for pairs in sets]

    def joined(name: str) -> str:
        return " + ".join(dict.fromkeys(str(settings[name]) for settings in every))

    terms = {name: text for settings in every for name, text in settings.get("source_terms", {}).items()}
    return {
        "profile": joined("profile"),
        "model": joined("model"),
        "seed": joined("seed"),
        "image_format": every[0]["image_format"],
        "variants": max(settings["variants"] for settings in every),
        "samples_per_shard": max(settings["samples_per_shard"] for settings in every),
        "derived_from": [{**_origin(pairs), "settings": pairs.manifest.settings} for pairs in sets],
        **({"source_terms": terms} if terms else {}),
        **({"labels": labels} if (labels := _label_kind(sets[0])) else {}),
        **({"white_balance": "drawn"} if any(settings.get("white_balance") for settings in every) else {}),
    }


def _merged_environment(sets: Sequence[PairSet]) -> dict:
    environments = [pairs.manifest.environment for pairs in sets]
    if all(environment == environments[0] for environment in environments):
        return environments[0]
    return {"merged": environments}


def _rejected(sets: Iterable[PairSet]) -> list[dict]:
    """Every candidate that an origin rejected, once; sorted by source, name and frame."""
    rows: dict[tuple, dict] = {}
    for pairs in sets:
        for row in rejected_rows(pairs.out, pairs.manifest):
            rows.setdefault((row["source"], row["name"], row["frame"], row["sha256"]), row)
    return sorted(rows.values(), key=lambda row: (row["source"], row["name"], row["frame"]))


def _write(
    out: str,
    run: Run,
    command: str,
    picked: Sequence[_Picked],
    sets: Sequence[PairSet],
    on_start: Callable[[int], None],
    on_pair: Callable[[], None],
) -> Manifest:
    """Write pairs as shards; as in `dim`, the complete shards of a stopped run are kept."""
    out = storage.local_path(out) or out
    folder = DatasetFolder(out, discards=False)
    if any(
        storage.is_local(pairs.out) and os.path.realpath(pairs.out) == os.path.realpath(out) for pairs in sets
    ):
        raise UsageError(
            f"`out={out}` is the data set itself",
            "choose another folder",
            code="conflict",
            parameter="out",
            value=out,
        )
    on_start(len(picked))
    shards = []
    with folder.locked():
        complete = folder.complete_shards(run, "if-possible")
        if manifest := folder.finished(run, complete):
            return manifest
        folder.begin(run, complete)
        try:
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
        finally:
            folder.remove_unfinished()
        source_by_light, extensions = {}, set[str]()
        for one in picked:
            source_by_light[one.row["light_key"]] = one.row["source"]
            extensions.add(one.light_extension if one.light_format == "same" else one.light_format)
        return finalize_dataset(
            folder, run, command, Counter(source_by_light.values()), extensions, _rejected(sets), shards
        )
