"""Adding photos to a finished data set: what is new, and the plan of the shards that hold it.

Existing shards keep their bytes. Those of the new photos are planned like a data set of its own, with the
next shard numbers, and the manifest lists both as generations.
"""

import json
from collections.abc import Collection, Mapping
from itertools import chain

import pyarrow.compute as pc

from dimmagen.core import storage
from dimmagen.core.errors import UsageError
from dimmagen.core.outputs import ResumeMode
from dimmagen.dataset.generations import (
    GENERATIONS,
    REMOVED,
    Generation,
    generations_of,
    joined_sha256,
    removals_of,
)
from dimmagen.dataset.manifest import EXCLUDE, MANIFEST, Manifest, Run, changes
from dimmagen.dataset.reader import PairSet, open_pairs
from dimmagen.dataset.rejected import rejected_entries, rejected_rows
from dimmagen.generate.light_format import AskedLightFormat, LightFormat, choose_light_format
from dimmagen.generate.pair import BuildDimmer, PairSettings
from dimmagen.generate.resume import DatasetFolder
from dimmagen.generate.run_environment import environment_like
from dimmagen.sources.light_images import LightImages
from dimmagen.sources.newcomers import Earlier, refuse_limit
from dimmagen.sources.photo_selection import PhotoSelection, size_options

_MORE_FIRST = ". To get more variants, first run without `add` on the photos that the data set has"
_MORE_OF_GROWN = " for more variants of all photos; the pairs of this one will have the same pixels there"
# Settings that a new generation changes; all others must be those of the data set.
_VARYING = ("lights", "lights_sha256", "light_format", "source_terms", "labels", GENERATIONS, REMOVED)


def open_base(out: str) -> PairSet | None:
    """The finished data set in a folder, to which photos may be added; None if there is none.

    Raises:
        UsageError: it is a subset or a merge.
        DimmagenError: it is damaged.
    """
    if not storage.exists(storage.join(out, MANIFEST)):
        return None
    base = open_pairs(out)
    generations_of(base.manifest)
    return base


def begin_addition(
    out: str, selection: PhotoSelection, resume: ResumeMode, build_dimmer: BuildDimmer, settings: PairSettings
) -> tuple[PairSet | None, Earlier | None]:
    """Check and read what has to be known before the photos to add are scanned.

    Args:
        out: folder or fsspec URL.
        selection: of the new photos.
        resume: has to be the default.
        build_dimmer, settings: of the new pairs.

    Returns:
        The data set in `out` and what it holds; None twice if there is none.

    Raises:
        UsageError: photos of this selection or with these settings cannot be added.
        DimmagenError: the data set is damaged.
    """
    refuse_limit(selection)
    refuse_discarding(resume)
    base = open_base(out)
    if base is None:
        return None, None
    # The scenes that are excluded now are not read yet, see `refuse_other_scenes`.
    known = {EXCLUDE: base.manifest.settings[EXCLUDE]} if EXCLUDE in base.manifest.settings else {}
    refuse_other_settings(base.manifest, {**build_dimmer().settings(), **settings.record(), **known})
    return base, earlier_photos(base)


def refuse_other_scenes(base: PairSet | None, excluded: Mapping[str, int | str]) -> None:
    """Refuse, before photos are scanned, to exclude other scenes than the data set to which they are added.

    Args:
        base: the data set; None where photos are not added to one, and any scenes may be excluded.
        excluded: of the new photos, see :class:`~dimmagen.sources.light_images.LightImages`.

    Raises:
        UsageError: naming both.
    """
    if base:
        kept = {name: value for name, value in base.manifest.settings.items() if name != EXCLUDE}
        refuse_other_settings(base.manifest, {**kept, **({EXCLUDE: dict(excluded)} if excluded else {})})


