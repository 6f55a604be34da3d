"""The record of a pair: the columns of a shard's parquet file, and the keys of a sample's JSON file."""

import json
from collections.abc import Mapping, Sequence

import pyarrow as pa

PAIR_SCHEMA = pa.schema(
    [
        pa.field(name, kind, nullable=False)
        for name, kind in {
            "key": pa.string(),
            "light_key": pa.string(),
            "source": pa.string(),
            "name": pa.string(),
            "source_sha256": pa.string(),
            "transform": pa.string(),
            "crop": pa.string(),
            "profile": pa.string(),
            "model": pa.string(),
            "variant": pa.int64(),
            "seed": pa.int64(),
            "gamma": pa.float64(),
            "tau": pa.float64(),
            "exposure": pa.float64(),
            "noise_seed": pa.int64(),
            "lightness_before": pa.float64(),
            "lightness_after": pa.float64(),
            "width": pa.int64(),
            "height": pa.int64(),
            "dark_member": pa.string(),
            "dark_offset": pa.int64(),
            "dark_size": pa.int64(),
            "dark_sha256": pa.string(),
            "dark_pixel_sha256": pa.string(),
            "json_offset": pa.int64(),
            "json_size": pa.int64(),
            "light_member": pa.string(),
            "light_offset": pa.int64(),
            "light_size": pa.int64(),
            "light_sha256": pa.string(),
            "light_pixel_sha256": pa.string(),
        }.items()
    ]
)
"""One row per pair, in tar order; no value is null.

`crop` is `full`: the pair shows the whole light image. `tau`, `exposure` and `gamma` are the draws that were
used (see :class:`dimmagen.dimmers.base.Draw`). Lightness is the mean of all pixels and channels, in [0, 1].
`*_offset` and `*_size` are those of a member's data in the tar, in bytes. `*_sha256` is the hash of the
file's bytes, `*_pixel_sha256` that of the decoded RGB pixels, which distinguishes another encoder from
another image.
"""

WHITE_BALANCE = ("balance_red", "balance_green", "balance_blue")
"""The columns, after `exposure`, of a set whose dimmer draws a white balance for each image."""

LABEL_SCHEMA = pa.schema(
    [
        pa.field("labels_member", pa.string(), nullable=False),
        pa.field("labels_offset", pa.int64(), nullable=False),
        pa.field("labels_size", pa.int64(), nullable=False),
        pa.field("labels_sha256", pa.string(), nullable=False),
    ]
)
"""The columns that a set with labels has besides: the file `<key>.labels.json` or `<key>.mask.png`."""

_AFTER_EXPOSURE = PAIR_SCHEMA.names.index("exposure") + 1
BALANCED_SCHEMA = pa.schema(
    [
        *list(PAIR_SCHEMA)[:_AFTER_EXPOSURE],
        *(pa.field(name, pa.float64(), nullable=False) for name in WHITE_BALANCE),
        *list(PAIR_SCHEMA)[_AFTER_EXPOSURE:],
    ]
)
_SCHEMAS = {
    (is_balanced, is_labelled): pa.schema(
        [*(BALANCED_SCHEMA if is_balanced else PAIR_SCHEMA), *(LABEL_SCHEMA if is_labelled else ())]
    )
    for is_labelled in (False, True)
    for is_balanced in (False, True)
}
PAIR_SCHEMAS = tuple(_SCHEMAS.values())
"""The schemas that a shard's parquet file can have."""


def schema_of(settings: Mapping) -> pa.Schema:
    """The schema of a data set with these settings."""
    return _SCHEMAS[bool(settings.get("white_balance")), bool(settings.get("labels"))]


def schema_of_rows(rows: Sequence[Mapping]) -> pa.Schema:
    """The schema of a shard with these rows."""
    columns = rows[0] if rows else {}
    return _SCHEMAS[WHITE_BALANCE[0] in columns, "labels_member" in columns]


PIPELINE_STAGES = {
    "source bytes": ("source_sha256",),
    "decoded pixels": ("width", "height", "lightness_before", "light_pixel_sha256"),
    "draws": ("gamma", "tau", "exposure", *WHITE_BALANCE, "noise_seed"),
    "dark pixels": ("lightness_after", "dark_pixel_sha256"),
    "encoded bytes": ("dark_sha256", "light_sha256"),
}
"""The stages of making a pair, in order, with the columns that record the result of each."""


def first_difference(made: Mapping, recorded: Mapping) -> tuple[str, str] | None:
    """The first stage in which two rows of one pair differ, with its first such column; None if equal."""
    for stage, columns in PIPELINE_STAGES.items():
        for column in columns:
            if made.get(column) != recorded.get(column):
                return stage, column
    return None


def sidecar_keys(schema: pa.Schema) -> list[str]:
    """The keys of the samples' JSON files in a set with this schema, in order."""
    return schema.names[: schema.names.index("dark_member")]


def _sidecar_types(schema: pa.Schema) -> dict[str, type]:
    kinds = {name: schema.field(name).type for name in sidecar_keys(schema)}
    return {
        name: float if pa.types.is_floating(kind) else int if pa.types.is_integer(kind) else str
        for name, kind in kinds.items()
    }


_SIDECARS = {is_balanced: _sidecar_types(_SCHEMAS[is_balanced, False]) for is_balanced in (False, True)}
# As `indent=1` of a mapping of plain values, for which Python's encoder in C is not used.
_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",\n ", ": "))


def sidecar_values(row: Mapping) -> dict:
    """What a row holds of a sample's JSON file. Raises KeyError where a value is missing."""
    return {name: row[name] for name in _SIDECARS[WHITE_BALANCE[0] in row]}


def sidecar(row: Mapping) -> bytes:
    """The content of a sample's JSON file, with the same keys and types in every sample of a set.

    Raises:
        KeyError: a value is missing.
        ValueError: a value is NaN or infinite, or does not have the type of the schema.
    """
    values = sidecar_values(row)
    for name, expected in _SIDECARS[WHITE_BALANCE[0] in row].items():
        if type(values[name]) is not expected:
            raise ValueError(f"{name} must be {expected.__name__}, got {values[name]!r}")
    return f"{{\n {_ENCODER.encode(values)[1:-1]}\n}}\n".encode()
