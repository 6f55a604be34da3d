"""Several data sets as one, shuffled by a keyed permutation."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dimmagen.core import keyed_random
from dimmagen.core.disk_map import DiskMap
from dimmagen.core.errors import UsageError
from dimmagen.dataset.manifest import Manifest, Run
from dimmagen.dataset.reader import PairSet
from dimmagen.dataset.schema import WHITE_BALANCE
from dimmagen.generate.derived import DerivedPair, origin_of, write_derived
from dimmagen.generate.light_format import (
    AskedLightFormat,
    LightConversion,
    LightFormat,
    choose_light_format,
    measure_conversion,
)
from dimmagen.sources.light_image import LightImage, LightImageRef


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
        out, on_start, on_pair: as for :func:`.write_subset`.
        light_format: `auto`, `same` or `png`, as for a new data set.
        on_conversion: called before anything is written, with what the light format does.

    Raises:
        UsageError: fewer than two sets, their dark images differ in file type, `out` holds something else,
            or the light format is another one.
        DimmagenError: a set is damaged, or `out` cannot be written.
    """
    _refuse_unsuitable(sets, light_format)
    settings = _merged_settings(sets)
    neutral = dict.fromkeys(WHITE_BALANCE, 1.0) if settings.get("white_balance") else {}
    kept, extensions = DiskMap(), Counter[str]()
    for one in _unique(sets, kept):
        extensions[one.light_extension] += 1
    picked = _Shuffled(sets, kept, neutral)
    stored_as = choose_light_format(light_format, extensions)
    on_conversion(_conversion(picked, extensions, stored_as))
    if stored_as != "same":
        settings |= {"light_format": stored_as}
        picked = _Shuffled(sets, kept, neutral, stored_as)
    run = Run(settings, _merged_environment(sets))
    names = " ".join(f"SET{number}" for number, _ in enumerate(sets, 1))
    option = f" --light-format {stored_as}" if len(extensions) > 1 else ""
    command = f"dimmagen merge {names} --out out/{option}"
    return write_derived(out, run, command, picked, sets, on_start, on_pair)


def _refuse_unsuitable(sets: Sequence[PairSet], light_format: AskedLightFormat) -> None:
    """Refuse sets that cannot be one, and a light format that their dark images were not made from."""
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
            f'make one of them again as the other: `make_dataset(image_format="{min(formats)}")`',
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


def _label_kind(pairs: PairSet) -> dict:
    """Format and categories of a data set's labels; empty if it has none."""
    labels = pairs.manifest.settings.get("labels") or {}
    return {name: labels[name] for name in ("format", "categories") if name in labels}


def _conversion(
    picked: Sequence[DerivedPair], extensions: Mapping[str, int], light_format: LightFormat
) -> LightConversion:
    def load(ref: LightImageRef) -> LightImage:
        one = picked[int(ref.locator)]
        return one.light_image(one.pairs.data(one.row, "light"))

    refs = (replace(one.ref(), locator=str(place)) for place, one in enumerate(picked))
    return measure_conversion(refs, extensions, light_format, load)


def _unique(sets: Sequence[PairSet], kept: DiskMap) -> Iterator[DerivedPair]:
    """The pairs of a merge; the rows are added to those that are kept, with the numbers of their sets."""
    for number, pairs in enumerate(sets):
        for row in pairs.whole():
            key = row["key"]
            if (earlier := kept.last(key)) is not None and _content(row) != _content(json.loads(earlier)[1]):
                key = f"{key}-{pairs.manifest.fingerprint[:8]}"
                earlier = kept.last(key)
            if earlier is None:
                row = {**row, "key": key}
                kept.add(key, json.dumps([number, row]).encode())
                yield DerivedPair(pairs, row)


def _content(row: Mapping) -> tuple[str, str]:
    return row["dark_sha256"], row["light_pixel_sha256"]


class _Shuffled(Sequence[DerivedPair]):
    """The pairs of a merge in its order; their rows are on disk.

    Args:
        sets: that they are of.
        kept: number of the set and row of each pair, by key.
        neutral: columns of those that do not have them.
        light_format: of their light images in the new set.
    """

    def __init__(
        self, sets: Sequence[PairSet], kept: DiskMap, neutral: Mapping, light_format: LightFormat = "same"
    ) -> None:
        self._sets, self._kept, self._neutral, self._light_format = sets, kept, neutral, light_format
        self._order = keyed_random.permutation(0, (key for key, _ in kept), "merge")

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return list(map(self._pair, self._order[place].tolist()))
        return self._pair(int(self._order[place]))

    def _pair(self, number: int) -> DerivedPair:
        index, row = json.loads(self._kept[number])
        return DerivedPair(self._sets[index], {**self._neutral, **row}, self._light_format)


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
        "derived_from": [{**origin_of(pairs), "settings": pairs.manifest.settings} for pairs in sets],
        **({"source_terms": terms} if terms else {}),
        **({"labels": labels} if (labels := _label_kind(sets[0])) else {}),
        **({"white_balance": "drawn"} if any(settings.get("white_balance") for settings in every) else {}),
    }


def _merged_environment(sets: Sequence[PairSet]) -> dict:
    environments = [pairs.manifest.environment for pairs in sets]
    if all(environment == environments[0] for environment in environments):
        return environments[0]
    return {"merged": environments}
