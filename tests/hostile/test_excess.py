"""Documents of strangers that are small as files, or sparse, and would fill the memory."""

import gzip
import io
import json
import os
import shutil
import tarfile
import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dimmagen.cli.recipe_files import read_yaml
from dimmagen.cli.recipes import load_recipe
from dimmagen.core import hashing
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dataset.checking import check_pair_shard
from dimmagen.dataset.manifest import Manifest, root_hash
from dimmagen.dataset.reader import open_pairs
from dimmagen.dataset.schema import PAIR_SCHEMA
from dimmagen.dataset.shard_samples import shard_samples
from dimmagen.dimmers.profile import BUNDLED, open_profile
from dimmagen.enhance import data
from dimmagen.enhance.checkpoints import BEST, load_network
from dimmagen.enhance.network import EnhancementNetwork
from dimmagen.enhance.run_folder import RunFolder
from dimmagen.enhance.training_shards import TrainingShard

GIB = 2**30


@pytest.fixture
def out(pair_set, tmp_path):
    return shutil.copytree(pair_set, tmp_path / "out")


def packed_tar(size):
    """A tar of one member of zeros, compressed."""
    packed = io.BytesIO()
    with gzip.open(packed, "wb", 1) as file, tarfile.open(fileobj=file, mode="w|") as archive:
        member = tarfile.TarInfo("folder-0000000000000000-v0.dark.png")
        member.size = size
        archive.addfile(member, io.BytesIO(bytes(size)))
    return packed.getvalue()


@pytest.mark.parametrize("reader", ["loaders", "training"])
def test_a_compressed_file_in_the_place_of_a_shard_is_not_unpacked(reader, out):
    shard = Manifest.load(str(out)).shards[0]
    (out / shard.name).write_bytes(packed_tar(50_000_000))
    if reader == "loaders":
        size = (out / shard.name).stat().st_size
        samples = shard_samples(str(out), shard.model_copy(update={"bytes": size}))
    else:
        samples = data._samples(TrainingShard(str(out / shard.name), shard.samples, frozenset()))
    tracemalloc.start()
    with pytest.raises(DimmagenError, match="not a readable tar"):
        list(samples)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def with_metadata(out, table):
    """Replace the parquet file of the first shard, and all hashes that cover it."""
    manifest = json.loads((out / "manifest.json").read_text())
    entry = manifest["shards"][0]["metadata"]
    pq.write_table(table, out / entry["name"], store_schema=False)
    content = (out / entry["name"]).read_bytes()
    entry.update(bytes=len(content), sha256=hashing.sha256(content))
    loaded = Manifest.model_validate_json(json.dumps(manifest))
    manifest["root_hash"] = root_hash([*loaded.shards, *loaded.files])
    (out / "manifest.json").write_text(json.dumps(manifest))
    return Manifest.load(str(out)).shards[0]


@pytest.mark.parametrize("excess", ["rows", "bytes"])
def test_a_parquet_file_of_more_than_the_manifest_says_is_refused_before_its_rows_are_read(
    excess, out, monkeypatch
):
    shard = Manifest.load(str(out)).shards[0]
    rows = pq.read_table(out / shard.metadata.name).to_pylist()
    nullable = pa.schema([pa.field(field.name, field.type) for field in PAIR_SCHEMA])
    if excess == "rows":
        table = pa.Table.from_pylist(rows[:1], nullable).take(pa.array([0] * 200_000))
    else:
        table = pa.Table.from_pylist([row | {"name": "x" * 1_000_000} for row in rows], nullable)
    shard = with_metadata(out, table)
    monkeypatch.setattr(pq.ParquetFile, "read", None)
    with pytest.raises(DimmagenError, match=r"200000 rows, the manifest says 3|bytes for 3 rows"):
        open_pairs(out)
    (fault,) = check_pair_shard(str(out), shard.shard_record()).faults
    assert "the manifest says 3" in str(fault) or "bytes for 3 rows" in str(fault)


def test_a_sparse_parquet_file_is_refused_before_it_is_read(out):
    path = out / Manifest.load(str(out)).shards[0].metadata.name
    os.truncate(path, 300 * GIB)
    with pytest.raises(DimmagenError, match="is not the file that the manifest names"):
        open_pairs(out)


LAUGHS = "\n".join(
    ["a0: &a0 x", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)), "dim: *a11"]
)


@pytest.mark.parametrize("text", [LAUGHS, "dim: &dim {profile: *dim}", "dim: {profile: &p lol3, model: *p}"])
def test_aliases_of_yaml_are_refused_by_name(text, tmp_path):
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"the alias \*\w+ is not read"):
        load_recipe(tmp_path / "recipe.yaml")


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "{a: " * 50_000, "x" * 2_000_000, "!!python/object:os.system x"]
)
def test_yaml_of_any_shape_is_a_usage_error(text, tmp_path):
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(UsageError):
        read_yaml(tmp_path / "recipe.yaml")


def grown(path, size):
    """Make a safetensors file sparse: of a size that takes no room on the disk, with a header to match."""
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    start = len(content) - end
    header["large"] = {"dtype": "F32", "shape": [size // 4], "data_offsets": [start, start + size]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[end:])
    os.truncate(path, path.stat().st_size + size)


def test_a_sparse_network_is_refused_before_it_is_read(tmp_path):
    RunFolder(tmp_path).save(
        BEST, EnhancementNetwork("compact").state_dict(), {"model": "compact", "iteration": 1, "psnr": 10.0}
    )
    load_network(tmp_path / BEST)
    grown(tmp_path / BEST, 300 * GIB)
    with pytest.raises(DimmagenError, match="larger than what it names"):
        load_network(tmp_path / BEST)


def test_a_sparse_profile_is_refused_before_it_is_read(tmp_path):
    profile = shutil.copytree(BUNDLED / "lol3", tmp_path / "profile")
    grown(profile / "mdn.safetensors", 300 * GIB)
    with pytest.raises(DimmagenError, match="not what was saved"):
        open_profile(profile)
