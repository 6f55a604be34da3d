"""The catalog: one row for every candidate, accepted or rejected."""

from dataclasses import asdict, dataclass, fields
from operator import attrgetter
from typing import Any

import pyarrow as pa

from dimmagen.images.facts import Presentation

CATALOG_SCHEMA = pa.schema(
    [
        pa.field(name, kind, nullable=name in ("white_border", "scene_distance"))
        for name, kind in {
            "source": pa.string(),
            "name": pa.string(),
            "frame": pa.string(),
            "key": pa.string(),
            "sha256": pa.string(),
            "bytes": pa.int64(),
            "width": pa.int64(),
            "height": pa.int64(),
            "format": pa.string(),
            "mode": pa.string(),
            "rotation": pa.int64(),
            "mirrored": pa.bool_(),
            "pixel_aspect": pa.float64(),
            "transfer": pa.string(),
            "range": pa.string(),
            "matrix": pa.string(),
            "icc_profile": pa.string(),
            "white_border": pa.float64(),
            "scene_distance": pa.int64(),
            "accepted": pa.bool_(),
            "rule": pa.string(),
            "reason": pa.string(),
            "transform": pa.string(),
            "extension": pa.string(),
            "light_width": pa.int64(),
            "light_height": pa.int64(),
            "light_bytes": pa.int64(),
            "light_sha256": pa.string(),
            "shard": pa.string(),
            "member": pa.string(),
            "offset": pa.int64(),
        }.items()
    ]
)

_REJECTED_COLUMNS = (
    "source",
    "name",
    "frame",
    "sha256",
    "bytes",
    "width",
    "height",
    "format",
    "mode",
    "rule",
    "reason",
)
REJECTED_SCHEMA = pa.schema([CATALOG_SCHEMA.field(name) for name in _REJECTED_COLUMNS])
"""One row per candidate that a data set rejected: the columns of the catalog that are known for it."""


@dataclass(frozen=True, slots=True)
class CatalogRow:
    """Everything recorded about one candidate: an image, or one frame of a clip.

    Attributes:
        source, name, frame: where it comes from: the source's name, the name inside the source, and for a
            clip `first` or `last`.
        key: of the light image; empty if the file could not be read.
        sha256, bytes: of the candidate's file.
        width, height: of the candidate, upright, pixels; 0 if unknown.
        format, mode: Pillow's names; for a clip `video` and the pixel format.
        rotation, mirrored, pixel_aspect, transfer, range, matrix, icc_profile: see
            :class:`~dimmagen.images.facts.Presentation` and :class:`~dimmagen.images.facts.ImageFacts`.
        white_border: see :func:`.rules.white_border`; null if the rule does not need it.
        scene_distance: to the nearest excluded image, in bits; null if no image is excluded.
        accepted, rule, reason: the verdict; rule and reason are empty if accepted.
        transform, extension, light_*: of the light image as it is stored; empty and 0 if rejected.
        shard, member, offset: where MixHQ stores the light image; empty and 0 if it is not packed.
    """

    source: str
    name: str
    frame: str
    key: str
    sha256: str
    bytes: int
    width: int
    height: int
    format: str
    mode: str
    white_border: float | None
    scene_distance: int | None
    accepted: bool
    rule: str
    reason: str
    transform: str = ""
    extension: str = ""
    light_width: int = 0
    light_height: int = 0
    light_bytes: int = 0
    light_sha256: str = ""
    shard: str = ""
    member: str = ""
    offset: int = 0
    rotation: int = 0
    mirrored: bool = False
    pixel_aspect: float = 1.0
    transfer: str = ""
    range: str = ""
    matrix: str = ""
    icc_profile: str = ""

    def to_dict(self) -> dict:
        """The row by names of the columns."""
        return dict(zip(_COLUMNS, values_of(self), strict=True))  # `asdict` takes ten times as long


_COLUMNS = tuple(field.name for field in fields(CatalogRow))
values_of = attrgetter(*_COLUMNS)
"""The values of a row in the order of its fields: `CatalogRow(*values_of(row)) == row`."""

ADDED_LATER: dict[str, Any] = {**asdict(Presentation()), "icc_profile": ""}
"""Columns that catalogs of earlier versions do not have, with their values there."""
