"""A file system that lists a folder once and looks files up in that list, as those of Google and Azure do."""

import shutil
from pathlib import Path

import fsspec
import pytest

from dimmagen.core import storage


class Remembering(fsspec.AbstractFileSystem):
    """The files of a local folder, behind listings that it keeps until it is told to ask again."""

    protocol = "remembering"
    root = Path()

    def ls(self, path, detail=True, **_):
        path = self._strip_protocol(path)
        if path not in self.dircache:
            places = sorted((self.root / path).iterdir())
            self.dircache[path] = [
                {
                    "name": f"{path}/{place.name}",
                    "size": place.stat().st_size,
                    "type": "directory" if place.is_dir() else "file",
                }
                for place in places
            ]
        found = self.dircache[path]
        return found if detail else [one["name"] for one in found]

    def info(self, path, **_):
        path = self._strip_protocol(path)
        if not path:
            return {"name": "", "size": 0, "type": "directory"}
        for one in self.ls(self._parent(path)):
            if one["name"].strip("/") == path:
                return one
        raise FileNotFoundError(path)

    def invalidate_cache(self, path=None):
        self.dircache.clear()

    def makedirs(self, path, exist_ok=False):
        (self.root / path).mkdir(parents=True, exist_ok=exist_ok)

    def put_file(self, lpath, rpath, **_):
        shutil.copyfile(lpath, self.root / rpath)
        self.invalidate_cache()

    def rm_file(self, path):
        (self.root / path).unlink()
        self.invalidate_cache()

    def _open(self, path, mode="rb", **_):
        self.info(path)
        return open(self.root / path, mode)


@pytest.fixture
def root(tmp_path, monkeypatch):
    fsspec.register_implementation(Remembering.protocol, Remembering, clobber=True)
    monkeypatch.setattr(Remembering, "root", tmp_path)
    Remembering.clear_instance_cache()
    return tmp_path


def test_what_another_process_writes_and_removes_is_seen_at_once(root):
    url = f"{Remembering.protocol}://out"
    storage.atomic_write(f"{url}/a", b"1")
    assert storage.list_names(url) == ["a"]
    for name in ("b", "shards/c"):
        (root / "out" / name).parent.mkdir(exist_ok=True)
        (root / "out" / name).write_bytes(b"other")
    assert storage.read(f"{url}/b") == b"other"
    assert storage.list_names(url) == ["a", "b", "shards"]
    assert storage.exists(f"{url}/b")
    assert storage.is_file(f"{url}/b")
    assert storage.is_folder(f"{url}/shards")
    assert sorted(name for name, _, _ in storage.find_files(url)) == ["a", "b", "shards/c"]
    (root / "out/b").unlink()
    assert not storage.exists(f"{url}/b")
    assert storage.list_names(url) == ["a", "shards"]


@pytest.mark.parametrize(
    "read",
    [
        storage.read,
        lambda path: storage.read_range(path, 0, 9),
        lambda path: storage.open_binary(path).read(),
    ],
)
def test_a_file_that_is_newer_than_the_listing_is_read(read, root):
    url = f"{Remembering.protocol}://out"
    storage.atomic_write(f"{url}/a", b"1")
    storage.list_names(url)
    (root / "out/b").write_bytes(b"other")
    assert read(f"{url}/b") == b"other"
    with pytest.raises(FileNotFoundError):
        read(f"{url}/c")


def test_ranges_of_a_place_that_knows_them_are_one_request_each(root, monkeypatch):
    url = f"{Remembering.protocol}://out"
    storage.atomic_write(f"{url}/a", b"0123456789")
    monkeypatch.setattr(Remembering, "size", None)
    assert storage.read_range(f"{url}/a", 3, 4) == b"3456"
