"""Which photos are enhanced, and under which names the results are written."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dimmagen.core import outputs
from dimmagen.core.errors import UsageError
from dimmagen.enhance.photos import photos_of, read_photo, result_names


@pytest.fixture
def folder(tmp_path):
    for name in ("b.png", "a.jpg", ".hidden.png"):
        Image.fromarray(np.full((9, 12, 3), 77, np.uint8)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no photo")
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def test_the_photos_directly_in_a_folder_are_found_and_given_ones_taken_as_they_are(folder):
    assert [path.name for path in photos_of([folder])] == ["a.jpg", "b.png"]
    assert photos_of([folder / "notes.txt"]) == [folder / "notes.txt"]
    assert [path.name for path in photos_of([folder / "b.png", folder, folder])] == ["b.png", "a.jpg"]
    with pytest.raises(UsageError, match="does not exist"):
        photos_of([folder / "nothing.png"])
    with pytest.raises(UsageError, match="has no photo directly in it"):
        photos_of([folder / "folder.png"])


def test_what_else_is_in_a_folder_is_said(folder, caplog):
    caplog.set_level("INFO", "dimmagen")
    for name in ("1.nef", "2.nef", "3.NEF"):
        (folder / name).write_bytes(b"")
    photos_of([folder])
    assert caplog.messages == [f"Note: left out of {folder}: 3 .nef, 1 .txt, 1 folder"]
    for number in range(6):
        (folder / f"x.{number}").write_bytes(b"")
    photos_of([folder, folder / "a.jpg"])
    assert caplog.messages[1].endswith("3 other files, 1 folder")


@pytest.mark.needs("fifo")
def test_a_pipe_in_a_folder_is_left_out_and_not_waited_for(folder, caplog):
    """What a camera server or a desktop leaves; a pipe that is given itself is read."""
    caplog.set_level("INFO", "dimmagen")
    os.mkfifo(folder / "live.jpg")
    assert [path.name for path in photos_of([folder])] == ["a.jpg", "b.png"]
    assert caplog.messages == [f"Note: left out of {folder}: 1 .txt, 1 pipe or device, 1 folder"]
    assert photos_of([folder / "live.jpg"]) == [folder / "live.jpg"]


def test_a_photo_is_read_with_its_metadata_or_the_reason_is_given(folder):
    pixels, metadata = read_photo(folder / "b.png")
    assert (pixels.shape, int(pixels.max()), metadata.icc_profile) == ((9, 12, 3), 77, b"")
    with pytest.raises(UsageError, match="is not an image of a known kind") as error:
        read_photo(folder / "notes.txt")
    assert error.value.code == "unreadable-image"
    assert "convert" not in str(error.value)
    with pytest.raises(UsageError, match="cannot be read"):
        read_photo(folder / "nothing.png")


def test_a_photo_of_another_kind_is_to_be_converted_and_not_to_be_fetched_again(folder):
    (folder / "c.jpg").write_bytes(b"\xff\x0a" + bytes(range(200)))
    with pytest.raises(UsageError) as caught:
        read_photo(folder / "c.jpg")
    assert str(caught.value).endswith("c.jpg: is a JPEG XL file: convert it to PNG or JPEG first")


def test_no_result_replaces_another_one_or_a_photo(folder):
    assert result_names([folder / "a.jpg", folder / "b.png"], Path("out")) == {
        folder / "a.jpg": "a",
        folder / "b.png": "b",
    }
    with pytest.raises(UsageError, match=r"two photos are named a\.jpg"):
        result_names([folder / "a.jpg", Path("elsewhere/a.jpg")], Path("out"))
    with pytest.raises(UsageError, match="is in the folder of the results"):
        result_names([folder / "a.jpg"], folder)


def test_results_that_a_disk_takes_for_one_are_refused(tmp_path, monkeypatch):
    """A disk of macOS, Windows or a camera, which knows no case: the second result replaced the first."""
    photos = [tmp_path / "A.jpg", tmp_path / "b.jpg", tmp_path / "a.jpg"]

    def touch(path):
        for name in (path.name, path.name.lower()):
            path.with_name(name).write_bytes(b"")

    monkeypatch.setattr(Path, "touch", touch)
    with pytest.raises(UsageError, match=r"A\.png and a\.png") as error:
        result_names(photos, tmp_path / "out")
    assert error.value.code == "name-taken"
    assert os.listdir(tmp_path / "out") == []


def test_results_that_a_disk_tells_apart_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr(outputs, "_are_one", lambda folder, *names: names != ("A.png", "a.png"))
    photos = [tmp_path / "A.jpg", tmp_path / "a.jpg"]
    assert list(result_names(photos, tmp_path / "out").values()) == ["A", "a"]


def test_the_folder_of_the_photos_is_known_by_another_name(folder, monkeypatch):
    """As a disk that knows no case, or a second mount, gives it."""
    (folder / "PHOTOS").mkdir()
    monkeypatch.setattr(os.path, "samefile", lambda one, other: {one, other} == {folder, folder / "PHOTOS"})
    with pytest.raises(UsageError, match="is in the folder of the results"):
        result_names([folder / "a.jpg"], folder / "PHOTOS")


def test_photos_that_differ_in_their_type_alone_keep_it_in_the_names(folder):
    a, b, other = folder / "a.jpg", folder / "b.png", folder / "b.heic"
    assert result_names([a, b, other], Path("out")) == {a: "a", b: "b.png", other: "b.heic"}
