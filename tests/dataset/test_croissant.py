"""`croissant.json` names every file with its hash, and every column with its type."""

import json

import pytest

from dimmagen.core.hashing import FileRecord
from dimmagen.dataset.croissant import croissant, croissant_of
from dimmagen.dataset.schema import BALANCED_SCHEMA, PAIR_SCHEMA
from dimmagen.dataset.writer import ShardRecord
from tests.dataset.test_card import manifest

SHARDS = [
    ShardRecord(
        f"shards/{n}.tar",
        3,
        100 + n,
        f"{n}" * 64,
        FileRecord(f"metadata/{n}.parquet", 5 + n, f"{n + 5}" * 64),
    )
    for n in (0, 1)
]


@pytest.fixture(scope="module")
def document():
    data = croissant("a name", "what it is", "https://example.com/terms", SHARDS)
    assert data.startswith(b'{\n "@context"')
    assert data.endswith(b"}\n")
    return json.loads(data)


def test_the_document_says_what_it_describes(document):
    assert (document["@type"], document["name"], document["description"]) == (
        "sc:Dataset",
        "a name",
        "what it is",
    )
    assert document["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert document["license"] == "https://example.com/terms"
    assert (document["url"], document["version"]) == ("https://arxiv.org/abs/2310.09633", "1.0.0")
    assert document["@context"]["recordSet"] == "cr:recordSet"


def test_every_tar_and_parquet_file_has_its_size_and_hash(document):
    *files, together = document["distribution"]
    assert [(one["@id"], one["contentSize"], one["sha256"]) for one in files] == [
        ("shards/0.tar", "100 B", "0" * 64),
        ("shards/1.tar", "101 B", "1" * 64),
        ("metadata/0.parquet", "5 B", "5" * 64),
        ("metadata/1.parquet", "6 B", "6" * 64),
    ]
    for one in files:
        assert one["@type"] == "cr:FileObject"
        assert one["name"] == one["contentUrl"] == one["@id"]
        kind = "x-tar" if one["name"].endswith(".tar") else "x-parquet"
        assert one["encodingFormat"] == f"application/{kind}"
    assert together == {
        "@type": "cr:FileSet",
        "@id": "metadata",
        "name": "metadata",
        "description": "A row a pair, in the order of the shards.",
        "encodingFormat": "application/x-parquet",
        "includes": "metadata/*.parquet",
    }


def test_every_column_is_a_field_with_its_type_and_its_place(document):
    [records] = document["recordSet"]
    assert (records["@type"], records["@id"], records["name"]) == ("cr:RecordSet", "pairs", "pairs")
    assert records["key"] == {"@id": "pairs/key"}
    assert [field["name"] for field in records["field"]] == PAIR_SCHEMA.names
    fields = {field["name"]: field for field in records["field"]}
    for name, kind in (("key", "sc:Text"), ("variant", "sc:Integer"), ("gamma", "sc:Float")):
        assert fields[name] == {
            "@type": "cr:Field",
            "@id": f"pairs/{name}",
            "name": name,
            "dataType": kind,
            "source": {"fileSet": {"@id": "metadata"}, "extract": {"column": name}},
        }


def test_a_data_set_is_described_by_its_manifest():
    one = manifest({"white_balance": 0.1})
    shards = [shard.shard_record() for shard in one.shards]
    document = json.loads(croissant_of(one))
    assert document["name"] == f"dimmagen-night-{'d' * 8}"
    assert document["description"].startswith("14 dark/light pairs; the dark pictures are synthetic")
    assert document["license"] == "https://choosealicense.com/no-permission/"
    named = croissant(document["name"], document["description"], document["license"], shards, BALANCED_SCHEMA)
    assert croissant_of(one) == named
