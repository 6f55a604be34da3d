"""`croissant.json`: a machine-readable description of the data set in MLCommons Croissant 1.0 (JSON-LD)."""

import json
from collections.abc import Sequence

import pyarrow as pa

from dimmagen.core.hashing import FileRecord
from dimmagen.dataset.manifest import Manifest
from dimmagen.dataset.schema import PAIR_SCHEMA, schema_of
from dimmagen.dataset.writer import ShardRecord

CROISSANT = "croissant.json"

# The vocabulary that every Croissant 1.0 file must declare (section "JSON-LD context" of the standard).
_CROISSANT_TERMS = """
    citeAs column conformsTo data dataBiases dataCollection examples dataType extract field fileProperty
    fileObject fileSet format includes isLiveDataset jsonPath key md5 parentField path
    personalSensitiveInformation recordSet references regex repeated replace samplingRate separator source
    subField transform
"""
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{term: f"cr:{term}" for term in _CROISSANT_TERMS.split()},
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
}
_TYPES = {pa.string(): "sc:Text", pa.int64(): "sc:Integer", pa.float64(): "sc:Float"}
_RECORD_SET, _METADATA_SET = "pairs", "metadata"


def croissant_of(manifest: Manifest) -> bytes:
    """The content of the file for a data set, given its manifest."""
    return croissant(
        name=f"dimmagen-{manifest.settings['profile']}-{manifest.fingerprint[:8]}",
        description=f"{manifest.counts.pairs} dark/light pairs; the dark pictures are synthetic, made with "
        "dimmagen.",
        license_url="https://choosealicense.com/no-permission/",
        shards=[entry.shard_record() for entry in manifest.shards],
        columns=schema_of(manifest.settings),
    )


def croissant(
    name: str,
    description: str,
    license_url: str,
    shards: Sequence[ShardRecord],
    columns: pa.Schema = PAIR_SCHEMA,
) -> bytes:
    """The content of the file: every tar and parquet file with its SHA-256, and the columns of a row.

    Args:
        name, description: of the data set.
        license_url: of its terms.
        shards: in plan order.
        columns: of a row.
    """
    files = [_file_object(FileRecord(s.name, s.bytes, s.sha256), "application/x-tar") for s in shards]
    files += [_file_object(s.metadata, "application/x-parquet") for s in shards]
    document = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": name,
        "description": description,
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "license": license_url,
        "url": "https://arxiv.org/abs/2310.09633",
        "version": "1.0.0",
        "distribution": [
            *files,
            {
                "@type": "cr:FileSet",
                "@id": _METADATA_SET,
                "name": _METADATA_SET,
                "description": "A row a pair, in the order of the shards.",
                "encodingFormat": "application/x-parquet",
                "includes": "metadata/*.parquet",
            },
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": _RECORD_SET,
                "name": _RECORD_SET,
                "description": "One dark/light pair: origin, draws, and where its files lie in the shard.",
                "key": {"@id": f"{_RECORD_SET}/key"},
                "field": [_field(field) for field in columns],
            }
        ],
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def _file_object(file: FileRecord, encoding: str) -> dict:
    return {
        "@type": "cr:FileObject",
        "@id": file.name,
        "name": file.name,
        "contentUrl": file.name,
        "contentSize": f"{file.bytes} B",
        "encodingFormat": encoding,
        "sha256": file.sha256,
    }


def _field(field: pa.Field) -> dict:
    return {
        "@type": "cr:Field",
        "@id": f"{_RECORD_SET}/{field.name}",
        "name": field.name,
        "dataType": _TYPES[field.type],
        "source": {"fileSet": {"@id": _METADATA_SET}, "extract": {"column": field.name}},
    }
