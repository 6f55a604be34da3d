"""Third-party readers read a data set without conversion, each with the real library."""

import subprocess

import numpy as np
import pytest
import webdataset as wds

from dimmagen.core import hashing
from dimmagen.dataset.reader import open_pairs
from dimmagen.images import codec

_MISSING = "is not installed: pip install 'dimmagen[interop]'"


@pytest.fixture(scope="module")
def pairs(pair_set):
    return open_pairs(pair_set)


def test_webdataset_reads_brace_patterns_and_decodes_both_images(pair_set, pairs):
    url = f"{pair_set}/shards/train-{{00000..00003}}.tar"
    samples = list(wds.WebDataset(url, shardshuffle=False).decode("rgb8").rename(light="light.jpg;light.png"))
    assert [sample["__key__"] for sample in samples] == pairs.table["key"].to_pylist()
    for sample, row in zip(samples, pairs.rows(), strict=True):
        assert codec.pixel_sha256(sample["dark.png"]) == row["dark_pixel_sha256"]
        assert codec.pixel_sha256(sample["light"]) == row["light_pixel_sha256"]
        assert sample["json"]["gamma"] == row["gamma"]


def test_an_open_clip_pipeline_reads_a_tuple_from_every_sample(pair_set, pairs):
    """open_clip's reader: shard list, split, tar_to_samples, decode, rename, to_tuple, batched."""
    pipeline = wds.DataPipeline(
        wds.SimpleShardList(f"{pair_set}/shards/train-{{00000..00003}}.tar"),
        wds.split_by_node,
        wds.split_by_worker,
        wds.tarfile_to_samples(),
        wds.decode("pilrgb"),
        wds.rename(image="dark.png", text="json"),
        wds.to_tuple("image", "text"),
        wds.batched(5, partial=True),
    )
    texts = [text for _, batch in pipeline for text in batch]
    assert [text["key"] for text in texts] == pairs.table["key"].to_pylist()


@pytest.mark.parametrize("streaming", [False, True])
def test_hugging_face_datasets_loads_the_folder(pair_set, pairs, tmp_path, streaming):
    datasets = pytest.importorskip("datasets", reason=f"datasets {_MISSING}")
    loaded = datasets.load_dataset(str(pair_set), split="train", streaming=streaming, cache_dir=str(tmp_path))
    samples = list(loaded)
    assert [sample["__key__"] for sample in samples] == pairs.table["key"].to_pylist()
    for sample, row in zip(samples, pairs.rows(), strict=True):
        light = sample["light.jpg"] or sample["light.png"]
        assert codec.pixel_sha256(np.asarray(light.convert("RGB"))) == row["light_pixel_sha256"]
        assert codec.pixel_sha256(np.asarray(sample["dark.png"])) == row["dark_pixel_sha256"]
        assert sample["json"]["gamma"] == row["gamma"]


def test_the_tar_command_lists_and_unpacks_a_shard(pair_set, pairs, tmp_path):
    shard = pair_set / "shards/train-00000.tar"
    names = subprocess.run(["tar", "tf", shard], check=True, capture_output=True, text=True).stdout.split()
    row = pairs.row(0)
    assert names[:3] == [row["dark_member"], f"{row['key']}.json", row["light_member"]]
    subprocess.run(["tar", "xf", shard, "-C", tmp_path], check=True)
    assert hashing.sha256((tmp_path / row["dark_member"]).read_bytes()) == row["dark_sha256"]


def test_duckdb_and_pandas_query_the_parquet(pair_set, pairs):
    import pandas

    frame = pandas.read_parquet(pair_set / "metadata")
    assert frame["key"].tolist() == pairs.table["key"].to_pylist()
    assert frame["gamma"].between(0.3, 2.0).all()
    duckdb = pytest.importorskip("duckdb", reason=f"duckdb {_MISSING}")
    count, least = duckdb.sql(
        f"select count(*), min(lightness_after) from '{pair_set}/metadata/*.parquet'"
    ).fetchall()[0]
    assert (count, least) == (12, frame["lightness_after"].min())


def test_croissant_is_valid_and_its_records_are_the_pairs(pair_set, pairs):
    croissant = pytest.importorskip("mlcroissant", reason=f"mlcroissant {_MISSING}")
    described = croissant.Dataset(str(pair_set / "croissant.json"))
    assert not described.metadata.ctx.issues.errors
    records = list(described.records("pairs"))
    assert [record["pairs/key"].decode() for record in records] == pairs.table["key"].to_pylist()
    assert records[0]["pairs/gamma"] == pairs.row(0)["gamma"]
