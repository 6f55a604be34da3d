"""Servers of files (SFTP, FTP, SMB), show what is being uploaded: a file has its name when it is whole."""

import sys
from typing import ClassVar

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from dimmagen.core import storage
from dimmagen.core.errors import UnavailableError

OUT = "sftp://host/out"


class FileServer(MemoryFileSystem):
    """In memory; what an upload has sent when it breaks off stays, and renaming has its limits."""

    protocol = ("sftp", "ssh")
    store, pseudo_dirs = {}, [""]
    breaks_off, renames, replaces = False, True, True
    seen: ClassVar[set[str]] = set()
    sent: ClassVar[list[str]] = []

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.replace("sftp://host", ""))

    def put_file(self, lpath, rpath, **kwargs):
        with open(lpath, "rb") as file:
            data = file.read()
        self.sent.append(rpath.rpartition("/")[2])
        self.pipe_file(rpath, data[: len(data) // 2])
        self.seen.update(self.store)
        if self.breaks_off:
            raise KeyboardInterrupt  # nothing more is done, as after a kill
        self.pipe_file(rpath, data)

    def rm_file(self, path):
        if self.breaks_off or not self.exists(path):
            raise OSError("550 Failure")  # the same words for all that is wrong, as FTP has
        super().rm_file(path)

    def mv(self, path1, path2, **kwargs):
        if not self.renames or (not self.replaces and self.exists(path2)):
            raise OSError("Failure")
        self.store[path2] = self.store.pop(path1)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setitem(sys.modules["fsspec.registry"]._registry, "sftp", FileServer)
    for name, value in (("store", {}), ("pseudo_dirs", [""]), ("seen", set()), ("sent", [])):
        monkeypatch.setattr(FileServer, name, value)
    FileServer.clear_instance_cache()
    yield FileServer
    FileServer.clear_instance_cache()


def test_a_server_that_does_not_say_that_it_renamed_nothing_gets_the_new_file(monkeypatch):
    """WebHDFS answers `{"boolean": false}` where there is a file of the new name; fsspec does not look."""

    class WebHDFS(FileServer):
        protocol = ("webhdfs", "webHDFS")
        store, pseudo_dirs = {}, [""]
        seen: ClassVar[set[str]] = set()

        @classmethod
        def _strip_protocol(cls, path):
            return MemoryFileSystem._strip_protocol(path.replace("webhdfs://host", ""))

        def mv(self, path1, path2, **kwargs):
            if not self.exists(path2):
                super().mv(path1, path2)

    monkeypatch.setitem(sys.modules["fsspec.registry"]._registry, "webhdfs", WebHDFS)
    for data in (b"0123456789", b"another"):
        storage.atomic_write("webhdfs://host/out/manifest.json", data)
        assert storage.read("webhdfs://host/out/manifest.json") == data
        assert storage.list_names("webhdfs://host/out") == ["manifest.json"]
    assert any(map(storage.is_unfinished, (name.rpartition("/")[2] for name in WebHDFS.seen)))


@pytest.mark.parametrize("replaces", [True, False])
def test_a_file_has_its_name_when_it_is_whole(replaces, server, monkeypatch):
    monkeypatch.setattr(server, "replaces", replaces)
    for data in (b"0123456789", b"another"):
        storage.atomic_write(f"{OUT}/shards/a.tar", data)
        assert storage.read(f"{OUT}/shards/a.tar") == data
        assert storage.list_names(f"{OUT}/shards") == ["a.tar"]
    assert list(map(storage.is_unfinished, server.sent)) == [True, True]
    assert (
        f"{OUT.removeprefix('sftp://host')}/shards/a.tar" in server.seen
    )  # the first one, while the second one was sent


def test_an_upload_that_breaks_off_leaves_the_old_file_and_a_name_that_is_removed(server, monkeypatch):
    storage.atomic_write(f"{OUT}/manifest.json", b"{}")
    monkeypatch.setattr(server, "breaks_off", True)
    with pytest.raises(KeyboardInterrupt):
        storage.atomic_write(f"{OUT}/manifest.json", b"another one")
    monkeypatch.setattr(server, "breaks_off", False)
    assert storage.read(f"{OUT}/manifest.json") == b"{}"
    [left] = [name for name in storage.list_names(OUT) if name != "manifest.json"]
    assert storage.is_unfinished(left)
    assert storage.remove_unfinished(OUT) == [left]
    assert storage.list_names(OUT) == ["manifest.json"]


def test_what_is_not_there_is_removed_without_a_word_and_what_cannot_be_removed_is_an_error(
    server, monkeypatch
):
    storage.remove(f"{OUT}/a.tar")
    storage.atomic_write(f"{OUT}/a.tar", b"0123456789")
    monkeypatch.setattr(server, "breaks_off", True)
    with pytest.raises(UnavailableError, match=r"a\.tar cannot be reached \(550 Failure\)"):
        storage.remove(f"{OUT}/a.tar")


def test_a_server_that_cannot_rename_is_written_to(server, monkeypatch):
    monkeypatch.setattr(server, "renames", False)
    for data in (b"0123456789", b"another"):
        storage.atomic_write(f"{OUT}/a.tar", data)
        assert storage.read(f"{OUT}/a.tar") == data
    assert storage.list_names(OUT) == ["a.tar"]


def test_a_connection_that_is_lost_while_a_file_is_renamed_is_an_error(server, monkeypatch):
    def lose(*args, **kwargs):
        raise OSError("the connection is lost")

    for name in ("mv", "exists", "rm_file"):
        monkeypatch.setattr(server, name, lose)
    with pytest.raises(UnavailableError, match="the connection is lost"):
        storage.atomic_write(f"{OUT}/a.tar", b"0123456789")
