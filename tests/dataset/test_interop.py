"""Third-party readers read a data set without conversion, each with the real library."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import webdataset as wds

from dimmagen import build_mixhq
from dimmagen.core import hashing
from dimmagen.dataset.reader import open_pairs
from dimmagen.images import codec
from tests.dataset_helpers import make, write_photos

ROOT = Path(__file__).resolve().parents[2]
_MISSING = "is not installed: pip install 'dimmagen[interop]'"


@pytest.fixture(scope="module")
def pairs(pair_set):
    return open_pairs(pair_set)


@pytest.fixture(scope="module")
def one_format(tmp_path_factory):
    """The data set of JPEG and PNG photos that `dimmagen dim` makes by default."""
    folder = tmp_path_factory.mktemp("one_format")
    make(write_photos(folder / "photos", 6), folder / "out", light_format="auto")
    return folder / "out"


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


def test_every_data_set_has_the_same_columns_whatever_its_file_types(pair_set, one_format, tmp_path):
    datasets = pytest.importorskip("datasets", reason=f"datasets {_MISSING}")
    make(one_format.parent / "photos", tmp_path / "webp", image_format="webp")
    images = ["dark.png", "dark.webp", "json", "light.jpg", "light.png", "light.webp"]
    for out in (pair_set, one_format, tmp_path / "webp"):
        loaded = datasets.load_dataset(str(out), split="train", streaming=True)
        assert loaded.column_names == [*images, "__key__", "__url__"]
        assert len([side for side in next(iter(loaded)).values() if hasattr(side, "convert")]) == 2


def check_images(samples, pairs):
    for sample, row in zip(samples, pairs.rows(), strict=True):
        for side in ("dark", "light"):
            pixels = np.asarray(sample[f"{side}.png"])
            assert codec.pixel_sha256(pixels) == row[f"{side}_pixel_sha256"]


def webdataset_builder(out, cache):
    datasets = pytest.importorskip("datasets", reason=f"datasets {_MISSING}")
    files = {"train": f"{out}/shards/*.tar"}
    return list(datasets.load_dataset("webdataset", data_files=files, split="train", cache_dir=str(cache)))


def test_hugging_faces_webdataset_builder_reads_the_tars_alone(one_format, pair_set, tmp_path):
    check_images(webdataset_builder(one_format, tmp_path), open_pairs(one_format))
    with pytest.raises(ValueError, match="don't share the same prefix or the same types"):
        webdataset_builder(pair_set, tmp_path)  # why one file format is the default


@pytest.mark.ray
@pytest.mark.slow
def test_ray_data_reads_the_tars(one_format):
    code = f"""
import ray
from dimmagen.dataset.reader import open_pairs
from tests.dataset.test_interop import check_images
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
tars = [f"{one_format}/shards/train-0000{{number}}.tar" for number in range(2)]
samples = {{row["__key__"]: row for row in ray.data.read_webdataset(tars).take_all()}}
pairs = open_pairs("{one_format}")
check_images([samples[key] for key in pairs.table["key"].to_pylist()], pairs)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize("card", ["# my data", "---\nlicense: mit\n---\n# my data", None])
@pytest.mark.parametrize("mixed", [False, True])
def test_the_folder_is_loaded_as_images_with_any_readme(card, mixed, one_format, pair_set, tmp_path):
    datasets = pytest.importorskip("datasets", reason=f"datasets {_MISSING}")
    origin = pair_set if mixed else one_format
    out = shutil.copytree(origin, tmp_path / "out")
    (out / "README.md").unlink()
    if card is not None:
        (out / "README.md").write_text(card)
    samples = list(datasets.load_dataset(str(out), split="train", streaming=True))
    for sample in samples:
        sample["light.png"] = sample["light.png"] or sample["light.jpg"]
    check_images(samples, open_pairs(out))


@pytest.mark.parametrize("with_layout", [True, False])
def test_a_folder_is_not_taken_for_another_of_its_name_or_for_what_was_there(with_layout, tmp_path):
    """`datasets` keeps what it has loaded by the name of the folder and the layout, not by the shards."""
    datasets = pytest.importorskip("datasets", reason=f"datasets {_MISSING}")
    photos = write_photos(tmp_path / "photos", 1)
    for place, seed in (("one/out", 0), ("two/out", 1), ("two/out", 2)):
        out = tmp_path / place
        make(photos, out, seed=seed, resume="never")
        if not with_layout:  # the head of the README says it, too
            (out / ".huggingface.yaml").unlink()
        (sample,) = datasets.load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache"))
        pairs = open_pairs(out)
        assert codec.pixel_sha256(np.asarray(sample["dark.png"])) == pairs.row(0)["dark_pixel_sha256"]


def test_a_mixhq_is_not_taken_for_another_of_its_name(tmp_path):
    datasets = pytest.importorskip("datasets", reason=f"datasets {_MISSING}")
    for place, count in (("one", 1), ("two", 2)):
        photos = write_photos(tmp_path / place / "photos", count)
        build_mixhq([f"folder={photos}"], tmp_path / place / "mixhq")
        folder = str(tmp_path / place / "mixhq")
        assert len(datasets.load_dataset(folder, split="train", cache_dir=str(tmp_path / "cache"))) == count


def test_mixhq_is_loaded_as_images_with_any_readme(one_format, tmp_path):
    """One shard and one catalog: without the layout, `datasets` takes the catalog."""
    datasets = pytest.importorskip("datasets", reason=f"datasets {_MISSING}")
    build_mixhq([f"folder={one_format.parent / 'photos'}"], tmp_path / "mixhq", samples_per_shard=100)
    for change in (lambda path: None, lambda path: path.write_text("# mine")):
        change(tmp_path / "mixhq/README.md")
        samples = list(datasets.load_dataset(str(tmp_path / "mixhq"), split="train", streaming=True))
        for sample in samples:
            light = np.asarray(sample["light.jpg"] or sample["light.png"])
            assert light.shape == (sample["json"]["height"], sample["json"]["width"], 3)
        assert len(samples) == 6


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
