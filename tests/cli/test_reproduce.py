"""`replay`, `verify --reproduce` and `reproduce` as a user types them."""

import importlib
import json
import os
import shutil

import pytest

from dimmagen import assert_same_dataset
from dimmagen.cli.messages import end_lost_run
from dimmagen.core.errors import UsageError
from dimmagen.dataset.reader import open_pairs
from dimmagen.dimmers.closed_form import LinearModel
from dimmagen.generate.execution import Execution
from tests.commands import exit_code, run_command
from tests.dataset_helpers import write_photos

reproduce_command = importlib.import_module("dimmagen.cli.reproduce")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reproduced")
    write_photos(folder / "photos", 4)
    places = ["--source", str(folder / "photos"), "--shards", str(folder / "out")]
    assert exit_code("dim", "--profile", "linear", "--variants", "2", "--executor", "serial", *places) == 0
    return folder


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code, out, err = run_command(capsys, *arguments)
        return code, out + err

    return run


@pytest.fixture
def other_dimmer(monkeypatch):
    """This machine dims otherwise than the one that made the data set."""
    dim = LinearModel.dim
    monkeypatch.setattr(LinearModel, "dim", lambda self, light, draw: dim(self, light, draw) // 2)


@pytest.fixture
def key(folder):
    return open_pairs(folder / "out").row(3)["key"]


def test_one_pair_is_identical(run, folder, key):
    code, output = run("replay", key, "--data", folder / "out")
    assert code == 0
    assert f"{key} is identical" in output
    assert run("replay", key, "--data", folder / "out", "--source", folder / "photos") == (code, output)


def test_a_data_set_is_given_first_or_by_its_option_alike_to_replay_and_peek(run, folder, key):
    out = folder / "out"
    for command in ("replay", "peek"):
        first = run(command, out, key)
        assert first[0] == 0
        assert run(command, key, "--data", out) == run(command, "--data", out, key) == first
        code, output = run(command, out, key, "--data", out)
        assert (code, "given twice" in output) == (2, True)
        code, output = run(command)
        assert (code, "DATASET is missing" in output) == (2, True)
    assert run("peek", "--data", out) == run("peek", out)
    code, output = run("replay", "--data", out)
    assert (code, "KEY is missing" in output) == (2, True)


def test_a_pair_that_differs_is_reported_by_its_stage_with_exit_code_one(run, folder, key, other_dimmer):
    code, output = run("replay", key, "--data", folder / "out")
    assert code == 1
    assert f"{key} differs first in its dark pixels" in output
    assert "another class" not in output


def test_another_class_of_machine_is_reported_with_the_difference(
    run, folder, key, other_dimmer, monkeypatch
):
    here = {"device": "cpu", "machine": "riscv64", "processor_features": [], "versions": {}}
    monkeypatch.setattr("dimmagen.generate.run_environment.environment", lambda: here)
    code, output = run("replay", key, "--data", folder / "out")
    assert code == 1
    assert "→ riscv64" in output
    assert "environment.versions.pillow" in output


def test_a_missing_key_is_reported_with_the_likely_ones(run, folder, key):
    light_key = key.removesuffix("-v0").removesuffix("-v1")
    code, output = run("replay", light_key, "--data", folder / "out")
    assert code == 2
    assert f"{light_key}-v0, {light_key}-v1" in output
    assert run("replay", "nonsense", "--data", folder / "out")[0] == 2
    assert run("replay", key, "--data", folder / "nowhere")[0] == 2
    assert run("replay", key, "--data", folder / "out", "--profile", "nowhere")[0] == 2


@pytest.mark.parametrize(("share", "pairs"), [("1%", 1), ("50%", 4), ("100", 8)])
def test_verify_reproduces_a_share_of_the_pairs(run, folder, share, pairs):
    code, output = run("verify", folder / "out", "--reproduce", share, "--source", folder / "photos")
    assert code == 0
    assert f"{pairs} of 8 pairs were made again and are identical" in output


def test_verify_names_the_pairs_that_cannot_be_made_again(run, folder, key, other_dimmer):
    assert run("verify", folder / "out")[0] == 0
    code, output = run("verify", folder / "out", "--reproduce", "100%")
    assert code == 1
    assert f"{key}: its dark pixels differ" in output
    assert "8 faults" in output


@pytest.mark.parametrize("share", ["0", "101%", "-1", "some", "nan", "inf"])
def test_an_invalid_share_is_refused(run, folder, share):
    assert run("verify", folder / "out", "--reproduce", share)[0] == 2


def reproduce(run, folder, out, *more):
    places = ["--source", folder / "photos", "--shards", out]
    return run("reproduce", folder / "out/manifest.json", *places, "--executor", "serial", *more)


def test_a_whole_set_is_made_again_from_its_manifest_alone(run, folder, tmp_path):
    code, output = reproduce(run, folder, "again")
    assert code == 0
    assert "again is identical" in output
    assert "8 pairs" in output
    assert_same_dataset(folder / "out", tmp_path / "again")


def test_a_data_set_that_differs_is_reported_by_stage_and_file(run, folder, other_dimmer):
    code, output = reproduce(run, folder, "other")
    assert code == 1
    assert "8 pairs differ first in their dark pixels" in output
    assert "shards/train-00000.tar" in output


def test_without_the_parquet_files_next_to_the_manifest_the_files_are_reported(
    run, folder, other_dimmer, tmp_path
):
    shutil.copy(folder / "out/manifest.json", tmp_path / "manifest.json")
    places = ["--source", folder / "photos", "--shards", "other", "--executor", "serial"]
    code, output = run("reproduce", "manifest.json", *places)
    assert code == 1
    assert "shards/train-00000.tar" in output
    assert "differ first" not in output


def test_other_photos_are_refused_before_anything_is_made(run, folder, tmp_path):
    write_photos(tmp_path / "photos", 3)
    places = ["--source", tmp_path / "photos", "--shards", "out", "--executor", "serial"]
    code, output = run("reproduce", folder / "out", *places)
    assert code == 2
    assert "lights: 4 → 3" in output
    assert not (tmp_path / "out").exists()


def test_the_choices_among_photos_are_those_of_the_manifest(run, folder, tmp_path):
    """Only the list of photos has to be given again."""
    (tmp_path / "list.txt").write_text("photo00.png\nphoto01.jpg\nphoto02.png\n")
    source = ["--source", folder / "photos", "--executor", "serial"]
    chosen = ["--limit", 2, "--min-lightness", 0.01, "--crop", 256, "--list", "list.txt", "--follow-links"]
    code, output = run("dim", "--profile", "linear", *source, "--shards", "few", *chosen)
    assert code == 0, output
    code, output = run("reproduce", "few", *source, "--out", "again")
    assert code == 2
    assert "was made from the photos of a list" in output
    assert "give the same one by --list" in output
    code, output = run("reproduce", "few", *source, "--out", "again", "--list", "list.txt")
    assert "min lightness 0.01, limit 2, follow links" in output.replace("\n", " ")
    assert (code, "again is identical" in output) == (0, True)
    code, output = run("reproduce", "few", *source, "--out", "other", "--list", "list.txt", "--limit", 1)
    assert code == 2
    assert "was made with --limit 2, not 1" in output
    assert "omit --limit" in output


def test_a_subset_is_refused_because_it_is_made_from_a_data_set(run, folder, tmp_path):
    assert run("subset", folder / "out", "--out", "some", "--gamma", "0:9")[0] == 0
    code, output = run("reproduce", "some", "--source", folder / "photos", "--out", "again")
    assert code == 2
    assert "describes a subset or a merge" in output
    assert not (tmp_path / "again").exists()


def test_an_invalid_or_missing_manifest_is_reported(run, folder, tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"schema_version": 1}))
    assert run("reproduce", "manifest.json", "--source", "sample", "--out", "x")[0] == 1
    assert run("reproduce", "missing.json", "--source", "sample", "--out", "x")[0] == 2


