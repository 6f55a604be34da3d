"""The commands with their sources and data sets on S3: the bytes are those of the local run."""

import csv
import tarfile
import zipfile
from typing import ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from dimmagen import PairDataset, assert_same_dataset, pair_loader, verify_mixhq
from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.generate.resume import DatasetFolder
from tests.commands import exit_code
from tests.dataset_helpers import write_photos
from tests.killing import start, wait_for

QUICK = ("--perceptual", "none", "--crop", "32", "--validation-photos", "2")
SETTINGS = ("--profile", "linear", "--variants", "2", "--samples-per-shard", "2")


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """A folder with `photos`, the `mixhq` of them, and the data set `out` made of that: 8 pairs, 4 shards."""
    folder = tmp_path_factory.mktemp("local")
    write_photos(folder / "photos", 4)
    build = ["build-mixhq", "--source", f"folder={folder / 'photos'}", "--samples-per-shard", "2"]
    dim = ["dim", *SETTINGS, "--executor", "serial", "--shards", str(folder / "out")]
    assert exit_code(*build, "--out", str(folder / "mixhq")) == 0
    assert exit_code(*dim, "--source", str(folder / "mixhq")) == 0
    return folder


@pytest.fixture
def set_on_s3(local, bucket):
    return bucket.upload(local / "out", "out")


def dim_words(local, bucket, *more):
    source = bucket.upload(local / "mixhq", "mixhq")
    return ["dim", *SETTINGS, "--source", source, "--shards", f"{bucket.url}/out", *more]


def test_a_place_with_nothing_is_a_wrong_path_as_a_folder_that_does_not_exist_is(
    local, bucket, capsys, tmp_path
):
    mixhq = bucket.upload(local / "mixhq", "mixhq")
    for nothing in (f"{bucket.url}/nothing", tmp_path / "nothing"):
        assert exit_code("verify", nothing) == 2
        with pytest.raises(UsageError, match="nothing") as caught:
            verify_mixhq(str(nothing))
        assert caught.value.code == "missing-path"
    capsys.readouterr()
    assert exit_code("stats", mixhq) == 1
    assert "MixHQ: light images only" in capsys.readouterr().err


def archive(photos, kind, path):
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for photo in photos.iterdir():
                file.write(photo, photo.name)
    else:
        with tarfile.open(path, "w") as file:
            for photo in photos.iterdir():
                file.add(photo, photo.name)


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_mixhq_of_a_folder_a_zip_or_a_tar_on_s3(kind, local, bucket, tmp_path):
    if kind == "folder":
        source = bucket.upload(local / "photos", "photos")
    else:
        archive(local / "photos", kind, tmp_path / "archive")
        bucket.put(f"photos.{kind}", (tmp_path / "archive").read_bytes())
        source = f"{bucket.url}/photos.{kind}"
    words = ["build-mixhq", "--source", f"folder={source}", "--out", f"{bucket.url}/mixhq"]
    assert exit_code(*words, "--samples-per-shard", 2) == 0
    made = bucket.download("mixhq", tmp_path / "mixhq")
    assert files(made) == files(local / "mixhq")


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_from_mixhq_on_s3_to_a_verified_set_there(local, bucket, tmp_path, capsys):
    assert exit_code(*dim_words(local, bucket, "--executor", "serial")) == 0
    assert f"dimmagen verify {bucket.url}/out" in capsys.readouterr().out
    assert_same_dataset(local / "out", bucket.download("out", tmp_path / "out"))
    assert exit_code("verify", f"{bucket.url}/out") == 0
    bucket.client.delete_object(Bucket=bucket.name, Key="out/shards/train-00001.tar")
    bucket.put("out/shards/train-00009.tar", b"")
    assert exit_code("verify", f"{bucket.url}/out") == 1
    message = capsys.readouterr().out
    assert "shards/train-00001.tar: is missing" in message
    assert "shards/train-00009.tar: does not belong to the data set" in message


class ElsewhereFileSystem(MemoryFileSystem):
    """Stands for a store that is neither S3 nor lost with the process."""

    protocol = "elsewhere"
    store: ClassVar[dict] = {}
    pseudo_dirs: ClassVar[list] = [""]

    @classmethod
    def _strip_protocol(cls, path):
        return MemoryFileSystem._strip_protocol(path.removeprefix("elsewhere://"))


