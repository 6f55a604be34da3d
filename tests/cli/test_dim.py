"""`dim`, `verify` and `inspect` as a user types them."""

import json
import os
import re
import shlex
from pathlib import Path

import pytest
import torch
from PIL import Image

from dimmagen import assert_same_dataset
from dimmagen.core.lock import exclusive
from dimmagen.dataset.reader import open_pairs
from tests.commands import run_command
from tests.dataset_helpers import write_photos


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos") / "photos", 4)


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Runs a command line in an empty folder; returns exit code, output and messages."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        return run_command(capsys, *arguments)

    return run


@pytest.fixture
def dim(run, photos):
    return lambda *more: run(
        "dim", "--profile", "linear", "--source", photos, "--shards", "out", "--executor", "serial", *more
    )


def test_photos_to_a_verified_set_with_a_contact_sheet(run, dim, tmp_path):
    code, out, _ = dim("--variants", 2, "--samples-per-shard", 3)
    assert code == 0
    assert "8 pairs of 4 photos in 4 shards" in out
    assert "dimmagen verify out" in out

    code, out, _ = run("verify", "out")
    assert code == 0
    assert "8 pairs in 4 shards" in out

    code, out, _ = run("inspect", "out", "--sheet", "sheet.png", "--pairs", 3)
    assert code == 0
    assert "lightness after" in out
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 3 * 320


@pytest.mark.skipif(os.name == "nt", reason="shells of Windows quote in another way")
def test_the_commands_that_are_printed_can_be_copied_whatever_the_folder_is_called(run, photos):
    out = "-my set"
    line = ["--profile", "linear", "--source", photos, f"--shards={out}", "--executor", "serial"]
    _, text, _ = run("dim", *line)
    copied = re.findall(r"(?:Next:|     ) dimmagen (.*)", text)
    assert len(copied) == 2
    for command in copied:
        assert run(*shlex.split(command))[0] == 0
    (Path(out) / "metadata/train-00000.parquet").write_bytes(b"x")
    code, _, text = run("inspect", f"./{out}")
    assert code == 1
    [command] = re.findall(r"run dimmagen (.*)", text)
    code, text, _ = run(*shlex.split(command))
    assert code == 1
    assert "manifest says" in text


def test_the_command_in_the_manifest_makes_the_set_again(run, dim, photos, tmp_path):
    dim("--variants", 2, "--seed", 3, "--gamma", "0.5:1.5", "--samples-per-shard", 3)
    manifest = (tmp_path / "out/manifest.json").read_bytes()
    words = json.loads(manifest)["command"].split()[1:]
    places = {"folder=FOLDER": str(photos), "out/": "again"}
    code, _, messages = run(*(places.get(word, word) for word in words), "--executor", "serial")
    assert code == 0, messages
    assert (tmp_path / "again/manifest.json").read_bytes() == manifest


def test_dark_as_the_pairs_is_recorded_and_the_command_and_replay_make_it_again(run, photos, tmp_path):
    camera = ("dim", "--profile", "lol3", "--source", photos, "--executor", "serial", "--shards", "out")
    assert run(*camera, "--brightness", "as-pairs")[0] == 0
    text = (tmp_path / "out/manifest.json").read_text()
    manifest = json.loads(text)
    assert manifest["settings"]["brightness"] == "as-pairs"
    assert {row["gamma"] for row in open_pairs("out").rows()} == {1.0}
    places = {"folder=FOLDER": str(photos), "out/": "again"}
    words = [places.get(word, word) for word in manifest["command"].split()[1:]]
    assert run(*words, "--executor", "serial")[0] == 0
    assert (tmp_path / "again/manifest.json").read_text() == text
    key = open_pairs("out").rows()[0]["key"]
    assert run("replay", key, "--data", "out", "--source", photos)[0] == 0
    assert "than any dark image of the" in " ".join(run("inspect", "out")[1].split())
    code, _, messages = run(*camera, "--brightness", "as-pairs", "--gamma", "0.5:1")
    assert code == 2
    assert "--brightness as-pairs says how bright" in messages
    assert "so does --gamma" in messages


def test_verify_ends_with_one_and_names_the_sample(run, dim, tmp_path):
    dim()
    path = tmp_path / "out/shards/train-00000.tar"
    path.write_bytes(path.read_bytes()[:1000])
    code, out, messages = run("verify", "out")
    assert code == 1
    assert "sample folder-" in out
    assert "out has" in messages


