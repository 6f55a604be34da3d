"""Several data sets as one, shuffled by a keyed permutation."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from dimmagen.core import keyed_random
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


def _label_kind(pairs: PairSet) -> dict:
    """Format and categories of a data set's labels; empty if it has none."""
    labels = pairs.manifest.settings.get("labels") or {}
    return {name: labels[name] for name in ("format", "categories") if name in labels}


def _conversion(
    picked: Sequence[DerivedPair], extensions: Mapping[str, int], light_format: LightFormat
) -> LightConversion:
    # One set may have stored a light image as PNG, and another one as the file that it was.
    stored = {(one.row["light_key"], one.light_extension): one for one in picked}

    def load(ref: LightImageRef) -> LightImage:
        one = stored[ref.key, ref.extension]
        return one.light_image(one.pairs.data(one.row, "light"))

    return measure_conversion((one.ref() for one in stored.values()), extensions, light_format, load)


def _unique(sets: Sequence[PairSet]) -> Iterator[DerivedPair]:
    seen: dict[str, tuple[str, str]] = {}
    for pairs in sets:
        for row in pairs.rows():
            content = (row["dark_sha256"], row["light_pixel_sha256"])
            key = row["key"]
            if seen.get(key, content) != content:
                key = f"{row['key']}-{pairs.manifest.fingerprint[:8]}"
            if key not in seen:
                seen[key] = content
                yield DerivedPair(pairs, {**row, "key": key})


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