def test_a_set_that_grew_and_lost_photos_is_made_again_from_its_folder(run, folder, tmp_path):
    shutil.copytree(folder / "out", "out")
    write_photos(shutil.copytree(folder / "photos", tmp_path / "photos"), 6)
    (tmp_path / "list.txt").write_text("photo01.jpg\n")
    add = ("dim", "--profile", "linear", "--variants", 2, "--executor", "serial", "--source", "photos")
    assert run(*add, "--out", "out", "--add")[0] == 0
    assert run("remove", "out", "--list", "list.txt")[0] == 0
    again = ("--source", "photos", "--executor", "serial")
    code, output = run("reproduce", "out", *again, "--out", "again")
    assert (code, "again is identical to out: 10 pairs in 4 shards" in output) == (0, True)
    assert_same_dataset("out", "again")
    shutil.copytree("out/metadata", "only/metadata")
    shutil.copytree("out/rejected", "only/rejected")
    shutil.copy("out/manifest.json", "only/manifest.json")
    assert run("reproduce", "only/manifest.json", *again, "--out", "without-shards")[0] == 0
    shutil.rmtree("only/metadata")
    code, output = run("reproduce", "only/manifest.json", *again, "--out", "nothing")
    assert (code, "not which photos were added when" in output) == (2, True)
    assert run("replay", open_pairs("out").row(9)["key"], "--data", "out", "--source", "photos")[0] == 0


