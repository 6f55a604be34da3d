"""The generations of a data set that grew: what was added in each, as its settings record it.

A set that is made at once has one, which no setting names. The shards of a generation follow those of the
generations before it in the manifest; inside one they are in the order of a plan: all of variant 0, then all
of variant 1.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dimmagen.core import hashing
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dataset.manifest import Manifest, ShardEntry

GENERATIONS, REMOVED = "generations", "removed"
FIRST_REJECTED = "rejected/candidates.parquet"

_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Count = Annotated[int, Field(ge=0, lt=2**63)]


class Generation(BaseModel):
    """What was added to a data set at one time.

    Attributes:
        lights, by_source: number of its light images, in all and by source, without those taken out later.
        lights_sha256: over everything about its light images that affects the output, as they were added.
        shards: number of its shards.
        rejected: name of the file with the candidates that were rejected then.
        labels_sha256: of its labels; empty in a set without labels.
        version: of dimmagen.
        environment: in which it was made, where it is not that of the data set.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    lights: _Count
    by_source: dict[str, _Count]
    lights_sha256: _Sha256
    shards: _Count
    rejected: Annotated[str, Field(pattern=r"^rejected/[a-z0-9][a-z0-9-]*\.parquet$")]
    labels_sha256: str = ""
    version: str = ""
    environment: dict[str, Any] = {}

    def to_dict(self) -> dict[str, Any]:
        """As settings record it."""
        return self.model_dump(exclude_defaults=True)


class Removal(BaseModel):
    """What was taken out of a data set at one time.

    Attributes:
        list_sha256: of the list that named the photos, which is not kept.
        photos: what is remembered of them, see :func:`dimmagen.sources.takedown.hash_of_photo`.
        pairs: number of their pairs.
        shards: number of the shards that were rewritten or dropped.
        generations: number of generations that there were.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    list_sha256: _Sha256
    photos: list[_Sha256]
    pairs: _Count
    shards: _Count
    generations: _Count


def generations_of(manifest: Manifest) -> list[Generation]:
    """The generations of a data set, oldest first.

    Raises:
        UsageError: it is a subset or a merge.
        DimmagenError: the manifest of a stranger holds something else.
    """
    settings = manifest.settings
    if "derived_from" in settings:
        raise UsageError(
            "photos cannot be added to or removed from a subset or a merge, which is made from data sets",
            "change the data sets that it was made from, and make it again",
            code="usage",
        )
    try:
        if GENERATIONS in settings:
            return [Generation.model_validate(one) for one in settings[GENERATIONS]]
        return [_only_generation(manifest)]
    except (ValidationError, KeyError, TypeError) as error:
        raise _damaged(GENERATIONS, error) from None


def removals_of(manifest: Manifest) -> list[Removal]:
    """What was taken out of a data set, oldest first.

    Raises:
        DimmagenError: the manifest of a stranger holds something else.
    """
    try:
        return [Removal.model_validate(one) for one in manifest.settings.get(REMOVED, [])]
    except (ValidationError, TypeError) as error:
        raise _damaged(REMOVED, error) from None


def shards_of(manifest: Manifest) -> list[list[ShardEntry]]:
    """The shards of each generation.

    Raises:
        DimmagenError: the manifest does not have as many shards as its generations.
    """
    generations, start, found = generations_of(manifest), 0, []
    for one in generations:
        found.append(manifest.shards[start : start + one.shards])
        start += one.shards
    if start != len(manifest.shards):
        raise _damaged(GENERATIONS, f"they have {start} shards, the manifest names {len(manifest.shards)}")
    return found


def joined_sha256(hashes: Sequence[str]) -> str:
    """The hash of a set of generations, from that of each: its own, if there is one."""
    return hashes[0] if len(hashes) == 1 else hashing.sha256("\n".join(hashes).encode())


def _only_generation(manifest: Manifest) -> Generation:
    settings = manifest.settings
    return Generation(
        lights=settings["lights"],
        by_source=manifest.counts.lights_by_source,
        lights_sha256=settings["lights_sha256"],
        shards=len(manifest.shards),
        rejected=FIRST_REJECTED,
        labels_sha256=(settings.get("labels") or {}).get("sha256", ""),
        version=_version(manifest.environment),
    )


def _version(environment: Mapping) -> str:
    versions = environment.get("versions")
    return str(versions.get("dimmagen", "")) if isinstance(versions, Mapping) else ""


def _damaged(setting: str, reason: object) -> DimmagenError:
    shown = reason.errors()[0]["msg"] if isinstance(reason, ValidationError) else reason
    return DimmagenError(
        f"the manifest's settings cannot be used: {setting}: {shown}", code="damaged", name=setting
    )