@pytest.mark.parametrize("place", ["s3", "elsewhere"])
def test_photos_are_added_and_taken_out_behind_a_url(place, local, request, tmp_path, monkeypatch):
    """Stopped in the middle and run again; the files are those on a local disk."""
    fsspec.register_implementation("elsewhere", ElsewhereFileSystem, clobber=True)
    url = request.getfixturevalue("bucket").url if place == "s3" else f"elsewhere://{tmp_path.name}"
    write_photos(tmp_path / "photos", 6)
    (tmp_path / "list.txt").write_text("photo01.jpg\n")
    for root in (str(tmp_path), url):
        build = ["build-mixhq", "--samples-per-shard", "2", "--out", f"{root}/mixhq"]
        dim = ["dim", *SETTINGS, "--executor", "serial", "--source", f"{root}/mixhq", "--out", f"{root}/out"]
        assert exit_code(*build, "--source", local / "photos") == exit_code(*dim) == 0
        assert exit_code(*build, "--source", tmp_path / "photos", "--add") == 0
        for words in ([*dim, "--add"], ["remove", f"{root}/out", "--list", tmp_path / "list.txt"]):
            with monkeypatch.context() as patch:
                patch.setattr(DatasetFolder, "finish", _stop)
                assert exit_code(*words) == 1
            assert exit_code("verify", f"{root}/out") == 0
            assert exit_code(*words) == 0
        assert exit_code("remove", f"{root}/mixhq", "--list", tmp_path / "list.txt") == 0
        assert exit_code("verify", f"{root}/out") == 0
    for name in ("mixhq", "out"):
        paths = [found[0] for found in storage.find_files(f"{url}/{name}")]
        found = {path: storage.read(f"{url}/{name}/{path}") for path in paths}
        assert found.keys() == files(tmp_path / name).keys()
        assert found == files(tmp_path / name)


def _stop(*_):
    raise DimmagenError("stopped", code="failed")


def test_a_run_on_a_server_that_is_slow_cuts_and_fails(local, bucket, tmp_path):
    from tests.s3_server import error, reset

    words = dim_words(local, bucket, "--executor", "serial")
    faults = [
        bucket.server.fail(error("503 Slow Down", "SlowDown"), "PutObject", key="shards/"),
        bucket.server.fail(reset, "PutObject", key="metadata/", times=2),
        bucket.server.fail(bucket.server.half, "GetObject", key="mixhq/shards/", times=2),
        bucket.server.fail(error("500 Internal Server Error", "InternalError"), "HeadObject"),
        bucket.server.fail(error("503 Slow Down", "SlowDown"), "ListObjects"),
        bucket.server.fail(error("503 Slow Down", "SlowDown"), "DeleteObject"),
    ]
    assert exit_code(*words) == 0
    assert all(fault.met == fault.times for fault in faults)
    assert_same_dataset(local / "out", bucket.download("out", tmp_path / "out"))


def test_an_outage_ends_the_run_and_the_same_command_resumes_it(local, bucket, tmp_path, monkeypatch, capsys):
    from tests.s3_server import error

    words = dim_words(local, bucket, "--executor", "serial")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    bucket.server.fail(error("503 Slow Down", "SlowDown"), "PutObject", key="shards/train-00002", times=1000)
    assert exit_code(*words) == 1
    message = capsys.readouterr().err
    assert f"{bucket.url}/out/shards/train-00002.tar could not be read or written" in message
    assert "run the same command again" in message
    assert "Traceback" not in message
    assert bucket.keys("out/manifest") == []
    bucket.server.faults.clear()
    bucket.server.requests.clear()
    assert exit_code(*words) == 0
    assert written(bucket, "shards") == ["train-00002.tar", "train-00003.tar"]
    assert_same_dataset(local / "out", bucket.download("out", tmp_path / "out"))


@pytest.mark.parametrize("command", ["dim", "build-mixhq", "remove"])
def test_an_outage_after_the_manifest_leaves_a_complete_set(
    command, local, bucket, tmp_path, monkeypatch, capsys
):
    from tests.s3_server import error

    (tmp_path / "list").write_text("photo00.png\n")
    words = {
        "dim": dim_words(local, bucket, "--executor", "serial"),
        "build-mixhq": ["build-mixhq", "--source", local / "photos", "--out", f"{bucket.url}/out"],
        "remove": ["remove", f"{bucket.url}/out", "--list", tmp_path / "list"],
    }[command]
    if command == "remove":
        bucket.upload(local / "out", "out")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    answer = bucket.server._moto

    def ends_with_the_manifest(environ, start_response):
        body = list(answer(environ, start_response))
        if (environ["REQUEST_METHOD"], environ["PATH_INFO"]) == ("PUT", f"/{bucket.name}/out/manifest.json"):
            for operation in ("PutObject", "DeleteObject", "HeadObject", "GetObject", "ListObjects"):
                bucket.server.fail(error("503 Slow Down", "SlowDown"), operation, times=1000)
        return body

    with monkeypatch.context() as patch:
        patch.setattr(bucket.server, "_moto", ends_with_the_manifest)
        code, said = exit_code(*words), capsys.readouterr()
    bucket.server.faults.clear()
    if command == "remove":  # other files follow the manifest that replaces another one
        assert code == 1
        assert "/out/croissant.json could not be read or written" in said.err
    else:
        assert code == 0
        assert f"{bucket.url}/out is complete" in said.out
        assert "cannot be removed (" in said.err
        assert exit_code("verify", f"{bucket.url}/out") == 0
    assert bucket.keys("out/.dimmagen/")
    assert exit_code(*words) == exit_code("verify", f"{bucket.url}/out") == 0
    assert not bucket.keys("out/.dimmagen/")


