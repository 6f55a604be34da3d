import zipfile

import numpy as np
import pytest
from PIL import Image
from skimage import data as photos

from dimmagen.cli import main


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(["build-mixhq", *map(str, arguments)])
    return ended.value.code


@pytest.fixture
def photo_folder(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(4):
        Image.fromarray(np.roll(photos.coffee(), 50 * index, axis=1)).save(folder / f"{index}.jpg")
    (folder / "broken.jpg").write_bytes(b"x")
    return folder


def test_a_dry_run_prints_the_verdicts_on_each_source_and_writes_nothing(
    photo_folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert run("--source", f"folder={photo_folder}", "--source", "sample", "--dry-run") == 0
    output = capsys.readouterr().out
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines() if "│" in line]
    assert ["folder", "5", "4", "1", "unreadable 1"] in lines
    assert ["sample", "5", "5", "0", ""] in lines
    assert ["all", "10", "9", "1", ""] in lines
    assert "Nothing was written" in output
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


@pytest.mark.parametrize("dry_run", [["--dry-run"], []])
def test_why_a_candidate_is_rejected_is_shown_with_its_name(photo_folder, tmp_path, capsys, dry_run):
    for index in range(2, 6):
        (photo_folder / f"broken{index}.jpg").write_bytes(b"y")
    Image.fromarray(photos.coffee()[:40, :40]).save(photo_folder / "little.png")
    out = tmp_path / "mixhq"
    expected = [
        "rejected by unreadable: folder 'broken.jpg': is no picture of a known kind",
        "rejected by unreadable: folder 'broken2.jpg': is no picture of a known kind",
        "rejected by unreadable: folder 'broken3.jpg': is no picture of a known kind",
        "rejected by unreadable: 2 more of folder",
        "rejected by folder-min-256: folder 'little.png': 40x40 is smaller",
    ]
    for _ in range(2):  # the second time from the finished catalog
        assert run("--source", f"folder={photo_folder}", "--out", out, *dry_run) == 0
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("rejected by")]
        assert len(lines) == len(expected)
        for line, start in zip(lines, expected, strict=True):
            assert line.startswith(start)


def test_a_dim_without_a_photo_that_passes_says_why(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.jpg").write_bytes(b"x")
    with pytest.raises(SystemExit) as ended:
        main(["dim", "--profile", "lol3", "--source", "broken", "--shards", "out"])
    assert ended.value.code == 1
    assert "unreadable, such as 'a.jpg': is no picture of a known kind" in capsys.readouterr().err


def test_it_builds_in_the_default_place_and_says_complete_the_second_time(
    photo_folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert run("--source", f"folder={photo_folder}") == 0
    first = capsys.readouterr().out
    assert "4 light images in 1 shard" in first
    assert "dimmagen dim --profile lol3" in first
    assert (tmp_path / "mixhq" / "manifest.json").exists()
    assert run("--source", f"folder={photo_folder}") == 0
    assert "mixhq is complete" in capsys.readouterr().out


def test_output_to_a_pipe_has_no_progress_bar(photo_folder, tmp_path, capsys):
    assert run("--source", f"folder={photo_folder}", "--out", tmp_path / "mixhq") == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("source", "code", "message"),
    [
        ("coco=/does/not/exist", 2, "Error: there is no folder and no file at /does/not/exist"),
        ("kodak=/tmp", 2, "Error: there is no source 'kodak'"),
        ("coco=photos.zip", 1, "Error: photos.zip is not a complete zip file"),
        ("coco=photos", 1, "Error: no candidate is accepted"),
    ],
)
def test_a_mistake_is_one_message_and_an_exit_code_and_no_traceback(
    photo_folder, tmp_path, monkeypatch, capsys, source, code, message
):
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("photos.zip", "w") as archive:
        archive.write(photo_folder / "0.jpg", "0.jpg")
    (tmp_path / "photos.zip").write_bytes((tmp_path / "photos.zip").read_bytes()[:-30])
    assert run("--source", source) == code
    errors = capsys.readouterr().err
    assert errors.startswith(message)
    assert "Traceback" not in errors
    assert not (tmp_path / "mixhq").exists()