def earlier_photos(base: PairSet) -> Earlier:
    """What a data set holds, for the decision on what is new.

    Raises:
        UsageError: the number of its photos was limited.
        DimmagenError: a file of its rejected candidates is missing or damaged.
    """
    names = dict(zip(base.table["light_key"].to_pylist(), base.table["name"].to_pylist(), strict=True))
    removed = chain.from_iterable(one.photos for one in removals_of(base.manifest))
    earlier = Earlier(names, removed)
    for row in rejected_rows(base.out, base.manifest):
        earlier.add_rejected(row["source"], row["name"], row["frame"], row["sha256"], row["rule"])
    return earlier


def refuse_discarding(resume: ResumeMode) -> None:
    """Refuse to add to what would be discarded, or to require a run to continue.

    Raises:
        UsageError: `resume` is not the default.
    """
    if resume != "if-possible":
        raise UsageError(
            f'`resume="{resume}"` cannot be combined with `add`',
            "omit one of the two: an interrupted addition is resumed anyway",
            code="conflict",
            parameters=("resume", "add"),
        )


def has_nothing_new(lights: LightImages, base: PairSet) -> bool:
    """Whether there is nothing to add; if so, what an addition that was stopped has left is removed.

    Args:
        lights: chosen by :meth:`.Earlier.new_ones`.
        base: the data set.
    """
    if len(lights) or next(lights.rejected(), None) is not None:
        return False
    folder = DatasetFolder(storage.local_path(base.out) or base.out)
    with folder.locked():
        folder.refuse_changed(base.manifest)
        folder.drop_addition(base.manifest)
    return True


def next_shard(manifest: Manifest) -> int:
    """The number of the next shard."""
    return 1 + max((shard_number(entry.name) for entry in manifest.shards), default=-1)


def shard_number(name: str) -> int:
    """The number in the name of a shard."""
    return int(name.removeprefix("shards/train-").removesuffix(".tar"))


def next_rejected(manifest: Manifest) -> int:
    """The number of the next file of rejected candidates."""
    names = (entry.name for entry in rejected_entries(manifest))
    numbers = [int("0" + "".join(filter(str.isdigit, name))) for name in names]
    return max(numbers, default=0) + 1


def rejected_name(number: int) -> str:
    """The name of a file of rejected candidates that is not the first."""
    return f"rejected/candidates-{number:05d}.parquet"


def light_files(base: PairSet) -> list[str]:
    """File types of the light images of a data set, as they are stored."""
    members = pc.unique(pc.replace_substring_regex(base.table["light_member"], r"^.*\.", ""))
    return sorted(members.to_pylist())


def light_sizes(base: PairSet) -> dict[str, int]:
    """Values of `resize` and `crop` by the transforms of a data set."""
    transforms = pc.unique(base.table["transform"]).to_pylist()
    return dict(chain.from_iterable(size_options(one.split("+")).items() for one in transforms))


def light_format_of_addition(
    asked: AskedLightFormat, recorded: LightFormat, before: Collection[str], new: Collection[str]
) -> LightFormat:
    """The light format of a data set with new light images, by which those that are there keep their bytes.

    Args:
        asked: of the command.
        recorded: of the data set.
        before: file types of its light images, as they are stored.
        new: file types of the new light images, before they are converted.

    Raises:
        UsageError: existing light images would have to be converted.
    """
    if recorded != "same":
        chosen = recorded if asked == "auto" else asked
        is_kept = chosen == recorded
    else:
        is_mixed = len(before) > 1  # which `auto` never makes
        chosen = "same" if asked == "auto" and is_mixed else choose_light_format(asked, {*before, *new})
        is_kept = chosen == "same" or {*before} == {chosen}
    if is_kept:
        return chosen
    raise UsageError(
        f"the light images of the data set are {' and '.join(sorted(before))} files, the new ones "
        f"{' and '.join(sorted(new))}: storing all as {chosen.upper()} would change existing files",
        'give `light_format="same"`, so that each keeps its format, or the format of the existing ones',
        code="other-settings",
        parameter="light_format",
    )


