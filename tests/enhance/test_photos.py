"""Which photos are enhanced, and under which names the results are written."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dimmagen.core.errors import UsageError
from dimmagen.enhance.photos import level_names, photos_of, read_photo, result_names


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


def test_a_photo_is_read_with_its_metadata_or_the_reason_is_given(folder):
    pixels, metadata = read_photo(folder / "b.png")
    assert (pixels.shape, int(pixels.max()), metadata.icc_profile) == ((9, 12, 3), 77, b"")
    with pytest.raises(UsageError, match="is no picture of a known kind") as error:
        read_photo(folder / "notes.txt")
    assert error.value.code == "unreadable-image"
    assert "convert" not in str(error.value)
    with pytest.raises(UsageError, match="cannot be read"):
        read_photo(folder / "nothing.png")


def test_no_result_replaces_another_one_or_a_photo(folder):
    assert result_names([folder / "a.jpg", folder / "b.png"], Path("out")) == {
        folder / "a.jpg": "a",
        folder / "b.png": "b",
    }
    with pytest.raises(UsageError, match=r"two photos are named a\.jpg"):
        result_names([folder / "a.jpg", Path("elsewhere/a.jpg")], Path("out"))
    with pytest.raises(UsageError, match="is in the folder of the results"):
        result_names([folder / "a.jpg"], folder)


def test_photos_that_differ_in_their_type_alone_keep_it_in_the_names(folder):
    a, b, other = folder / "a.jpg", folder / "b.png", folder / "b.heic"
    assert result_names([a, b, other], Path("out")) == {a: "a", b: "b.png", other: "b.heic"}


def test_lightnesses_have_as_many_digits_as_make_their_names_different():
    assert level_names([0.3, 0.5, "auto"]) == ["0.30", "0.50", "auto"]
    assert level_names([0.301, 0.302]) == ["0.301", "0.302"]
