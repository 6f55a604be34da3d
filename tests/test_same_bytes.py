"""`make same-bytes`: equal code passes, and a change of the code that reaches a byte is found."""

import shutil

import pytest

from dimmagen.enhance import provenance
from pipelines import same_bytes
from pipelines.same_bytes import ROOT, NotTheSameError, differences, make_sets

SETS = {"linear": "dim --source sample --profile linear --executor serial --shards linear"}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A data set made with the code as it is."""
    folder = tmp_path_factory.mktemp("same_bytes") / "base"
    make_sets(ROOT, folder, folder, SETS)
    return folder


@pytest.fixture
def copy(base, tmp_path):
    """A copy of it that a test may change."""
    return shutil.copytree(base, tmp_path / "copy")


def test_equal_files_are_no_difference_and_all_of_them_are_counted(base, copy):
    assert [*differences(base, copy)] == []
    listed = [path for path in copy.rglob("*") if path.is_file()]
    assert same_bytes.count_files(copy) == len(listed) > 5


def test_a_byte_that_moved_is_named_with_its_file_and_what_differs_first(base, copy):
    tar = copy / "linear" / "shards" / "train-00000.tar"
    content = bytearray(tar.read_bytes())
    content[600] ^= 1
    tar.write_bytes(content)
    lines = [*differences(base, copy)]
    assert lines[0] == "linear/shards/train-00000.tar has other bytes"
    assert "are different data sets" in lines[1]


def test_a_file_that_is_new_or_missing_is_named_and_lmdbs_lock_is_not_compared(base, copy):
    (copy / "linear" / "croissant.json").unlink()
    (copy / "linear" / "extra.txt").write_text("new")
    (copy / "lock.mdb").write_text("process ids")
    lines = [*differences(base, copy)]
    assert lines[:2] == ["linear/croissant.json is missing now", "linear/extra.txt is new"]
    assert not any("lock.mdb" in line for line in lines)


def test_the_commit_that_a_network_records_is_no_difference(tmp_path, monkeypatch):
    for name, value in same_bytes._environment(ROOT, tmp_path).items():
        monkeypatch.setenv(name, value)
    assert provenance._of_repository(ROOT) == ""


def test_code_that_writes_other_bytes_is_found(base, tmp_path):
    tree = tmp_path / "tree"
    shutil.copytree(ROOT / "dimmagen", tree / "dimmagen", ignore=shutil.ignore_patterns("__pycache__"))
    with (tree / "dimmagen" / "core" / "keyed_random.py").open("a") as code:
        code.write("\n_right = uniform\n\n\ndef uniform(*key):\n    return 1 - _right(*key)\n")
    make_sets(tree, tmp_path / "head", tmp_path, SETS)
    found = [*differences(base, tmp_path / "head")]
    assert "linear/shards/train-00000.tar has other bytes" in found
    assert "first in its draws: gamma" in found[-1]


def test_a_tree_whose_code_is_not_the_one_that_is_loaded_is_refused(tmp_path):
    with pytest.raises(NotTheSameError, match="was loaded instead of the code in"):
        make_sets(tmp_path, tmp_path / "made", tmp_path, SETS)


def test_a_command_that_fails_is_an_error_with_its_message(tmp_path):
    with pytest.raises(NotTheSameError, match=r"(?s)verify nowhere failed.*nowhere"):
        make_sets(ROOT, tmp_path / "made", tmp_path, {"none": "verify nowhere"})


@pytest.mark.slow
def test_runs_that_were_begun_are_continued_to_the_bytes_of_a_whole_run(tmp_path, monkeypatch):
    monkeypatch.setattr(same_bytes, "_DIM", f"{same_bytes._DIM} --limit 2")
    inputs = same_bytes.make_inputs(tmp_path / "inputs")
    (tmp_path / "made").mkdir()
    same_bytes.continue_runs(ROOT, ROOT, tmp_path / "made", inputs)
    for name in ("grown", "resumed"):
        assert [*differences(tmp_path / "made" / "whole", tmp_path / "made" / name)] == []
    assert same_bytes.count_files(tmp_path / "made" / "whole") > 2 * 6  # six shards, each with its table
