import errno
import gc
import os
import re
import stat
import tempfile
import time
import zipfile

import fsspec
import pytest

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, MachineError
from dimmagen.core.storage import writing


def write_half_and_fail(path):
    with storage.atomic_writer(path) as file:
        file.write(b"half of it")
        raise ZeroDivisionError


def test_a_written_file_is_whole_and_leaves_no_temporary_name(tmp_path):
    storage.atomic_write(tmp_path / "new" / "a.bin", b"123")
    assert (tmp_path / "new" / "a.bin").read_bytes() == b"123"
    assert os.listdir(tmp_path / "new") == ["a.bin"]


def test_a_writer_that_fails_leaves_the_old_file_as_it_was(tmp_path):
    storage.atomic_write(tmp_path / "a.bin", b"old")
    with pytest.raises(ZeroDivisionError):
        write_half_and_fail(tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_the_file_is_not_visible_before_the_block_ends(tmp_path):
    with storage.atomic_writer(tmp_path / "a.bin") as file:
        file.write(b"1")
        assert not (tmp_path / "a.bin").exists()


def test_a_full_disk_is_reported_with_what_to_do(tmp_path):
    with pytest.raises(DimmagenError, match=r"^the disk is full: .*a\.bin.*free some space"):  # noqa: SIM117
        with storage.atomic_writer(tmp_path / "a.bin"):
            raise OSError(errno.ENOSPC, "No space left on device")
    assert os.listdir(tmp_path) == []


def test_where_a_file_is_collected_before_its_upload_is_named_if_it_is_full_there():
    with (
        pytest.raises(DimmagenError, match=rf"disk is full at {re.escape(tempfile.gettempdir())}: memory://"),
        storage.atomic_writer("memory://full/a.bin"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_what_cannot_be_removed_is_told_with_the_reason_of_the_first(tmp_path, caplog):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    storage.discard(
        [tmp_path / "absent", tmp_path / "a/file", tmp_path / "a", tmp_path / "b", tmp_path / "c"]
    )
    (message,) = [record.getMessage() for record in caplog.records]
    reason = os.strerror(errno.ENOTEMPTY)
    assert message.startswith(f"{tmp_path / 'b'} and 1 more cannot be removed ({reason}): ")
    assert sorted(os.listdir(tmp_path)) == ["b", "c"]


def test_json_holds_finite_numbers_alone():
    assert storage.parse_json('{"a": [1.5, -2e3]}') == {"a": [1.5, -2000.0]}
    for number in ("1e999", "-1e999", "NaN", "Infinity"):
        with pytest.raises(ValueError, match=f"{number} is not a finite number"):
            storage.parse_json(f'{{"a": {number}}}')


def test_the_last_part_of_a_folder_is_its_name():
    for path in ("/a/b/", "/a/b", "b//", "s3://bucket/a/b/"):
        assert storage.last_part(path) == "b"


def test_leftovers_of_a_killed_run_are_recognised_and_nothing_else_is_touched(tmp_path):
    left = ".train-00000.tar.0a1b2c3d.123.tmp"
    for name in (
        "train-00000.tar",
        left,
        ".notes.2024.tmp",
        ".hidden",
        "x.tmp",
    ):
        (tmp_path / name).write_bytes(b"")
    assert storage.remove_unfinished(tmp_path) == [left]
    assert sorted(os.listdir(tmp_path)) == [".hidden", ".notes.2024.tmp", "train-00000.tar", "x.tmp"]


@pytest.mark.parametrize("name", ["x" * 251 + ".png", "ä" * 125 + ".html", "日" * 45 + ".jpg"])
def test_a_file_may_have_as_long_a_name_as_the_disk_allows(name, tmp_path, monkeypatch):
    """Also where eCryptfs allows 143 bytes."""
    opened, real = [], open
    monkeypatch.setattr(writing, "open", lambda path, *rest: opened.append(path) or real(path, *rest), False)
    storage.write_result(tmp_path / name, b"whole")
    assert os.listdir(tmp_path) == [name]
    assert len(os.fsencode(opened[0].name)) <= 143
    left = tmp_path / storage.unfinished_name(name)
    left.write_bytes(b"half")
    assert storage.is_unfinished(left.name)
    storage.write_result(tmp_path / name, b"again")
    assert os.listdir(tmp_path) == [name]


def test_a_disk_that_cannot_rename_files_is_told_with_where_to_write(tmp_path, monkeypatch):
    """Amazon's Mountpoint, and rclone without a cache."""

    def replace(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(DimmagenError, match=r"a\.bin could not be written.*cannot rename files.*s3://"):
        storage.atomic_write(tmp_path / "a.bin", b"whole")
    assert os.listdir(tmp_path) == []


def test_two_hosts_with_equal_process_ids_never_share_an_unfinished_file(tmp_path):
    """A disconnected node still writes a shard that is made again elsewhere: each file is complete."""
    with storage.atomic_writer(tmp_path / "a.tar") as cut_off:
        cut_off.write(b"half of ")
        with storage.atomic_writer(tmp_path / "a.tar") as again:
            again.write(b"half of it, whole")
            assert len(list(filter(storage.is_unfinished, os.listdir(tmp_path)))) == 2
        assert (tmp_path / "a.tar").read_bytes() == b"half of it, whole"
        cut_off.write(b"it, whole")
    assert (tmp_path / "a.tar").read_bytes() == b"half of it, whole"
    assert os.listdir(tmp_path) == ["a.tar"]


def test_an_object_store_gets_one_complete_upload_and_nothing_from_a_failed_writer():
    root = "memory://dimmagen-storage-test"
    storage.atomic_write(storage.join(root, "shards", "a.tar"), b"whole")
    with pytest.raises(ZeroDivisionError):
        write_half_and_fail(storage.join(root, "b.tar"))
    assert storage.read(storage.join(root, "shards", "a.tar")) == b"whole"
    assert storage.list_names(root) == ["shards"]
    assert not storage.exists(storage.join(root, "b.tar"))
    fsspec.filesystem("memory").rm("/dimmagen-storage-test", recursive=True)


@pytest.mark.parametrize(("kind", "what"), [(stat.S_ISDIR, "folders"), (stat.S_ISREG, "files")])
def test_a_file_system_that_cannot_sync_is_written_to_with_one_warning(
    kind, what, tmp_path, monkeypatch, caplog
):
    sync = os.fsync

    def sync_others(descriptor):
        if kind(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", sync_others)
    for name in ("a", "b"):
        storage.atomic_write(tmp_path / name, b"data")
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]
    (message,) = caplog.messages
    assert f"cannot sync {what}" in message


@pytest.mark.parametrize("name", ["x::y", "file:x", "local:x", "zip::x", "memory:x", "C::\\x", "x:y", "~x"])
def test_a_local_path_is_never_parsed_as_a_url(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for other in ("x", "y"):
        (tmp_path / other).write_bytes(b"mine")
    for path in (name, str(tmp_path / name / "z::z")):
        if path != name:
            storage.remove(name)
        storage.atomic_write(path, b"new")
        assert storage.read(path) == storage.read_range(path, 0, 3) == b"new"
        assert storage.is_file(path)
        assert storage.is_local(path)
    assert sorted(os.listdir(tmp_path)) == sorted({"x", "y", name})
    assert [(tmp_path / other).read_bytes() for other in ("x", "y")] == [b"mine", b"mine"]


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES])
def test_a_disk_that_fails_is_not_an_absent_file(number, tmp_path, monkeypatch):
    stat = os.stat

    def failing(path, *arguments, **options):
        if str(path).endswith("manifest.json"):
            raise OSError(number, os.strerror(number), path)
        return stat(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", failing)
    for ask in (storage.exists, storage.is_file, storage.is_folder):
        with pytest.raises(OSError, match=os.strerror(number)):
            ask(tmp_path / "manifest.json")
    assert not storage.exists(tmp_path / "other.json")


def test_an_empty_path_is_the_working_directory_and_not_the_root():
    assert storage.join("", "shards", "a.tar") == "shards/a.tar"
    assert storage.join("/", "a") == "/a"
    assert storage.join("out/", "a") == "out/a"
    assert storage.join("s3://bucket/out", "a") == "s3://bucket/out/a"
    assert storage.join("zip://in::s3://bucket/a.zip", "a") == "zip://in/a::s3://bucket/a.zip"
    assert storage.join("zip://::a.zip", "a", "b") == "zip://a/b::a.zip"
    assert storage.join("simplecache::s3://bucket/out", "a") == "simplecache::s3://bucket/out/a"
    assert storage.join("simplecache::zip://::a.zip", "a") == "simplecache::zip://a::a.zip"


def test_two_colons_in_a_name_join_no_urls_on_a_disk_and_on_s3():
    for folder in ("a::b", "/x/y://z::b", "file:///tmp/a::b", "s3://bucket/a::b", "s3a://bucket/a::b"):
        assert storage.join(folder, "c") == f"{folder}/c"


@pytest.mark.needs("fifo", "links")
def test_what_is_no_file_is_never_replaced_by_one(tmp_path):
    """As root, a result that is written to /dev/null would take the device's place."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(DimmagenError, match="is not a regular file"):
            storage.atomic_write(path, b"data")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe"]


@pytest.mark.needs("links")
def test_a_result_goes_to_the_file_that_a_link_of_its_name_points_to(tmp_path):
    (tmp_path / "site").mkdir()
    for name in ("there", "new"):
        (tmp_path / name).symlink_to(f"site/{name}")
    (tmp_path / "site/there").write_bytes(b"old")
    for name in ("there", "new"):
        storage.write_result(tmp_path / name, b"data")
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "site" / name).read_bytes() == b"data"


@pytest.mark.needs("fifo")
def test_a_result_goes_through_a_pipe_and_a_device_that_the_user_names(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    for path in (pipe, os.devnull):
        storage.write_result(path, b"data")
    assert os.read(reader, 10) == b"data"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_a_name_that_is_too_long_is_not_the_fault_of_the_disk(tmp_path):
    with pytest.raises(DimmagenError, match="give a shorter name"):
        storage.atomic_write(tmp_path / ("a" * 300), b"data")


def test_a_file_that_was_written_a_moment_ago_has_no_stamp_whatever_time_it_claims(tmp_path):
    """The same time may be set again after another change, within one tick of the clock."""
    path = tmp_path / "a"
    path.write_bytes(b"1")
    for seconds in (0, time.time() - 1e6, time.time() + 1e9):
        os.utime(path, (seconds, seconds))
        assert storage.stamp(path) == ""


def test_a_file_of_a_disk_without_times_has_no_stamp(tmp_path):
    """Some FUSE mounts give 1970 for each file: another file of equal size would have the same stamp."""
    facts = list(os.stat(tmp_path))
    of_1970, of_2020 = (
        os.stat_result([*facts[:7], time, time, time], {f"st_{of}time_ns": time * 10**9 for of in "amc"})
        for time in (0, 1_600_000_000)
    )
    assert storage.stamp_of(of_1970) == ""
    assert storage.stamp_of(of_2020) != ""


def test_a_file_in_a_zip_is_read_on_when_its_file_system_is_forgotten(tmp_path):
    """The file system of a zip closes it when it is collected, and is not kept as those of servers are."""
    data = bytes(range(256)) * 100
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("a.bin", data)
    with storage.open_binary(f"zip://a.bin::{tmp_path / 'set.zip'}") as file:
        gc.collect()
        assert file.seek(0, os.SEEK_END) == len(data)
        file.seek(-256, os.SEEK_END)
        assert file.read() == data[-256:]
    assert storage.size_and_sha256(f"zip://a.bin::{tmp_path / 'set.zip'}")[0] == len(data)


def test_a_removed_working_directory_is_told_of_relative_paths(tmp_path, monkeypatch):
    """In a notebook: Python's error names nothing."""

    def removed():
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(os, "getcwd", removed)
    with pytest.raises(MachineError, match="the working directory was removed: change to another one"):
        storage.local_path("out")
    assert storage.local_path(tmp_path) == str(tmp_path)