def test_what_is_advised_is_what_reproduce_has(run, folder, monkeypatch):
    """`dim` also has --resume and --add."""
    words = ("reproduce", folder / "out", "--source", folder / "photos", "--out", "again")
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    code, output = run(*words)
    assert code == 2
    assert "give --address 10.0.0.1:6379 to use that cluster, unset RAY_ADDRESS" in output
    monkeypatch.delenv("RAY_ADDRESS")
    shutil.copytree(folder / "out", "again")
    other = ("dim", "--profile", "gamma", "--executor", "serial", "--source", folder / "photos")
    assert exit_code(*other, "--shards", "again", "--resume", "never") == 0
    code, output = run(*words)
    assert code == 2
    assert "discard them:  remove the folder" in output
    assert "resume" not in output


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ("--address", "head:6379", "--worker-timeout", 90, "--workers", 3),
            Execution("ray", 3, "head:6379", worker_timeout=90.0, on_cluster_lost=end_lost_run),
        ),
        (
            ("--address", "head:6379", "--device", "cuda", "--threads", 2),
            Execution("ray", None, "head:6379", "cuda", 2, end_lost_run),
        ),
    ],
)
def test_a_set_is_made_again_as_one_is_made(words, expected, run, folder, monkeypatch):
    """On the workers that are asked for, which also scan the photos."""
    asked = {}

    class Again:
        def make(self, out, execution, progress):
            asked.update(execution=execution)
            raise UsageError("far enough")

    def opened(path, sources, **options):
        asked.update(scanning=options["scanning"])
        return Again()

    monkeypatch.setattr(reproduce_command, "open_reproduction", opened)
    code, output = run("reproduce", folder / "out", "--source", "photos", "--out", "again", *words)
    assert (code, "far enough" in output) == (2, True)
    assert asked == {"execution": expected, "scanning": expected.of_index_pass()}


@pytest.mark.needs("links")
def test_a_set_is_not_compared_with_itself(run, folder):
    """Its shards are whole, so none would be made again."""
    os.symlink(folder / "out", "link")
    for original in (folder / "out", folder / "out/manifest.json"):
        for out in (folder / "out", "link", f"file://{folder}/out"):
            code, output = run("reproduce", original, "--source", folder / "none", "--out", out)
            assert code == 2
            assert f"--out {out} is the data set itself: choose another folder" in " ".join(output.split())
    words = ("reproduce", folder / "out", "--source", folder / "photos", "--out", "again")
    assert run(*words)[1].strip().endswith("8 pairs in 2 shards.")
    assert run(*words)[1].strip().endswith("8 pairs in 2 shards (none made now, the others were there).")
