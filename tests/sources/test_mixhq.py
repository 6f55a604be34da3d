import errno
import hashlib
import io
import json
import os
import shutil
import tarfile

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from skimage import data as photos

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.images import codec
from dimmagen.images.codec import decode_rgb8, pixel_sha256
from dimmagen.sources import mixhq, parse_specs
from dimmagen.sources.candidate_files import list_candidate_files
from dimmagen.sources.candidates import Candidates
from dimmagen.sources.light_image import load_light_image
from dimmagen.sources.light_images import open_light_images
from dimmagen.sources.scan import scan
from tests.dataset_helpers import file_hashes, write_catalog
from tests.sources.mixhq_builds import build


@pytest.fixture(scope="module")
def photo_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for index in range(5):
        Image.fromarray(np.roll(photos.astronaut(), 40 * index, axis=1)).save(folder / f"{index}.jpg")
    Image.fromarray(photos.coffee()).convert("L").save(folder / "gray.png")
    Image.fromarray(photos.coffee()[:99]).save(folder / "small.png")
    (folder / "again.jpg").write_bytes((folder / "0.jpg").read_bytes())
    return folder


@pytest.fixture(scope="module")
def texts(photo_folder, tmp_path_factory):
    clic = tmp_path_factory.mktemp("clic")
    Image.fromarray(photos.astronaut()).resize((900, 700)).save(clic / "large.png")
    return [f"folder={photo_folder}", f"clic={clic}", "sample"]


@pytest.fixture(scope="module")
def finished(texts, tmp_path_factory):
    out = tmp_path_factory.mktemp("finished") / "mixhq"
    build(texts, out)
    return out


def test_accepted_and_rejected_candidates_add_up_to_all(finished):
    manifest = json.loads((finished / "manifest.json").read_text())
    rows = pq.read_table(finished / manifest["catalog"]["name"]).to_pylist()
    assert manifest["sources"] == {
        "clic": {"seen": 1, "accepted": 1, "rejected": {}, "others": {}},
        "folder": {"seen": 8, "accepted": 6, "rejected": {"duplicate": 1, "folder-min-256": 1}, "others": {}},
        "sample": {"seen": 5, "accepted": 5, "rejected": {}, "others": {}},
    }
    for name, tally in manifest["sources"].items():
        assert tally["seen"] == tally["accepted"] + sum(tally["rejected"].values())
        assert tally["seen"] == sum(row["source"] == name for row in rows)
    assert manifest["samples"] == 12


def test_the_manifest_has_the_size_and_the_hash_of_every_file(finished):
    manifest = json.loads((finished / "manifest.json").read_text())
    hashes = file_hashes(finished)
    records = [manifest["catalog"], *manifest["shards"]]
    assert {record["name"]: record["sha256"] for record in records} == {
        name: sha256 for name, sha256 in hashes.items() if name.startswith(("catalog", "shards"))
    }
    assert all(record["bytes"] == (finished / record["name"]).stat().st_size for record in records)


def test_shards_are_balanced_and_follow_the_conventions_of_webdataset(finished):
    manifest = json.loads((finished / "manifest.json").read_text())
    assert [shard["name"] for shard in manifest["shards"]] == [f"shards/mixhq-{k:05d}.tar" for k in range(4)]
    assert [shard["samples"] for shard in manifest["shards"]] == [3, 3, 3, 3]
    keys = []
    for shard in manifest["shards"]:
        with tarfile.open(finished / shard["name"]) as archive:
            members = archive.getmembers()
        for notes, light in zip(members[::2], members[1::2], strict=True):
            key = notes.name.removesuffix(".json")
            assert light.name in (f"{key}.light.png", f"{key}.light.jpg")
            keys.append(key)
        for member in members:
            assert (member.mtime, member.uid, member.gid, member.mode) == (0, 0, 0, 0o644)
            assert member.uname == member.gname == ""
    assert keys == [ref.key for ref in open_light_images([str(finished)]).refs()]


