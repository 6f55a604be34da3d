"""Verification detects damage to a finished MixHQ and reports where it is."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dimmagen import build_mixhq, verify_mixhq
from dimmagen.core.errors import DimmagenError
from dimmagen.core.hashing import sha256
from dimmagen.core.tar import TarWriter, members, read_at
from dimmagen.dataset import verify_mixhq as verifying
from dimmagen.images import codec
from dimmagen.sources import mixhq_reading
from dimmagen.sources.mixhq_removal import remove_from_mixhq
from tests.commands import exit_code
from tests.dataset_helpers import write_photos

SHARD = "shards/mixhq-00001.tar"
CATALOG = "catalog/part-00000.parquet"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    build_mixhq([str(write_photos(folder / "photos", 4))], folder / "mixhq", samples_per_shard=2)
    return folder / "mixhq"


@pytest.fixture
def mixhq(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "mixhq")


def faults(mixhq) -> str:
    return "\n".join(map(str, verify_mixhq(mixhq).faults))


def change_manifest(mixhq, change):
    path = mixhq / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def write_shard_again(mixhq, change):
    """Write a shard with other data of its second light image, and its record in the manifest."""
    path = mixhq / SHARD
    with open(path, "rb") as file:
        found = [(one.name, read_at(file, one.offset, one.size)) for one in members(file, str(path))]
    with open(path, "wb") as file:
        tar = TarWriter(file)
        for number, (name, data) in enumerate(found):
            tar.add(name, change(data) if number == 3 else data)
        size, digest = tar.finish()
    change_manifest(mixhq, lambda manifest: manifest["shards"][1].update(bytes=size, sha256=digest))
    return found[3][0]


def test_an_intact_mixhq_has_no_faults_before_and_after_it_grows_and_shrinks(mixhq, tmp_path):
    assert (faults(mixhq), verify_mixhq(mixhq).light_images, verify_mixhq(mixhq).shards) == ("", 4, 2)
    build_mixhq([str(write_photos(tmp_path / "more", 7))], mixhq, samples_per_shard=2, add=True)
    assert (faults(mixhq), verify_mixhq(mixhq).light_images, verify_mixhq(mixhq).shards) == ("", 7, 4)
    damaged = shutil.copytree(mixhq, tmp_path / "damaged")
    change_manifest(damaged, lambda manifest: manifest["shards"].pop())
    assert "the manifest does not name its shard" in faults(damaged)
    remove_from_mixhq(str(mixhq), ["photo05.jpg"])
    assert (faults(mixhq), verify_mixhq(mixhq).light_images) == ("", 6)


def test_the_progress_is_that_of_the_light_images(mixhq):
    noted = []
    verifying.verify_mixhq(str(mixhq), noted.append, lambda images: noted.append(("shard", images)))
    assert noted == [4, ("shard", 2), ("shard", 2)]


def test_a_folder_without_a_manifest_is_refused_by_its_name(tmp_path):
    with pytest.raises(DimmagenError, match="empty") as error:
        verify_mixhq(tmp_path / "empty")
    assert error.value.fields["path"] == str(tmp_path / "empty")


def test_members_in_another_order_and_members_that_cannot_be_read(mixhq):
    with open(mixhq / SHARD, "rb") as file:
        found = [(one.name, read_at(file, one.offset, one.size)) for one in members(file, SHARD)]
    with open(mixhq / SHARD, "wb") as file:
        tar = TarWriter(file)
        for name, data in [*found[2:], *found[:2]]:
            tar.add(name, data)
        size, digest = tar.finish()
    change_manifest(mixhq, lambda manifest: manifest["shards"][1].update(bytes=size, sha256=digest))
    assert faults(mixhq).startswith(f"{SHARD}: its members are not those of the catalog\n")
    (mixhq / SHARD).write_bytes(b"no tar" * 1000)
    assert "its members are not those" not in faults(mixhq)


def test_a_manifest_that_does_not_say_what_a_file_has(mixhq):
    def forget(manifest):
        del manifest["shards"][0]["bytes"], manifest["catalog"]["sha256"]

    change_manifest(mixhq, forget)
    assert faults(mixhq).startswith(f"{CATALOG}: does not have the SHA-256 of the manifest")
    change_manifest(
        mixhq, lambda manifest: manifest["catalog"].update(sha256=sha256((mixhq / CATALOG).read_bytes()))
    )
    size = (mixhq / "shards/mixhq-00000.tar").stat().st_size
    assert f"shards/mixhq-00000.tar: has {size} bytes, the manifest says -1" in faults(mixhq)


def test_a_shard_whose_bytes_changed(mixhq):
    data = bytearray((mixhq / SHARD).read_bytes())
    data[-1] ^= 1
    (mixhq / SHARD).write_bytes(data)
    assert faults(mixhq) == f"{SHARD}: does not have the SHA-256 of the manifest"


def test_a_light_image_that_is_not_that_of_the_catalog_in_a_shard_that_is_that_of_the_manifest(mixhq):
    name = write_shard_again(mixhq, lambda data: bytes([data[0], data[1] ^ 1, *data[2:]]))
    key = name.partition(".")[0]
    assert faults(mixhq).startswith(
        f"{SHARD}: light image {key}: the bytes of {name} are not those of its row\n"
    )
    assert f"{SHARD}: light image {key}: {name}: is not an image of a known kind" in faults(mixhq)


def test_a_light_image_of_another_size(mixhq):
    name = write_shard_again(mixhq, lambda data: codec.encode_png(np.zeros((9, 7, 3), np.uint8)))
    assert f"{name} is not at byte" in faults(mixhq)


def test_files_that_are_missing_and_files_that_do_not_belong(mixhq):
    (mixhq / SHARD).unlink()
    (mixhq / "README.md").unlink()
    (mixhq / "shards" / "other.tar").write_bytes(b"")
    assert set(faults(mixhq).splitlines()) == {
        f"{SHARD}: is missing",
        "README.md: is missing",
        "shards/other.tar: does not belong to the MixHQ",
    }


def test_what_a_stopped_addition_left_is_unfinished_and_no_fault(mixhq):
    (mixhq / "shards" / "mixhq-00002.tar").write_bytes(b"")
    found = verify_mixhq(mixhq)
    assert (found.faults, found.unfinished) == ([], ["shards/mixhq-00002.tar"])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda one: one["sources"]["folder"].update(accepted=5), "its counts by source are not those"),
        (lambda one: one.pop("sources"), "its counts by source are not those"),
        (lambda one: one.update(samples=5), "its shards hold a different number of light images"),
        (lambda one: one["catalog"].update(rows=7), f"{CATALOG}: rows: 5, the manifest says 7"),
        (
            lambda one: one["shards"][1].update(samples=3),
            f"{SHARD}: rows in the catalog: 2, the",
        ),
        (lambda one: one["shards"].pop(), "the manifest does not name its shard"),
    ],
)
def test_a_manifest_that_says_something_else(change, fault, mixhq):
    change_manifest(mixhq, change)
    assert fault in faults(mixhq)


def test_a_catalog_that_says_something_else(mixhq):
    table = pq.read_table(mixhq / CATALOG).to_pylist()
    one = next(row for row in table if row["accepted"])
    one["name"], one["light_width"] = "other.png", one["light_width"] + 1
    schema = pq.read_schema(mixhq / CATALOG)
    pq.write_table(pa.Table.from_pylist(table, schema), mixhq / CATALOG)
    data = (mixhq / CATALOG).read_bytes()
    assert f"{CATALOG}: has {len(data)} bytes, the manifest says" in faults(mixhq)
    change_manifest(mixhq, lambda it: it["catalog"].update(bytes=len(data), sha256=sha256(data)))
    found = faults(mixhq).splitlines()
    where = f"{one['shard']}: light image {one['key']}: "
    width = one["light_width"]
    assert found == [
        f"{where}the JSON differs from its row",
        f"{where}{one['member']} is {width - 1}x{one['light_height']}, not {width}x{one['light_height']}",
    ]


def test_each_catalog_is_read_once(mixhq, monkeypatch):
    read = []

    def noted(out, parts):
        read.extend(parts)
        return mixhq_reading.read_catalog(out, parts)

    monkeypatch.setattr(verifying, "read_catalog", noted)
    assert faults(mixhq) == ""
    assert read == [CATALOG]


def test_a_catalog_that_is_missing(mixhq, capsys):
    (mixhq / CATALOG).unlink()
    assert faults(mixhq).startswith(f"{CATALOG}: is missing\n{CATALOG}: ")
    assert exit_code("verify", mixhq) == 1
    told = capsys.readouterr()
    assert f"{CATALOG}: is missing" in told.out
    assert "build it again into another folder" in " ".join(told.err.split())


def test_the_command_takes_it(mixhq, capsys):
    assert exit_code("verify", mixhq, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"mixhq": str(mixhq), "light_images": 4, "shards": 2}


def test_a_manifest_that_names_a_catalog_elsewhere(mixhq):
    change_manifest(mixhq, lambda one: one["catalog"].update(name="../photos/photo00.png"))
    assert faults(mixhq) == ""  # of a MixHQ that has not grown, no other file is read


@pytest.mark.parametrize(
    ("name", "value"),
    [("catalog", "x"), ("shards", [{}]), ("shards", "x"), ("samples", "4"), ("samples", None)],
)
def test_a_manifest_with_something_else_in_a_place(name, value, mixhq):
    change_manifest(mixhq, lambda one: one.update({name: value}))
    with pytest.raises(DimmagenError, match=r"manifest\.json is damaged"):
        verify_mixhq(mixhq)


@pytest.mark.parametrize("text", ["[]", '{"schema": "dimmagen-mixhq-1"}'])
def test_a_manifest_of_another_kind(text, mixhq):
    (mixhq / "manifest.json").write_text(text)
    with pytest.raises(DimmagenError, match="mixhq"):
        verify_mixhq(mixhq)
