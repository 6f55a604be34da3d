"""A finished MixHQ as its readers need it: the manifest and the rows of its catalogs, both untrusted."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.parquet import iter_rows
from dimmagen.sources.catalog import ADDED_LATER, CATALOG_SCHEMA, CatalogRow
from dimmagen.sources.rules import MIN_LIGHTNESS

_EXCLUDED = ("pictures", "sha256", "bits")
_CATALOG = re.compile(r"part-[0-9]{5,}\.parquet")
MIXHQ_DEFAULT = "mixhq"
MIXHQ_MANIFEST = "manifest.json"
MIXHQ_CATALOG = "catalog/part-00000.parquet"
MIXHQ_SCHEMA = "dimmagen-mixhq-1"
GROWN_MIXHQ_SCHEMA = "dimmagen-mixhq-2"
"""Of a MixHQ that has generations: the manifest lists them, each with a catalog of its own."""


def is_mixhq(path: str) -> bool:
    """Whether a folder is a MixHQ, finished or not."""
    return "=" not in path and (
        storage.exists(storage.join(path, MIXHQ_CATALOG))
        or any(map(_CATALOG.fullmatch, storage.list_names(storage.join(path, "catalog"))))
    )


def has_mixhq_manifest(path: str) -> bool:
    """Whether the manifest of a folder is that of a MixHQ, of which other files may be missing."""
    if not storage.is_folder(path):
        return False
    try:
        manifest = storage.read_json(storage.join(path, MIXHQ_MANIFEST))
    except (FileNotFoundError, ValueError, DimmagenError):
        return False
    return isinstance(manifest, dict) and manifest.get("schema") in (MIXHQ_SCHEMA, GROWN_MIXHQ_SCHEMA)


def read_mixhq_manifest(path: str) -> dict:
    """The manifest of a finished MixHQ.

    Raises:
        UsageError: there is nothing at all.
        DimmagenError: there is no manifest, or it is of another kind or version.
    """
    try:
        manifest = storage.read_json(storage.join(path, MIXHQ_MANIFEST))
    except FileNotFoundError:
        if not storage.exists(path):
            raise UsageError(
                f"there is nothing at {path}", "give the folder of a MixHQ", code="missing-path", path=path
            ) from None
        raise DimmagenError(
            f"{path} has no {MIXHQ_MANIFEST}: it is not finished",
            "run the same `build_mixhq()` again to finish it",
            code="unfinished",
            path=path,
        ) from None
    except ValueError as error:
        raise DimmagenError(
            f"{path}/{MIXHQ_MANIFEST} is not JSON ({error})", "build it again", code="damaged", path=path
        ) from error
    if isinstance(manifest, dict) and {"schema_version", "root_hash"} <= {*manifest}:
        raise DimmagenError(
            f"{path} is a data set of pairs, not a MixHQ",
            "give the MixHQ that it was made from; `verify()` checks the pairs",
            code="wrong-format",
            path=path,
        )
    is_grown = "generations" in manifest
    of_version = manifest.get("schema") == (GROWN_MIXHQ_SCHEMA if is_grown else MIXHQ_SCHEMA)
    is_whole = of_version and (not is_grown or _has_generations(manifest))
    if not is_whole or not isinstance(manifest.get("inputs"), dict):
        raise DimmagenError(
            f"{path} is not a MixHQ of this version ({MIXHQ_SCHEMA})",
            "build it again with `build_mixhq()`",
            code="wrong-format",
            path=path,
        )
    return manifest


def _has_generations(manifest: Mapping) -> bool:
    """Whether an untrusted manifest has generations with catalogs inside the folder of the MixHQ."""
    generations = manifest.get("generations")
    if not isinstance(generations, list) or not generations:
        return False
    for one in generations:
        catalog = one.get("catalog") if isinstance(one, dict) else None
        name = catalog.get("name") if isinstance(catalog, dict) else None
        if not isinstance(name, str) or not _CATALOG.fullmatch(name.removeprefix("catalog/")):
            return False
        if not isinstance(one.get("sources"), dict):
            return False
    return True


def excluded_scenes(manifest: Mapping) -> dict[str, int | str]:
    """What identifies the scenes that were excluded from a MixHQ, from its manifest; empty for none."""
    excluded = manifest["inputs"].get("exclude")
    if not isinstance(excluded, dict) or not excluded.get("pictures"):
        return {}
    return {name: excluded[name] for name in _EXCLUDED if isinstance(excluded.get(name), int | str)}


def recorded_choices(manifest: Mapping) -> dict[str, Any]:
    """By which choices the photos of a MixHQ were chosen, see :meth:`.PhotoSelection.choices`."""
    inputs = manifest["inputs"]
    chosen: dict[str, Any] = {}
    lightness = inputs.get("min_lightness", MIN_LIGHTNESS)
    if type(lightness) in (int, float) and lightness != MIN_LIGHTNESS:
        chosen["min_lightness"] = lightness
    if inputs.get("follow_links") is True:
        chosen["follow_links"] = True
    if type(inputs.get("limit")) is int:
        chosen["limit"] = inputs["limit"]
    return chosen


def catalog_parts(manifest: Mapping) -> list[str]:
    """Names of the catalogs of a MixHQ, from its manifest: one for each generation."""
    if "generations" not in manifest:
        return [MIXHQ_CATALOG]
    return [one["catalog"]["name"] for one in manifest["generations"]]


def refuse_other_catalogs(path: str, manifest: Mapping) -> None:
    """Refuse a MixHQ with a catalog that is not the one of its manifest: a changed row is another image.

    Args:
        path: of the MixHQ.
        manifest: its manifest, untrusted.

    Raises:
        DimmagenError: naming the file.
    """
    generations = manifest.get("generations", [manifest])
    for name, one in zip(catalog_parts(manifest), generations, strict=True):
        record = one.get("catalog")
        refuse_other_file(path, {**(record if isinstance(record, Mapping) else {}), "name": name})


def refuse_other_file(path: str, record: Mapping) -> None:
    """Refuse a file of a MixHQ that is missing, or is not the one of its record.

    Args:
        path: of the MixHQ.
        record: `name`, `bytes` and `sha256` of the file; one without a hash says nothing.

    Raises:
        DimmagenError: naming the file.
    """
    file = storage.join(path, record["name"])
    named = record.get("bytes"), record.get("sha256")
    try:
        is_named = named[1] is None or storage.size_and_sha256(file) == named
    except FileNotFoundError:
        is_named = False
    if not is_named:
        raise DimmagenError(
            f"{file} is missing, or is not the file that the manifest names",
            f"run `verify({path})`, and copy it again",
            code="damaged",
            path=file,
        )


def read_catalog(path: str, parts: Sequence[str] = (MIXHQ_CATALOG,)) -> Iterator[CatalogRow]:
    """The rows of a MixHQ's catalog, one after another.

    Args:
        path: of the MixHQ.
        parts: names of the files, from :func:`catalog_parts`.

    Raises:
        DimmagenError: the catalog is missing or damaged.
    """
    for part in parts:
        for row in iter_rows(storage.join(path, part), CATALOG_SCHEMA, ADDED_LATER):
            yield CatalogRow(**row)