def test_a_dry_run_says_what_would_be_made_and_writes_nothing(dim, tmp_path):
    code, out, _ = dim("--dry-run")
    assert code == 0
    assert "Nothing was written" in out
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_gives_options_and_the_command_line_wins(dim, tmp_path):
    (tmp_path / "recipe.yaml").write_text("variants: 3\nseed: 5\ngamma: 0.5:1.5\nimage-format: webp\n")
    code, _, _ = dim("--recipe", "recipe.yaml", "--seed", 6)
    assert code == 0
    settings = json.loads((tmp_path / "out/manifest.json").read_text())["settings"]
    assert (settings["variants"], settings["seed"], settings["gamma_range"]) == (3, 6, [0.5, 1.5])
    assert settings["image_format"] == "webp"


def test_an_option_of_a_recipe_without_a_value_has_its_default(dim, tmp_path):
    (tmp_path / "recipe.yaml").write_text("seed:\nexclude: null\nvariants: 2\n")
    code, _, _ = dim("--recipe", "recipe.yaml")
    assert code == 0
    settings = json.loads((tmp_path / "out/manifest.json").read_text())["settings"]
    assert (settings["seed"], settings["variants"]) == (0, 2)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("varants: 3", "varants"),
        ("- 1", "no options"),
        ("a: [", "not YAML"),
        ("seed: [1, 2]", "one value"),
        ("seed: 1\nvariants: 2\nseed: 3", "the key 'seed' is there twice"),
        ("shards: a\nout: b", "shards and out are one option"),
        ("source:\n- photos\n-", "source has an empty value"),
    ],
)
def test_a_mistake_in_a_recipe_is_reported(recipe, message, dim, tmp_path):
    (tmp_path / "recipe.yaml").write_text(recipe)
    code, _, messages = dim("--recipe", "recipe.yaml")
    assert code == 2
    assert message in messages


NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--gamma", "2"], "A:B"),
        (["--gamma", "2:1"], "A <= B"),
        (["--gamma", "nan:1"], "A <= B"),
        (["--profile", "no-such"], "no profile 'no-such'"),
        (["--model", "no-such"], "no model 'no-such'"),
        (["--variants", "0"], "--variants is 0"),
        (["--seed", "-1"], "--seed is -1"),
        (["--samples-per-shard", "0"], "--samples-per-shard is 0"),
        (["--source", "nowhere"], "nowhere"),
        (["--resume", "always"], "no run to resume"),
        (["--address", "1.2.3.4:5"], "--address is for --executor ray"),
        (["--threads", "2"], "for GPU workers"),
        pytest.param(["--device", "cuda"], "torch sees no GPU", marks=NO_GPU),
    ],
)
def test_a_mistake_is_reported_with_exit_code_two_and_nothing_is_written(options, message, dim, tmp_path):
    code, _, messages = dim(*options)
    assert code == 2
    assert message in messages
    assert list(tmp_path.iterdir()) == []


def test_without_a_source_the_mixhq_in_the_default_folder_is_required(run):
    code, _, messages = run("dim", "--profile", "linear", "--shards", "out")
    assert code == 2
    assert "build-mixhq" in messages


def test_a_few_pairs_are_made_and_made_again_without_ray(run, photos, monkeypatch):
    def no_ray(*_):
        raise AssertionError("Ray was started")

    monkeypatch.setattr("dimmagen.generate.run.run_ray", no_ray)
    words = ("--source", photos)
    assert run("dim", "--profile", "linear", *words, "--shards", "out")[0] == 0
    assert run("reproduce", "out", *words, "--out", "again")[0] == 0
    code, output, _ = run("plan", "--profile", "linear", *words, "--json", "-", "--calibration-pairs", 1)
    assert (code, json.loads(output)["workers"]["executor"]) == (0, "serial")
    with pytest.raises(AssertionError, match="Ray was started"):
        run("dim", "--profile", "linear", *words, "--shards", "new", "--workers", 1)


def test_mixhq_and_the_photos_directly_give_the_same_data_set(run, dim, photos, tmp_path):
    assert dim("--variants", 2)[0] == 0
    assert run("build-mixhq", "--source", f"folder={photos}")[0] == 0
    code, _, messages = run(
        "dim", "--profile", "linear", "--shards", "by-mixhq", "--variants", 2, "--executor", "serial"
    )
    assert code == 0
    assert "mixhq (the default, because no --source is given)" in messages
    assert_same_dataset(tmp_path / "out", tmp_path / "by-mixhq")


def test_a_folder_without_images_is_reported(run, tmp_path):
    (tmp_path / "empty").mkdir()
    code, _, messages = run("dim", "--profile", "linear", "--source", "empty", "--shards", "out")
    assert code == 2
    assert "empty" in messages


