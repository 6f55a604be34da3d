"""What of a folder or a glob is listed: links, files that are hidden, and those that systems leave."""

import errno
import os

import pytest

from dimmagen.core.errors import DimmagenError
from dimmagen.sources.archives import list_entries, read_entry
from tests.sources.made_archives import FILES, contents, make_folder, make_tar, make_zip


def test_hidden_files_and_macos_copies_are_skipped(tmp_path):
    files = {"__MACOSX/x/._a.jpg": b"", "x/._a.jpg": b"", "x/a.jpg": b"photo", ".DS_Store": b""}
    assert contents(make_zip(tmp_path / "mac.zip", files=files)) == [("x/a.jpg", b"photo")]


def test_a_glob_selects_files(tmp_path):
    root = make_folder(tmp_path / "photos")
    assert [name for name, _ in contents(f"{root}/b/*.jpg")] == ["10.jpg", "2.jpg"]
    assert [name for name, _ in contents(f"{root}/**/*.jpg")] == ["a.jpg", "b/10.jpg", "b/2.jpg"]


@pytest.fixture
def linked(tmp_path):
    """A folder with links to itself, to nowhere, to a hidden folder inside, and out of it."""
    root = tmp_path / "photos"
    make_folder(root)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "c.jpg").write_bytes(b"linked")
    (root / ".store").mkdir()
    (root / ".store" / "d.jpg").write_bytes(b"inside")
    os.symlink(root / ".store", root / "inside")
    os.symlink(tmp_path / "elsewhere", root / "linked")
    os.symlink(tmp_path / "elsewhere" / "c.jpg", root / "single.jpg")
    os.symlink(root, root / "b" / "loop")
    os.symlink(tmp_path / "nowhere", root / "dangling.jpg")
    os.symlink(root / "itself.jpg", root / "itself.jpg")
    return root


@pytest.mark.needs("links")
def test_links_that_leave_a_folder_are_told_and_read_only_if_asked_for(linked, caplog):
    names = sorted([*FILES, "inside/d.jpg", "single.jpg", "dangling.jpg", "itself.jpg"])
    entries = {entry.name: entry for entry in list_entries(str(linked))}
    assert sorted(entries) == names
    assert "leads out of its source" in entries["single.jpg"].refusal
    assert f"{linked}/linked is left out" in caplog.text
    assert "; `follow_links=True` reads it" in caplog.text
    followed = {entry.name: entry for entry in list_entries(str(linked), follow_links=True)}
    assert sorted(followed) == sorted([*names, "linked/c.jpg"])
    assert (
        read_entry(followed["single.jpg"].locator)
        == read_entry(followed["linked/c.jpg"].locator)
        == b"linked"
    )


@pytest.mark.needs("links")
@pytest.mark.parametrize("pattern", ["", "/*", "/**/*.jpg", "/*.jpg"])
def test_a_broken_link_has_an_entry_by_every_way_of_naming_it(pattern, linked):
    entries = {entry.name: entry for entry in list_entries(f"{linked}{pattern}")}
    for name in ("dangling.jpg", "itself.jpg"):
        assert entries[name].refusal == "is a broken link"


@pytest.mark.parametrize("pattern", ["", "/*/*.jpg", "/b/**"])
def test_a_folder_that_cannot_be_listed_ends_the_run_with_its_path(pattern, tmp_path, monkeypatch):
    root = tmp_path / "photos"
    make_folder(root)
    scandir = os.scandir

    def failing(path):
        if os.fspath(path) == str(root / "b"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", failing)
    with pytest.raises(DimmagenError, match=r"photos/b cannot be listed \(Input/output error\)"):
        list_entries(f"{root}{pattern}")


def test_a_glob_lists_no_folder_that_it_cannot_match(tmp_path, monkeypatch):
    root = tmp_path / "photos"
    make_folder(root)
    scandir = os.scandir
    seen = []
    monkeypatch.setattr(os, "scandir", lambda path: seen.append(os.fspath(path)) or scandir(path))
    assert [entry.name for entry in list_entries(f"{root}/*.jpg")] == ["a.jpg"]
    assert seen == [str(root)]


PHOTO = b"a photo"
NOT_MEANT = (
    ".thumbnails/1.jpg",
    ".Trash-1000/files/d.jpg",
    "@eaDir/a.jpg/SYNOPHOTO_THUMB_XL.jpg",
    "$RECYCLE.BIN/$R1.jpg",
    "$Recycle.Bin/$R2.jpg",
    "RECYCLER/S-1-5-21/Dc1.jpg",
    "trip/_vti_cnf/b.jpg",
    "__MACOSX/trip/._b.jpg",
    "trip/._b.jpg",
    "trip/.git/deep/c.jpg",
    "System Volume Information/x.jpg",
)


def test_what_systems_leave_among_photos_is_never_a_candidate_at_any_depth(tmp_path):
    files = {"a.jpg": PHOTO, "trip/b.jpg": PHOTO, **dict.fromkeys(NOT_MEANT, b"not a photo")}
    for name, data in files.items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(data)
    for place in (
        tmp_path / "folder",
        make_zip(tmp_path / "a.zip", files=files),
        make_tar(tmp_path / "a.tar", files),
    ):
        assert contents(place) == [("a.jpg", PHOTO), ("trip/b.jpg", PHOTO)]


def test_the_previews_of_photo_managers_are_no_photos(tmp_path, caplog):
    """Apple's libraries hold each photo up to five times; Immich and Nextcloud keep smaller copies."""
    kept = (
        "Photos Library.photoslibrary/originals/F/F88C.jpeg",
        "Old.photolibrary/Masters/2014/a.jpg",
        "immich/upload/a.jpg",
        "thumbs/mine.jpg",
        "cloud/files/preview/b.jpg",
        "Takeout/Google Photos/Trash day/a.jpg",
    )
    made = (
        "Photos Library.photoslibrary/resources/derivatives/F/F88C_1_105_c.jpeg",
        "Photos Library.photoslibrary/scopes/x.jpeg",
        "Old.photolibrary/Thumbnails/2014/a.jpg",
        "immich/thumbs/u/a-preview.jpg",
        "cloud/appdata_oc7/preview/1/64-64.jpg",
        "Takeout/Google Photos/Trash/a.jpg",
    )
    files = {
        **dict.fromkeys((*kept, *made), PHOTO),
        "immich/thumbs/.immich": b"",
        "immich/upload/.immich": b"",
    }
    folder = tmp_path / "folder"
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    with caplog.at_level("INFO", "dimmagen"):
        for place in (folder, make_zip(tmp_path / "a.zip", files=files)):
            assert [name for name, _ in contents(place)] == sorted(kept)
    assert "6 files that a photo manager keeps" in caplog.text
    library = folder / "Photos Library.photoslibrary"
    assert [name for name, _ in contents(library)] == ["originals/F/F88C.jpeg"]
    for named in (library / "resources", folder / "immich/thumbs"):
        assert len(contents(named)) == 1


def test_a_source_in_a_hidden_folder_is_read_when_it_is_named(tmp_path):
    make_folder(tmp_path / ".photos")
    assert contents(tmp_path / ".photos") == sorted(FILES.items())