def test_the_catalog_says_where_each_light_image_is_stored(finished):
    rows = pq.read_table(finished / "catalog" / "part-00000.parquet").to_pylist()
    for row in rows:
        if not row["accepted"]:
            assert (row["shard"], row["member"]) == ("", "")
            continue
        data = (finished / row["shard"]).read_bytes()[row["offset"] : row["offset"] + row["light_bytes"]]
        assert hashlib.sha256(data).hexdigest() == row["light_sha256"]
        assert Image.open(io.BytesIO(data)).size == (row["light_width"], row["light_height"])
        with tarfile.open(finished / row["shard"]) as archive:
            assert archive.getmember(row["member"]).offset_data == row["offset"]
            notes = json.load(archive.extractfile(f"{row['key']}.json"))
        assert {notes[name] for name in ("key", "name", "sha256")} == {row["key"], row["name"], row["sha256"]}


def test_mixhq_and_the_sources_themselves_give_the_same_light_images(finished, texts):
    packed, scanned = open_light_images([str(finished)]), open_light_images(texts)
    assert len(packed.refs()) == len(scanned.refs()) == 12
    for one, other in zip(packed.refs(), scanned.refs(), strict=True):
        facts = [
            {name: getattr(ref, name) for name in ref.__slots__ if name != "locator"} for ref in (one, other)
        ]
        assert facts[0] == facts[1]
        light, original = load_light_image(one), load_light_image(other)
        assert light.data == original.data
        assert pixel_sha256(light.pixels) == pixel_sha256(original.pixels)
        assert pixel_sha256(decode_rgb8(light.data)[0]) == pixel_sha256(light.pixels)
    names = [sorted(row["name"] for row in lights.rejected()) for lights in (packed, scanned)]
    assert names[0] == names[1] == ["again.jpg", "small.png"]


@pytest.mark.parametrize("workers", [1, 4])
def test_every_file_is_the_same_whatever_the_workers_the_folder_and_the_order(
    finished, texts, tmp_path, workers
):
    build(list(reversed(texts)), tmp_path / "elsewhere", workers=workers)
    assert file_hashes(tmp_path / "elsewhere") == file_hashes(finished)


def test_no_file_contains_a_path_of_the_machine_that_made_it(finished, photo_folder):
    for path in finished.rglob("*"):
        if path.is_file():
            assert str(photo_folder.parent).encode() not in path.read_bytes()


@pytest.mark.parametrize("lights_before_the_kill", [0, 1, 4, 11])
def test_a_build_that_is_killed_resumes_and_ends_with_the_same_files(
    finished, texts, tmp_path, lights_before_the_kill
):
    out, count = tmp_path / "mixhq", 0

    def kill():
        nonlocal count
        if count == lights_before_the_kill:
            raise KeyboardInterrupt
        count += 1

    with pytest.raises(KeyboardInterrupt):
        build(texts, out, on_light=kill)
    assert not (out / "manifest.json").exists()
    complete = {path: path.stat().st_mtime_ns for path in (out / "shards").glob("*.tar")}
    assert len(complete) == lights_before_the_kill // 3
    (out / "shards" / ".mixhq-00003.tar.0a1b2c3d.4711.tmp").write_bytes(b"what a kill leaves")
    with pytest.raises(DimmagenError, match="is not finished"):
        open_light_images([str(out)])
    build(texts, out)
    assert file_hashes(out) == file_hashes(finished)
    assert {path: path.stat().st_mtime_ns for path in complete} == complete