def written(bucket, folder):
    requests = [request for request in bucket.server.requests if f"/out/{folder}/" in request.path]
    return [request.path.rsplit("/", 1)[1] for request in requests if request.operation == "PutObject"]


@pytest.mark.needs("fork", "signals")
def test_a_run_killed_during_an_upload_resumes_to_the_local_bytes(local, bucket, tmp_path):
    from tests.s3_server import hang

    words = dim_words(local, bucket, "--executor", "serial")
    fault = bucket.server.fail(hang(5), "PutObject", key="shards/train-00001", times=1000)
    run = start(*words, log=tmp_path / "log")
    wait_for(lambda: fault.met > 0, run)
    run.kill()
    run.wait()
    assert bucket.keys("out/shards/") == ["out/shards/train-00000.tar"]
    bucket.begin_upload("out/shards/train-00001.tar")  # as a larger shard leaves it
    bucket.begin_upload("elsewhere/a.tar")
    bucket.server.faults.clear()
    bucket.server.requests.clear()
    assert exit_code(*words) == 0
    assert "train-00000.tar" not in written(bucket, "shards")
    assert bucket.uploads() == ["elsewhere/a.tar"]
    assert_same_dataset(local / "out", bucket.download("out", tmp_path / "out"))


@pytest.mark.needs("fork", "signals")
@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.xdist_group("ray")
def test_ray_workers_make_the_same_bytes_on_s3(local, bucket, tmp_path):
    run = start(*dim_words(local, bucket, "--workers", "2"), log=tmp_path / "log")
    assert run.wait() == 0, (tmp_path / "log").read_text()
    assert_same_dataset(local / "out", bucket.download("out", tmp_path / "out"))


@pytest.mark.needs("fork", "signals")
@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.xdist_group("ray")
def test_an_outage_ends_a_ray_run_with_the_same_message(local, bucket, tmp_path, monkeypatch):
    from tests.s3_server import error

    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    words = dim_words(local, bucket, "--workers", "2")
    bucket.server.fail(error("503 Slow Down", "SlowDown"), "PutObject", key="shards/train-00002", times=1000)
    run = start(*words, log=tmp_path / "log")
    assert run.wait() == 1
    message = (tmp_path / "log").read_text()
    assert "shards/train-00002.tar could not be read or written" in message
    assert "Traceback" not in message


@pytest.mark.parametrize("workers", [0, 2])
def test_loaders_give_every_pair_of_a_set_on_s3(workers, local, set_on_s3):
    here, there = PairDataset(local / "out"), PairDataset(set_on_s3)
    assert len(here) == len(there) == 8
    for index in range(8):
        assert (here[index]["dark"] == there[index]["dark"]).all()
    keys = [key for batch in pair_loader(set_on_s3, batch_size=1, workers=workers) for key in batch["key"]]
    assert sorted(keys) == sorted(here.row(index)["key"] for index in range(8))


def test_a_network_is_trained_and_an_export_made_from_a_set_on_s3(local, set_on_s3, tmp_path):
    losses = []
    for shards, name in ((local / "out", "here"), (set_on_s3, "there")):
        # 4 pairs of 2 photos are left to train on: two iterations of a batch of 4 are two passes.
        words = ["train", "--data", shards, "--out", tmp_path / name, "--iterations", 2, *QUICK]
        assert exit_code(*words) == 0
        losses.append(without_times((tmp_path / name / "log.csv").read_text()))
        words = ["export", shards, "--layout", "lol-v1", "--out", tmp_path / f"{name}-lol"]
        assert exit_code(*words) == 0
    assert losses[0] == losses[1]
    here, there = files(tmp_path / "here-lol"), files(tmp_path / "there-lol")
    images = {name for name in here if name.endswith(".png")}
    assert len(images) >= 8
    assert {name: here[name] for name in images} == {name: there[name] for name in images}


def without_times(log):
    return [
        {name: value for name, value in row.items() if "second" not in name}
        for row in csv.DictReader(log.splitlines())
    ]


def test_the_number_of_requests_is_the_one_in_the_documentation(local, bucket):
    words = dim_words(local, bucket, "--executor", "serial")
    bucket.server.counts()
    assert exit_code(*words) == 0
    shards, pairs = 4, 8
    # See docs/storage.md: so many for each shard, for each pair, and once a run.
    assert bucket.server.counts() == {
        "PutObject": 3 * shards + 7,
        "DeleteObject": shards + 12,
        "GetObject": 2 * shards + pairs + 13,
        "HeadObject": 11,
        "ListObjects": 16,
        "ListMultipartUploads": 7,
    }