def test_a_cluster_that_does_not_answer_is_reported_at_once(run, photos):
    code, _, messages = run(
        *("dim", "--profile", "linear", "--source", photos, "--shards", "out"), "--address", "127.0.0.1:1"
    )
    assert code == 2
    assert "no Ray cluster answers at 127.0.0.1:1" in messages


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--variants", 0), "--variants is 0"),
        (("--shards", "mine"), "holds files that are not part of a dimmagen data set (notes.txt)"),
        (("--resume", "always"), "holds no run to resume"),
        (("--shards", "mine/notes.txt"), "mine/notes.txt cannot be written to"),
        (("--shards", "mine/notes.txt/out"), "notes.txt/out cannot be written to"),
        (("--shards", "set/out"), "would be inside the data set"),
    ],
)
def test_what_no_photos_make_right_is_refused_before_they_are_scanned(words, message, dim, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    for name in ("manifest.json", "shards", "metadata"):
        (tmp_path / "set" / name).mkdir(parents=True)
    code, _, messages = dim(*words)
    assert (code, message in messages, "photos from" in messages) == (2, True, False)


def test_a_folder_that_another_run_writes_is_refused_before_photos_are_scanned(dim, tmp_path):
    with exclusive(str(tmp_path / "out")):
        code, _, messages = dim()
    assert (code, "another run is writing" in messages, "photos from" in messages) == (1, True, False)


def test_an_output_folder_that_is_a_file_is_reported(dim, tmp_path):
    (tmp_path / "out").write_text("mine")
    code, _, messages = dim()
    assert code == 2
    assert "cannot be written" in messages
    assert (tmp_path / "out").read_text() == "mine"


def test_the_reasons_for_what_is_left_out_are_shown_after_the_run_as_well(run, tmp_path):
    folder = write_photos(tmp_path / "some", 3)
    (folder / "bad.png").write_bytes(b"x")
    (folder / "notes.txt").write_bytes(b"x")
    words = ["dim", "--profile", "linear", "--source", folder, "--shards", "out", "--executor", "serial"]
    expected = [
        "rejected by unreadable: folder 'bad.png': is not an image of a known kind",
        "not candidates: 1 .txt of folder",
        "Every rejected candidate with its reason: out/rejected",
    ]
    for _ in range(2):
        code, output, _ = run(*words)
        assert code == 0
        starts = [start for line in output.splitlines() for start in expected if line.startswith(start)]
        assert starts == expected
        assert output.splitlines()[-1].startswith("      dimmagen inspect")  # the next step is the last line
        assert "No photo of" not in output
    assert run("build-mixhq", "--source", folder)[0] == 0
    code, output, _ = run(*words[:3], "--shards", "by-mixhq", "--executor", "serial")
    assert (code, output.splitlines()[0]) == (0, "rejected of folder: unreadable 1, folder-min-256 1")
    assert "bad.png" not in output  # build-mixhq has shown it


def test_sizes_and_a_limit_are_reproduced_and_the_command_names_the_sizes(run, photos, tmp_path):
    choices = ["--resize", "100", "--crop", "96", "--limit", "2"]
    words = ["--source", photos, "--executor", "serial"]
    assert run("dim", "--profile", "linear", *words, "--shards", "out", *choices)[0] == 0
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert "--resize 100 --crop 96" in manifest["command"]
    assert manifest["counts"]["lights"] == 2
    assert run("reproduce", "out", *words, "--out", "again", *choices)[0] == 0
    assert_same_dataset("out", "again")
    assert run("verify", "out", "--reproduce", "100%", "--source", photos)[0] == 0
    assert run("reproduce", "out", *words, "--out", "other")[0] == 0  # as the manifest records them
    assert_same_dataset("out", "other")
    assert run("reproduce", "out", *words, "--out", "third", "--limit", "1")[0] == 2


def test_a_mixhq_is_limited_and_gives_the_same_pairs_as_its_photos(run, photos):
    assert run("build-mixhq", "--source", photos, "--out", "mixhq")[0] == 0
    for source, out in (("mixhq", "one"), (photos, "other")):
        words = ["--profile", "linear", "--source", source, "--executor", "serial", "--limit", "2"]
        assert run("dim", *words, "--shards", out)[0] == 0
    assert_same_dataset("one", "other")
    code, _, error = run("dim", "--profile", "linear", "--source", "mixhq", "--shards", "x", "--crop", "64")
    assert code == 2
    assert "--crop is for sources that are scanned" in error
    words = ["--profile", "linear", "--source", "mixhq", "--executor", "serial", "--dry-run", "--shards", "x"]
    for choice in (["--min-lightness", "0.4"], ["--follow-links"]):  # they had no effect
        code, _, error = run("dim", *words, *choice)
        assert code == 2
        assert "is for sources that are scanned: mixhq was made with" in error
    assert run("build-mixhq", "--source", photos, "--out", "bright", "--min-lightness", "0.3")[0] == 0
    words[words.index("mixhq")] = "bright"
    assert run("dim", *words, "--min-lightness", "0.3")[0] == 0
