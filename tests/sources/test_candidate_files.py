"""Which files of a source are candidates, and what is said of the others and of wrong sources."""

import tarfile
from pathlib import Path

import pytest
from skimage import data as photos

from dimmagen.core.errors import UsageError
from dimmagen.sources import SourceSpec, parse_specs
from dimmagen.sources.candidate_files import list_candidate_files
from dimmagen.sources.scan import scan
from tests.sources.scanned import rows_of, save


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cocoo=/x", "there is no source 'cocoo': did you mean coco"),
        ("coco=", "names no path"),
        ("coco", "needs a path"),
        ("coco=/does/not/exist", "there is no folder and no file at /does/not/exist"),
        ("/does/not/exist", "there is no folder and no file"),
        (
            "sample=photos",
            "takes no path: write sample alone, or folder=photos",
        ),
        (f"{Path(__file__).parent}/*.jpg", r"no file has a name like .*\*\.jpg: check the pattern"),
    ],
)
def test_a_wrong_source_is_refused_with_advice(text, message):
    with pytest.raises(UsageError, match=message):
        list_candidate_files(parse_specs([text]))


def test_a_folder_that_has_the_name_of_a_source_is_told_how_to_be_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "coco").mkdir()
    with pytest.raises(
        UsageError, match=r"as in coco=coco; ./coco takes its photos by the rules of a folder"
    ):
        parse_specs(["coco"])
    with pytest.raises(UsageError, match=r"write clic=PATH$"):
        parse_specs(["clic"])


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "readme.txt").write_text("")
    with pytest.raises(UsageError, match=r"holds no image or clip.*names end in \.jpg"):
        list_candidate_files(parse_specs([f"coco={tmp_path}"]))


@pytest.mark.parametrize(
    ("path", "todo"),
    [
        ("{0}", "archives in it are not opened: give each as a source of its own"),
        ("{0}/*.tar", "archives in it are not opened: give each as a source of its own"),
        ("{0}/train-{{000..127}}.tar", "braces are not expanded: give each archive as a source of its own"),
        ("{0}/train-{{000,001}}.t*", "braces are not expanded: give each archive as a source of its own"),
        ("{0}/train-{{000}}.tar", "check the path"),
        ("{0}/train-*.jpg", "check the pattern"),
    ],
)
def test_several_archives_are_several_sources(tmp_path, path, todo):
    """As webdataset's pattern, or as the folder that holds them."""
    photo = save(tmp_path / "photos/a.png", photos.astronaut())
    (tmp_path / "shards").mkdir()
    with tarfile.open(tmp_path / "shards/train-000.tar", "w") as archive:
        archive.add(photo, "a.png")
    with pytest.raises(UsageError) as refusal:
        list_candidate_files(parse_specs([path.format(tmp_path / "shards")]))
    assert refusal.value.todo == todo


def test_a_path_alone_means_a_folder_even_with_an_equals_sign_in_it(tmp_path):
    odd = save(tmp_path / "iso=100" / "x.png", photos.astronaut()).parent
    assert SourceSpec.parse(str(odd)) == SourceSpec("folder", str(odd))
    assert [row.accepted for row in rows_of(str(odd))] == [True]


def test_pictures_in_other_formats_are_rejected_by_name_and_other_files_are_counted(tmp_path):
    save(tmp_path / "a.png", photos.coffee())
    for name in (
        "IMG_1.CR2",
        "b.jxl",
        "c.jfif",
        "d.MPO",
        "film.MOV",
        "notes.txt",
        "c.txt",
        "LICENSE",
        "sub/d.json",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    listing = list_candidate_files(parse_specs([str(tmp_path)]))
    assert listing.others == {"folder": {".txt": 2, "no ending": 1, ".json": 1}}
    rows = {one.row.name: one.row for one in scan(listing.files)}
    assert {name: row.rule for name, row in rows.items()} == {
        "IMG_1.CR2": "format",
        "a.png": "",
        "b.jxl": "format",
        "c.jfif": "format",
        "d.MPO": "format",
        "film.MOV": "format",
    }
    assert "RAW" in rows["IMG_1.CR2"].reason
    assert "JPEG XL" in rows["b.jxl"].reason
    for name in ("c.jfif", "d.MPO"):
        assert "rename it to .jpg" in rows[name].reason
    assert "inter4k" in rows["film.MOV"].reason


def test_clips_that_the_source_of_clips_does_not_take_say_what_to_do(tmp_path):
    """And do not send the reader to the source that they were given to."""
    for name in ("a.wmv", "b.MTS", "c.flv", "d.mp4", "e.txt"):
        (tmp_path / name).write_bytes(b"x")
    listing = list_candidate_files(parse_specs([f"inter4k={tmp_path}"]))
    assert listing.others == {"inter4k": {".txt": 1}}
    rows = {one.row.name: one.row for one in scan(listing.files)}
    others = {name: row for name, row in rows.items() if row.rule == "format"}
    assert sorted(others) == ["a.wmv", "b.MTS", "c.flv"]
    for row in others.values():
        assert row.reason == "is a clip of a format that this source does not take: convert it to MP4 first"


def test_a_folder_without_a_candidate_says_what_is_there(tmp_path):
    for index in range(3):
        (tmp_path / f"{index}.nef").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"it has 3 .nef: .nef is a RAW file: develop it"):
        list_candidate_files(parse_specs([str(tmp_path)]))


def test_files_beside_the_sample_photos_are_not_counted():
    assert list_candidate_files(parse_specs(["sample"])).others == {}


@pytest.mark.parametrize("text", ["coco=~/photos", "folder=~/photos", "~/photos"])
def test_the_home_folder_is_understood_behind_a_name(text, tmp_path, monkeypatch):
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    assert SourceSpec.parse(text).path == str(tmp_path / "photos")