def grown_run(
    base: Manifest, settings: Mapping, environment: Mapping, by_source: Mapping[str, int], shards: int
) -> Run:
    """Settings and environment of a data set with one more generation.

    Args:
        base: manifest of the data set.
        settings: of a data set of the new photos alone.
        environment: in which they are added.
        by_source: number of new photos by source.
        shards: number of new shards.

    Raises:
        UsageError: other settings than those of the data set, by name.
    """
    refuse_other_settings(base, settings)
    if _kind(base.settings) != _kind(settings):
        raise UsageError(
            "the labels do not match those of the data set: their format or categories differ, or only one "
            "of the two has labels",
            "give `labels` of the same format and categories, or none if the data set has none",
            code="other-settings",
            parameter="labels",
        )
    common, here = _environments(base.environment, environment)
    before = generations_of(base)
    if common is None:
        before = [one if one.environment else replace_environment(one, base.environment) for one in before]
    labels = settings.get("labels")
    new = Generation(
        lights=settings["lights"],
        by_source=dict(by_source),
        lights_sha256=settings["lights_sha256"],
        shards=shards,
        rejected=rejected_name(next_rejected(base)),
        labels_sha256=labels["sha256"] if labels else "",
        version=here["versions"]["dimmagen"],
    )
    generations = [*before, new]
    joined = {
        "lights": sum(one.lights for one in generations),
        "lights_sha256": joined_sha256([one.lights_sha256 for one in generations]),
    }
    if labels:
        joined["labels"] = {**labels, "sha256": joined_sha256([one.labels_sha256 for one in generations])}
    terms = {**base.settings.get("source_terms", {}), **settings.get("source_terms", {})}
    kept = {REMOVED: base.settings[REMOVED]} if REMOVED in base.settings else {}
    return Run(
        {
            **settings,
            **joined,
            **({"source_terms": dict(sorted(terms.items()))} if terms else {}),
            **kept,
            GENERATIONS: [one.to_dict() for one in generations],
        },
        dict(common or here),
    )


def replace_environment(generation: Generation, environment: Mapping) -> Generation:
    """The generation with the environment that it was made in, which is no longer that of the data set."""
    return generation.model_copy(update={"environment": dict(environment)})


def refuse_other_settings(base: Manifest, settings: Mapping) -> None:
    """Refuse to add pairs of other settings.

    Raises:
        UsageError: naming each setting with both values.
    """
    old, new = ({k: v for k, v in one.items() if k not in _VARYING} for one in (base.settings, settings))
    differences = changes(Run(old, {}), Run(new, {}))
    advice = ""
    if old["variants"] < new["variants"]:  # which `changes` allows to grow
        differences.append(f"variants: {old['variants']} → {new['variants']}")
        advice = _MORE_OF_GROWN if GENERATIONS in base.settings else _MORE_FIRST
    if differences:
        lines = "".join(f"\n    {difference}" for difference in differences)
        raise UsageError(
            f"the data set was made with other settings:{lines}\n"
            f"Give the same ones to add photos to it, or choose another `out` folder{advice}",
            code="other-settings",
            differences=differences,
        )


def _kind(settings: Mapping) -> str:
    labels = settings.get("labels") or {}
    return json.dumps({name: labels.get(name) for name in ("format", "categories")}, sort_keys=True)


def _environments(base: Mapping, here: Mapping) -> tuple[Mapping | None, Mapping]:
    """One environment for all generations, where neither contradicts the other and this machine has all of
    it, or None; and that of the new generation."""
    parts = {name: {**base.get(name, {}), **here.get(name, {})} for name in ("versions", "plugins")}
    joined = {**here, **{name: part for name, part in parts.items() if part}}
    is_kept = {**joined, **base, **{name: joined[name] for name in parts if name in joined}} == joined
    is_kept &= all({**parts[name], **base.get(name, {})} == parts[name] for name in parts)
    is_kept &= {*base, "plugins"} == {*here, "plugins"}
    if is_kept and Run({}, environment_like(joined)).environment == joined:
        return joined, here
    return None, here
