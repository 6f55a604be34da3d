"""Files of other formats that hold images: a package reads them, and they are taken like zips and tars."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from dimmagen.core.errors import DimmagenError
from dimmagen.sources import SourceSpec, archives
from dimmagen.sources.archive_formats import ARCHIVES
from dimmagen.sources.archives import list_entries, read_entry
from dimmagen.sources.candidate_files import list_candidate_files
from dimmagen.sources.scan_keys import FileKeys, ScanSettings


class Album:
    """A line of JSON with names and sizes, and the images one after the other."""

    endings = (".album",)

    def members(self, path):
        with open(path, "rb") as file:
            sizes = json.loads(file.readline())
            start = file.tell()
        for name, size in sizes.items():
            yield name, size, [start, size]
            start += size

    def read(self, path, place):
        start, size = place
        with open(path, "rb") as file:
            file.seek(start)
            return file.read(size)[:: 1 if size else 0]  # ValueError for nothing


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(ARCHIVES, "_loaded", {"album": Album()})


@pytest.fixture
def album(tmp_path):
    """An archive of two photos, beside a photo and a text."""
    images = {}
    for number in range(2):
        path = tmp_path / f"{number}.png"
        Image.fromarray(np.full((300, 280 + number, 3), 90, np.uint8)).save(path)
        images[path.name] = path.read_bytes()
    folder = tmp_path / "photos"
    folder.mkdir()
    sizes = {name: len(data) for name, data in images.items()}
    (folder / "two.ALBUM").write_bytes(json.dumps(sizes).encode() + b"\n" + b"".join(images.values()))
    (folder / "one.png").write_bytes(images["1.png"])
    (folder / "notes.txt").write_text("none")
    return folder / "two.ALBUM", images


def test_an_archive_is_listed_and_read_alone_in_a_folder_and_by_a_glob(album):
    path, images = album
    assert {
        one.name: read_entry(json.loads(json.dumps(one.locator))) for one in list_entries(str(path))
    } == images
    for place in (path.parent, path.parent / "*"):
        found = {one.name: read_entry(one.locator) for one in list_entries(str(place))}
        assert found.pop("notes.txt") == b"none"
        assert found == {"one.png": images["1.png"], **{f"two.ALBUM/{name}": images[name] for name in images}}
    listed = list_candidate_files([SourceSpec("folder", str(path.parent))]).files
    assert [entry.name for _, entry in listed] == ["one.png", "two.ALBUM/0.png", "two.ALBUM/1.png"]


def test_an_archive_that_its_package_cannot_list_is_refused_by_name(album):
    path, _ = album
    path.write_bytes(b"{}{\n")
    with pytest.raises(DimmagenError, match=r"two\.ALBUM cannot be read as album \(JSONDecodeError"):
        list_entries(str(path.parent))


def test_a_member_that_its_package_cannot_read_is_damaged_and_one_of_a_lost_file_has_changed(album):
    path, _ = album
    (entry, *_) = list_entries(str(path))
    with pytest.raises(archives.DamagedArchiveError, match="is damaged at"):
        read_entry({**entry.locator, "place": [0, 0]})
    path.unlink()
    with pytest.raises(DimmagenError, match="cannot be read") as caught:
        read_entry(entry.locator)
    assert caught.value.code == "source-changed"


def test_verdicts_are_kept_by_the_version_of_the_package_and_not_at_all_without_one(album, monkeypatch):
    path, _ = album

    def key_of():
        (file, *_) = list_candidate_files([SourceSpec("folder", str(path))]).files
        return FileKeys(ScanSettings(), ["folder"])(file)

    assert key_of() == b""
    keys = []
    for version in ("1.0", "1.1", "1.1"):
        plugin = SimpleNamespace(distribution="albums", version=version)
        monkeypatch.setattr(ARCHIVES, "plugin", lambda name, plugin=plugin: plugin)
        keys.append(key_of())
    assert keys[0] != keys[1] == keys[2] != b""
