"""The catalog: one row for every candidate seen, accepted or rejected."""

from dataclasses import asdict, dataclass

import pyarrow as pa

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


@dataclass(frozen=True, slots=True)
class CatalogRow:
    """What is known of one candidate: a picture, or one frame of a clip.

    Attributes:
        source, name, frame: where it was seen: the source's name, the name inside the source, and for a clip
            `first` or `last`.
        key: of the light picture; empty when the file could not be read.
        sha256, bytes: of the candidate's file.
        width, height: of the candidate, upright; 0 when unknown.
        format, mode: Pillow's names; for a clip `video` and the pixel format.
        white_border: see :func:`.rules.white_border`; null where the rule does not ask for it.
        scene_distance: to the nearest excluded picture, in bits; null where none are given.
        accepted, rule, reason: the verdict; rule and reason are empty when accepted.
        transform, extension, light_*: of the light picture as it is stored; empty and 0 when rejected.
        shard, member, offset: where MixHQ keeps the light picture; empty and 0 when it is not packed.
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

    def to_dict(self) -> dict:
        return asdict(self)