def test_a_shard_that_is_damaged_before_the_build_resumes_is_made_again(finished, texts, tmp_path):
    build(texts, tmp_path / "mixhq")
    (tmp_path / "mixhq" / "manifest.json").unlink()
    shard = tmp_path / "mixhq" / "shards" / "mixhq-00001.tar"
    damaged = bytearray(shard.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    shard.write_bytes(damaged)
    build(texts, tmp_path / "mixhq")
    assert file_hashes(tmp_path / "mixhq") == file_hashes(finished)


def test_a_finished_mixhq_of_the_same_inputs_is_left_alone(texts, tmp_path):
    build(texts, tmp_path / "mixhq")
    before = {path: os.stat(path).st_mtime_ns for path in tmp_path.rglob("*")}
    assert build(texts, tmp_path / "mixhq") is None
    assert {path: os.stat(path).st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("is_cut", [False, True])
def test_a_shard_that_a_finished_mixhq_has_lost_is_made_again(is_cut, finished, texts, tmp_path):
    out = shutil.copytree(finished, tmp_path / "mixhq")
    if is_cut:
        os.truncate(out / "shards/mixhq-00001.tar", 512)
    else:
        (out / "shards/mixhq-00001.tar").unlink()
    with pytest.raises(DimmagenError, match=r"mixhq is not whole: shards/mixhq-00001\.tar is missing or cut"):
        mixhq.finished_verdict_counts(str(out), read_inputs(out), adds=True)
    assert build(texts, out) is not None
    assert file_hashes(out) == file_hashes(finished)


@pytest.mark.parametrize("name", ["README.md", ".huggingface.yaml", "catalog/part-00000.parquet", "catalog"])
def test_what_a_finished_mixhq_has_lost_beside_its_shards_is_made_again(name, finished, texts, tmp_path):
    out = shutil.copytree(finished, tmp_path / "mixhq")
    if (out / name).is_dir():  # which no empty folder is on S3
        shutil.rmtree(out / name)
    else:
        (out / name).unlink()
    build(texts, out)
    assert file_hashes(out) == file_hashes(finished)


@pytest.mark.parametrize("left", ["scan/a", "lock"])
def test_what_a_build_that_was_stopped_right_behind_its_manifest_left_is_removed(
    left, finished, texts, tmp_path
):
    """A signal leaves the ranges of the index pass, and SIGKILL the lock as well."""
    out = shutil.copytree(finished, tmp_path / "mixhq")
    (out / ".dimmagen/scan").mkdir(parents=True)
    (out / ".dimmagen" / left).write_bytes(b"")
    build(texts, out)
    assert sorted(os.listdir(out)) == sorted(os.listdir(finished))


def test_a_folder_that_goes_away_between_two_shards_gets_no_manifest(texts, tmp_path, monkeypatch):
    write, out = mixhq._write_shard, tmp_path / "mixhq"

    def and_remove(*arguments):
        record = write(*arguments)
        if record.name.endswith("-00000.tar"):
            shutil.rmtree(out)
        return record

    monkeypatch.setattr(mixhq, "_write_shard", and_remove)
    with pytest.raises(DimmagenError, match="mixhq was removed or moved while it was written to"):
        build(texts, out)
    assert not (out / "manifest.json").exists()


def read_inputs(out):
    return json.loads((out / "manifest.json").read_text())["inputs"]


def test_other_inputs_for_a_finished_folder_are_refused_by_name(finished, texts, photo_folder, tmp_path):
    before = file_hashes(finished)
    (tmp_path / "split").mkdir()
    Image.fromarray(photos.coffee()).save(tmp_path / "split" / "x.png")
    for changed, arguments in {
        "samples_per_shard": {"samples_per_shard": 4},
        "sources": {"texts": texts[:2]},
        "exclude": {"exclude": [str(tmp_path / "split")]},
    }.items():
        with pytest.raises(UsageError, match=rf"of other inputs \(changed: {changed}\)"):
            build(**{"texts": texts, "out": finished, **arguments})
    assert file_hashes(finished) == before


def test_an_unfinished_folder_of_other_inputs_is_refused_and_kept(texts, tmp_path):
    build(texts, tmp_path / "mixhq")
    (tmp_path / "mixhq" / "manifest.json").unlink()
    before = file_hashes(tmp_path / "mixhq")
    with pytest.raises(DimmagenError, match="an unfinished MixHQ of other inputs"):
        build(texts[:2], tmp_path / "mixhq")
    assert file_hashes(tmp_path / "mixhq") == before


def test_a_folder_that_holds_something_else_is_refused_and_kept(texts, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match=r"other than a MixHQ \(thesis\.tex\)"):
        build(texts, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_nothing_is_written_when_nothing_is_accepted(tmp_path):
    (tmp_path / "photos").mkdir()
    Image.fromarray(photos.coffee()[:50]).save(tmp_path / "photos" / "small.png")
    with pytest.raises(DimmagenError, match=r"none of the 1 candidates is accepted \(folder-min-256"):
        build([f"folder={tmp_path / 'photos'}"], tmp_path / "mixhq")
    assert not (tmp_path / "mixhq").exists()


def test_photos_that_are_packed_as_they_are_were_decoded_once(photo_folder, tmp_path, monkeypatch):
    candidates = list_candidate_files(parse_specs([str(photo_folder)]))
    scanned = Candidates(scan(candidates.files))
    decoded = []
    monkeypatch.setattr(codec, "decode_rgb8", lambda data, **_: decoded.append(data) or decode_rgb8(data))
    mixhq.write_mixhq(str(tmp_path / "mixhq"), scanned, mixhq.describe_inputs(candidates, None, 3), 2)
    assert decoded == [(photo_folder / "gray.png").read_bytes()]  # which becomes RGB


def test_an_image_that_changes_while_mixhq_is_built_ends_the_build(tmp_path):
    (tmp_path / "photos").mkdir()
    for index in range(12):
        Image.fromarray(np.roll(photos.astronaut(), index, axis=0)).save(tmp_path / "photos" / f"{index}.png")

    def change():
        for path in (tmp_path / "photos").iterdir():
            path.write_bytes(b"changed")

    with pytest.raises(DimmagenError, match="has changed since it was indexed"):
        build(
            [f"folder={tmp_path / 'photos'}"],
            tmp_path / "mixhq",
            samples_per_shard=12,
            workers=1,
            on_light=change,
        )
    assert list((tmp_path / "mixhq" / "shards").iterdir()) == []


def test_mixhq_may_be_stored_at_a_url(finished, texts):
    filesystem, out = fsspec.filesystem("memory"), "memory://test-mixhq/mixhq"
    build(texts, out)
    found = {
        path.removeprefix("/test-mixhq/mixhq/"): hashlib.sha256(filesystem.cat_file(path)).hexdigest()
        for path in filesystem.find("/test-mixhq")
    }
    assert found == file_hashes(finished)
    assert build(texts, out) is None
    local = {ref.key: load_light_image(ref).data for ref in open_light_images([str(finished)]).refs()}
    assert {ref.key: load_light_image(ref).data for ref in open_light_images([out]).refs()} == local
    filesystem.rm("/test-mixhq", recursive=True)


def test_a_full_disk_ends_the_build_and_a_later_one_resumes_it(finished, texts, tmp_path, monkeypatch):
    out, real_fsync = tmp_path / "mixhq", os.fsync

    def fsync_until_full(descriptor):
        if len(list((out / "shards").glob("*.tar"))) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync_until_full)
    with pytest.raises(DimmagenError, match=r"the disk is full: .*\.tar.* run the same command again"):
        build(texts, out)
    monkeypatch.undo()
    assert [path.name for path in (out / "shards").iterdir() if path.name.startswith(".")] == []
    build(texts, out)
    assert file_hashes(out) == file_hashes(finished)


def test_a_manifest_of_another_kind_is_refused(tmp_path, finished):
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "part-00000.parquet").write_bytes(b"")
    for text, message in (
        ("{}", "not a MixHQ of this version"),
        ("{", "is not JSON"),
        ("[1]", "it is not an object"),
    ):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(DimmagenError, match=message):
            open_light_images([str(tmp_path)])


def test_a_second_build_in_the_same_folder_is_refused_while_the_first_one_runs(finished, texts, tmp_path):
    out = tmp_path / "mixhq"
    refusals = []

    def second():
        if not refusals:
            with pytest.raises(DimmagenError, match="another run is writing") as refusal:
                build(texts, out)
            refusals.append(refusal)

    build(texts, out, on_light=second)
    assert refusals
    assert file_hashes(out) == file_hashes(finished)
    assert build(texts, out) is None


def test_a_catalog_of_an_earlier_version_is_read(tmp_path):
    out = tmp_path / "mixhq"
    build(["sample"], out)
    table = pq.read_table(out / "catalog/part-00000.parquet")
    added = ["rotation", "mirrored", "pixel_aspect", "transfer", "range", "matrix", "icc_profile"]
    write_catalog(out, table.drop_columns(added))
    assert len(open_light_images([str(out)])) == 5
    write_catalog(out, table.drop_columns(added[:2]))  # no version had only some of them
    with pytest.raises(DimmagenError, match="does not have the columns"):
        open_light_images([str(out)])
