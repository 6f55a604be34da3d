"""A written shard is a plain tar with a parquet file of exact offsets, or it does not exist."""

import io
import json
import tarfile
from dataclasses import replace

import pytest

from dimmagen.core import hashing, storage
from dimmagen.core.errors import DimmagenError
from dimmagen.core.parquet import read_rows
from dimmagen.core.tar import TarWriter
from dimmagen.dataset.manifest import ShardEntry
from dimmagen.dataset.schema import PAIR_SCHEMA, schema_of, sidecar, sidecar_keys
from dimmagen.dataset.writer import Sample, write_pair_shard, write_pair_shards


def sample(key: str, **changes) -> Sample:
    row = {
        "key": key,
        "light_key": key.removesuffix("-v0"),
        "source": "folder",
        "name": "a/ä.jpg",
        "source_sha256": "1" * 64,
        "transform": "verbatim",
        "crop": "full",
        "profile": "linear",
        "model": "linear",
        "variant": 0,
        "seed": 0,
        "gamma": 1.0,
        "tau": 1.0,
        "exposure": 1.0,
        "noise_seed": 2**63 - 1,
        "lightness_before": 0.5,
        "lightness_after": 0.0,
        "width": 4,
        "height": 3,
        **{f"{side}_{kind}": "2" * 64 for side in ("dark", "light") for kind in ("sha256", "pixel_sha256")},
        **changes,
    }
    return Sample(row, b"dark" * 200, "png", b"light", "jpg")


def test_a_tar_reads_as_uncompressed_ustar_without_time_owner_or_pax_header(tmp_path):
    write_pair_shard(str(tmp_path), "train-00000", [sample("folder-1-v0"), sample("folder-2-v0")])
    data = (tmp_path / "shards/train-00000.tar").read_bytes()
    assert data[257:263] == b"ustar\0"
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        entries = tar.getmembers()
    assert [entry.name for entry in entries] == [
        f"folder-{number}-v0.{field}" for number in (1, 2) for field in ("dark.png", "json", "light.jpg")
    ]
    for entry in entries:
        facts = (entry.mtime, entry.uid, entry.gid, entry.mode, entry.uname, entry.gname, entry.pax_headers)
        assert facts == (0, 0, 0, 0o644, "", "", {})
    assert len(data) % tarfile.RECORDSIZE == 0


def test_offsets_and_sizes_in_the_rows_are_those_of_the_members_data(tmp_path):
    samples = [sample("folder-1-v0"), sample("folder-2-v0")]
    write_pair_shard(str(tmp_path), "train-00000", samples)
    data = (tmp_path / "shards/train-00000.tar").read_bytes()
    rows = read_rows(str(tmp_path / "metadata/train-00000.parquet"), PAIR_SCHEMA)
    for row, given in zip(rows, samples, strict=True):
        for field, expected in (("dark", given.dark), ("json", sidecar(given.row)), ("light", given.light)):
            offset = row[f"{field}_offset"]
            assert data[offset : offset + row[f"{field}_size"]] == expected


def test_a_drawn_white_balance_is_in_the_row_and_in_the_json_file(tmp_path):
    """A set without one keeps its columns, and with them its bytes."""
    drawn = {"balance_red": 1.1, "balance_green": 1.0, "balance_blue": 0.91}
    given = sample("folder-1-v0", **drawn)
    write_pair_shard(str(tmp_path), "train-00000", [given])
    [row] = read_rows(str(tmp_path / "metadata/train-00000.parquet"), schema_of({"white_balance": "drawn"}))
    assert {name: row[name] for name in drawn} == drawn
    assert {name: json.loads(sidecar(given.row))[name] for name in drawn} == drawn
    assert not drawn.keys() & json.loads(sidecar(sample("folder-1-v0").row)).keys()
    assert not drawn.keys() & set(schema_of({}).names)


def test_the_record_has_the_size_and_hash_of_both_files(tmp_path):
    record = write_pair_shard(str(tmp_path), "train-00000", [sample("folder-1-v0")])
    for name, size, sha256 in (
        (record.name, record.bytes, record.sha256),
        (record.metadata.name, record.metadata.bytes, record.metadata.sha256),
    ):
        assert (size, sha256) == storage.size_and_sha256(tmp_path / name)


