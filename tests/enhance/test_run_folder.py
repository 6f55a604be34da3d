"""The folder of a training run: which run it holds, what may be discarded, and what is left alone."""

import re
import shutil

import pytest

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.lock import exclusive
from dimmagen.enhance.checkpoints import BEST, CHECKPOINT
from dimmagen.enhance.run_folder import LOG, RunFolder


def test_a_run_that_is_discarded_takes_its_pictures_along_and_nobody_else_s(tmp_path):
    def run_with_pictures(name):
        folder = RunFolder(tmp_path / name)
        (folder.path / "validation").mkdir(parents=True)
        for picture in ("20.png", "mine.png"):
            (folder.path / "validation" / picture).touch()
        return folder

    def left(folder):
        return {path.name for path in (folder.path / "validation").iterdir()}

    new = run_with_pictures("new")
    new.begin({}, "if-possible")
    assert left(new) == {"20.png", "mine.png"}
    (new.path / LOG).write_text("iteration\n1,\n")
    new.begin({"other": 1}, "never")
    assert left(new) == {"mine.png"}


def test_what_made_a_run_is_recorded_and_may_change(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin({"seed": 1}, "if-possible", {"commit": "a"})
    (folder.path / LOG).write_text("iteration\n1,\n")
    folder.begin({"seed": 1}, "if-possible", {"commit": "b"})
    assert folder.settings() == {"seed": 1}
    with pytest.raises(UsageError, match="seed was 1, is 2"):
        folder.begin({"seed": 2}, "if-possible", {"commit": "a"})


@pytest.mark.parametrize("rows", ["", "1,0.5\n"], ids=["begun", "resumed"])
def test_half_written_files_of_a_killed_run_go_and_those_of_others_stay(rows, tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.begin({"iterations": 3}, "if-possible")
    (folder.path / LOG).write_text(f"iteration,loss\n{rows}")
    (folder.path / "validation").mkdir()
    half = (".checkpoint.safetensors.a2070a64.1076.tmp", "validation/.0001.png.a2070a64.1076.tmp")
    for name in (*half, ".notes.2024.tmp"):
        (folder.path / name).write_bytes(b"half")
    folder.begin({"iterations": 3}, "if-possible")
    assert [name for name in half if (folder.path / name).exists()] == []
    assert (folder.path / ".notes.2024.tmp").exists()


@pytest.mark.parametrize("resume", ["if-possible", "never"])
@pytest.mark.parametrize(
    ("name", "content"),
    [("run.json", '{"mine": 1}'), ("log.csv", "my,own,log\n"), (CHECKPOINT, "mine"), (BEST, "mine")],
)
def test_files_of_something_else_are_refused_and_left_alone(tmp_path, name, content, resume):
    (tmp_path / name).write_text(content)
    with pytest.raises(UsageError, match=re.escape(name)):
        RunFolder(tmp_path).begin({"iterations": 3}, resume)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {name: content}


def test_nothing_is_saved_in_a_folder_that_goes_away_while_it_is_trained(tmp_path):
    """It would be made again, and look like a trained network without its settings and its log."""
    folder = RunFolder(tmp_path / "run")
    gone = pytest.raises(DimmagenError, match="run was removed or moved while it was written to")
    with gone, exclusive(str(folder.path)):
        shutil.rmtree(folder.path)
        folder.save(BEST, {}, {})
    assert not folder.path.exists()
