"""A MixHQ that grew: generations, each with a catalog and shards of its own, listed in the manifest.

An addition writes the next catalog and the next shards next to those that are there, and publishes them with
the manifest, in one rename. Until then the MixHQ is what it was.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from dimmagen.core import storage
from dimmagen.core.environment import package_version
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.sources.mixhq_reading import (
    GROWN_MIXHQ_SCHEMA,
    MIXHQ_MANIFEST,
    MIXHQ_SCHEMA,
    catalog_parts,
    read_catalog,
    read_mixhq_manifest,
    refuse_other_catalogs,
)
from dimmagen.sources.newcomers import Earlier

_SHARD = re.compile(r"shards/mixhq-([0-9]{5,})\.tar")


def mixhq_generations(manifest: Mapping) -> list[dict]:
    """The generations of a MixHQ, oldest first; one that has not grown has one."""
    if "generations" in manifest:
        return list(manifest["generations"])
    first = {
        "sources": manifest["inputs"].get("sources", {}),
        "samples": manifest["samples"],
        "shards": len(manifest["shards"]),
        "catalog": manifest["catalog"],
        "libraries": manifest["libraries"],
    }
    return [first]


def is_of_inputs(manifest: Mapping, inputs: Mapping) -> bool:
    """Whether a generation of a MixHQ was made from these inputs."""
    listed = [one["sources"] for one in manifest.get("generations", [manifest["inputs"]]) if "sources" in one]
    return any({**manifest["inputs"], "sources": sources} == inputs for sources in listed)


def base_of(out: str) -> dict | None:
    """The manifest of the finished MixHQ in a folder, to which a generation may be added; None without one.

    Raises:
        DimmagenError: it is damaged.
    """
    if not storage.exists(storage.join(out, MIXHQ_MANIFEST)):
        return None
    manifest = read_mixhq_manifest(out)
    try:
        for one in mixhq_generations(manifest):
            if not isinstance(one["catalog"], dict):
                raise TypeError("`catalog` is not the record of a file")
        for shard in manifest["shards"]:
            _number(shard["name"])
        if not all(type(one["samples"]) is int for one in (manifest, *manifest["shards"])):
            raise TypeError("`samples` is not a number")
    except (KeyError, TypeError) as error:
        raise DimmagenError(
            f"{out}/{MIXHQ_MANIFEST} is damaged ({type(error).__name__}: {error})",
            "build it again",
            code="damaged",
            path=out,
        ) from None
    return manifest


def refuse_other_choices(out: str, manifest: Mapping, inputs: Mapping) -> None:
    """Refuse to add photos that are chosen in another way than those that are there.

    Raises:
        UsageError: naming each choice that differs.
    """
    here, there = (
        {name: value for name, value in one.items() if name not in ("sources", "plugins")}
        for one in (manifest["inputs"], inputs)
    )
    changed = [
        f"{name}: {here.get(name, 'not set')} → {there.get(name, 'not set')}"
        for name in sorted(here.keys() | there.keys())
        if here.get(name) != there.get(name)
    ]
    if changed:
        raise UsageError(
            f"{out} was made with other choices ({', '.join(changed)})",
            "give the same ones to add photos to it, or choose another `out`",
            code="other-settings",
            path=out,
            changed=changed,
        )


def earlier_in_mixhq(out: str, manifest: Mapping) -> Earlier:
    """What a finished MixHQ holds, for the decision on what is new.

    Raises:
        UsageError: the number of its photos was limited.
        DimmagenError: its catalog is missing or damaged.
    """
    refuse_other_catalogs(out, manifest)
    parts = catalog_parts(manifest)
    names = {row.key: row.name for row in read_catalog(out, parts) if row.accepted}
    earlier = Earlier(names, chain.from_iterable(one["photos"] for one in manifest.get("removed", [])))
    for row in read_catalog(out, parts):
        if not row.accepted:
            earlier.add_rejected(row.source, row.name, row.frame, row.sha256, row.rule)
    return earlier


def next_numbers(manifest: Mapping | None) -> tuple[int, int]:
    """Numbers of the next catalog and of the next shard."""
    if manifest is None:
        return 0, 0
    catalogs = [int(re.sub(r"\D", "", name)) for name in catalog_parts(manifest)]
    return max(catalogs) + 1, max((_number(one["name"]) for one in manifest["shards"]), default=-1) + 1


def _number(name: str) -> int:
    found = _SHARD.fullmatch(name)
    if not found:
        raise DimmagenError(
            f"{MIXHQ_MANIFEST}: {name!r} is not a shard of a MixHQ", "build it again", code="damaged"
        )
    return int(found[1])


def drop_unpublished(out: str, manifest: Mapping) -> None:
    """Remove shards and catalogs that a finished MixHQ does not name: an addition was stopped there."""
    named = {*catalog_parts(manifest), *(one["name"] for one in manifest["shards"])}
    for folder, ours in (("shards", _SHARD), ("catalog", re.compile(r"catalog/part-[0-9]{5,}\.parquet"))):
        for name in storage.list_names(storage.join(out, folder)):
            path = f"{folder}/{name}"
            if ours.fullmatch(path) and path not in named:
                storage.remove(storage.join(out, path))


def manifest_of(
    base: Mapping | None,
    inputs: Mapping,
    tallies: Mapping[str, dict],
    libraries: Mapping[str, str],
    catalog: Mapping,
    shards: Sequence[Mapping],
) -> dict[str, Any]:
    """The manifest of a MixHQ that was built, or to which a generation was added.

    Args:
        base: manifest of the MixHQ before the addition; None for a new one.
        inputs: of this generation, from :func:`.mixhq.describe_inputs`.
        tallies: verdicts on all candidates of all generations, by source.
        libraries: that determine the pixels of this generation.
        catalog, shards: records of the files of this generation.
    """
    manifest = {
        "schema": MIXHQ_SCHEMA,
        "samples": sum(one["accepted"] for one in tallies.values()),
        "inputs": inputs,
        "sources": dict(tallies),
        "libraries": dict(libraries),
        "catalog": dict(catalog),
        "shards": list(shards),
    }
    if base is None:
        return manifest
    generation = {
        "sources": inputs["sources"],
        "samples": sum(one["samples"] for one in shards),
        "shards": len(shards),
        "catalog": dict(catalog),
        "libraries": dict(libraries),
        "version": package_version("dimmagen"),
    }
    del manifest["catalog"]
    return {
        **manifest,
        "schema": GROWN_MIXHQ_SCHEMA,
        "inputs": base["inputs"],
        "shards": [*base["shards"], *shards],
        "generations": [*mixhq_generations(base), generation],
        **({"removed": base["removed"]} if "removed" in base else {}),
    }