@pytest.mark.parametrize(
    ("extension", "order"),
    [
        ("labels.json", ["dark.png", "json", "labels.json", "light.jpg"]),
        ("mask.png", ["dark.png", "json", "light.jpg", "mask.png"]),
    ],
)
def test_labels_lie_where_their_name_sorts_and_the_row_says_where(extension, order, tmp_path):
    given = [
        replace(sample(f"folder-{number}-v0"), labels=b"labels %d" % number, labels_extension=extension)
        for number in (1, 2)
    ]
    record = write_pair_shard(str(tmp_path), "train-00000", given)
    rows = read_rows(str(tmp_path / record.metadata.name), schema_of({"labels": {"format": "x"}}))
    data = (tmp_path / record.name).read_bytes()
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        assert tar.getnames() == [f"{row['key']}.{ending}" for row in rows for ending in order]
    for row, one in zip(rows, given, strict=True):
        assert row["labels_member"] == f"{row['key']}.{extension}"
        assert row["labels_sha256"] == hashing.sha256(one.labels)
        for side, expected in (("dark", one.dark), ("light", one.light), ("labels", one.labels)):
            offset = row[f"{side}_offset"]
            assert data[offset : offset + row[f"{side}_size"]] == expected


def test_several_shards_are_written_side_by_side_as_each_alone(tmp_path):
    samples = [sample(f"folder-{number}-v0") for number in range(3)]
    names = ["train-00004", "train-00002"]
    together = write_pair_shards(
        str(tmp_path / "a"), names, [(1, samples[0]), (0, samples[1]), (1, samples[2])]
    )
    alone = [
        write_pair_shard(str(tmp_path / "b"), name, chosen)
        for name, chosen in zip(names, (samples[1:2], samples[::2]), strict=True)
    ]
    assert together == alone
    assert [(one.name, one.samples, one.metadata.name) for one in together] == [
        ("shards/train-00004.tar", 1, "metadata/train-00004.parquet"),
        ("shards/train-00002.tar", 2, "metadata/train-00002.parquet"),
    ]
    assert together[0].to_dict()["metadata"]["sha256"] == together[0].metadata.sha256
    assert ShardEntry.model_validate(together[1].to_dict()).shard_record() == together[1]


def test_no_file_is_published_when_a_sample_fails(tmp_path):
    def failing():
        yield sample("folder-1-v0")
        raise RuntimeError("the second sample fails")

    with pytest.raises(RuntimeError):
        write_pair_shard(str(tmp_path), "train-00000", failing())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_whole_number_is_written_as_a_float_where_the_column_is_a_float():
    values = json.loads(sidecar(sample("folder-1-v0").row))
    assert '"gamma": 1.0' in sidecar(sample("folder-1-v0").row).decode()
    assert isinstance(values["lightness_after"], float)
    assert isinstance(values["noise_seed"], int)


def test_a_sidecar_is_what_python_writes_with_an_indent():
    name = 'a,\n "b": 1}{"\\ \u2028ä\U0001f600\x7f/'
    given = sample("folder-1-v0", name=name, gamma=1e-300, tau=1e22, noise_seed=-(2**63))
    row = {name: given.row[name] for name in sidecar_keys(PAIR_SCHEMA)}
    assert sidecar(given.row) == json.dumps(row, indent=1).encode() + b"\n"


def test_a_sidecar_is_indented_json_in_the_order_of_the_columns():
    lines = sidecar(sample("folder-1-v0").row).decode().split("\n")
    assert lines[:4] == ["{", ' "key": "folder-1-v0",', ' "light_key": "folder-1",', ' "source": "folder",']
    assert lines[-4:] == [' "width": 4,', ' "height": 3', "}", ""]
    assert ' "name": "a/\\u00e4.jpg",' in lines


def test_each_sample_that_is_written_is_reported(tmp_path):
    reported = []
    samples = [sample("folder-1-v0"), sample("folder-2-v0"), sample("folder-3-v0")]
    write_pair_shard(str(tmp_path), "train-00000", samples, lambda: reported.append(len(reported)))
    assert reported == [0, 1, 2]


@pytest.mark.parametrize("change", [{"gamma": 1}, {"name": None}, {"tau": float("nan")}, {"seed": True}])
def test_a_value_of_another_type_or_nan_or_null_is_refused(change):
    with pytest.raises(ValueError, match=next(iter(change)) + "|JSON"):
        sidecar(sample("folder-1-v0", **change).row)


def test_a_damaged_and_a_missing_parquet_file_are_reported(tmp_path):
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(DimmagenError, match="not a readable parquet"):
        read_rows(str(path), PAIR_SCHEMA)
    with pytest.raises(DimmagenError, match="missing"):
        read_rows(str(tmp_path / "absent.parquet"), PAIR_SCHEMA)


def test_the_tar_writer_hashes_what_it_writes():
    file = io.BytesIO()
    tar = TarWriter(file)
    offset = tar.add("a.txt", b"hello")
    size, sha256 = tar.finish()
    assert file.getvalue()[offset : offset + 5] == b"hello"
    assert (size, sha256) == (len(file.getvalue()), hashing.sha256(file.getvalue()))
