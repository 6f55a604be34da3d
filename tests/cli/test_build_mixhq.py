import zipfile

import numpy as np
import pytest
from PIL import Image
from skimage import data as photos

from tests.commands import exit_code
from tests.dataset_helpers import write_photos


def run(*arguments):
    return exit_code("build-mixhq", *arguments)


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
        "rejected by unreadable: folder 'broken.jpg': is not an image of a known kind",
        "rejected by unreadable: folder 'broken2.jpg': is not an image of a known kind",
        "rejected by unreadable: folder 'broken3.jpg': is not an image of a known kind",
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
    assert exit_code("dim", "--profile", "lol3", "--source", "broken", "--shards", "out") == 1
    assert "unreadable, such as 'a.jpg': is not an image of a known kind" in capsys.readouterr().err


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
        ("coco=photos", 1, "Error: none of the 5 candidates is accepted"),
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


def test_photos_that_only_the_papers_sizes_reject_can_be_taken_as_the_message_says(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train2017").mkdir()
    for index in range(3):
        pixels = np.roll(photos.coffee()[:300, :400], 50 * index, axis=1)
        Image.fromarray(pixels).save(tmp_path / f"train2017/{index}.jpg")
    assert run("--source", "coco=train2017", "--dry-run") == 0
    assert "No photo of coco is accepted: these sizes are the paper's" in capsys.readouterr().out
    assert run("--source", "coco=train2017") == 1
    error = capsys.readouterr().err
    assert "coco-min-500, such as '0.jpg'" in error
    assert "give the path without coco= to take photos from 256x256 on" in " ".join(error.split())
    assert run("--source", "train2017") == 0
    assert "3 light images in 1 shard" in capsys.readouterr().out


def test_files_that_are_no_candidates_are_counted_the_second_time_as_well(photo_folder, tmp_path, capsys):
    for name in ("a.json", "b.json", "c.txt", "d.nef"):
        (photo_folder / name).write_bytes(b"x")
    for _ in range(2):
        assert run("--source", photo_folder, "--out", tmp_path / "mixhq") == 0
        lines = capsys.readouterr().out.splitlines()
        assert "not candidates: 2 .json, 1 .txt of folder" in lines
        reason = "is a RAW file: develop it to PNG, TIFF or JPEG first"
        assert f"rejected by format: folder 'd.nef': {reason}" in lines


def test_the_choices_are_inputs_of_a_mixhq(photo_folder, tmp_path, capsys):
    out = tmp_path / "mixhq"
    choices = ["--limit", "3", "--resize", "300", "--crop", "256"]
    assert run("--source", photo_folder, "--out", out, *choices) == 0
    assert "3 light images in 1 shard" in capsys.readouterr().out
    assert "--resize 300 --crop 256 --limit 3" in (out / "README.md").read_text()
    assert run("--source", photo_folder, "--out", out, *choices) == 0
    assert run("--source", photo_folder, "--out", out) == 2
    assert "changed: crop, limit, resize" in capsys.readouterr().err


def test_the_next_command_after_an_addition_adds_as_well(tmp_path, capsys):
    out, folder = tmp_path / "mixhq", tmp_path / "few"
    for count, more in ((2, ""), (3, " --add")):
        write_photos(folder, count)
        assert run("--source", folder, "--out", out, "--add") == 0
        next_line = f"Next: dimmagen dim --profile lol3 --source {out} --shards out/{more}\n"
        assert next_line in capsys.readouterr().out
