"""What is finished and may only be read: a read-only disk, or the folder of another user."""

import json
import os
import subprocess
import sys

import pytest

from tests.attacks.commands import ROOT
from tests.commands import exit_code
from tests.dataset_helpers import file_hashes, write_photos

DIM = "dim --profile linear --source photos --executor serial"
TRAIN = "train --data out --perceptual none --crop 64 --batch 2 --validation-photos 1"
FINISHED = (
    f"{DIM} --shards out",
    f"{DIM} --shards out --add",
    "build-mixhq --source photos --out mixhq",
    "subset out --out some --min-side 200",
    "export out --layout lol-v1 --out export",
    f"{TRAIN} --iterations 2 --out run",
)
UNFINISHED = (
    (f"{TRAIN} --iterations 2 --resume never --out run", "run"),
    (f"{TRAIN} --iterations 2 --out new", "new"),
    (f"{TRAIN} --iterations 9 --out stopped", "stopped"),
    (f"{DIM} --shards out --variants 2", "out"),
    (f"{DIM} --shards out --resume never", "out"),
    (f"{DIM} --shards empty", "empty"),
    (f"{DIM} --shards new", "new"),
    ("build-mixhq --source photos --out new", "new"),
    ("export out --layout lol-v1 --out empty", "empty"),
)
REMOVALS = ("remove out --list none --ignore-unknown", "remove mixhq --list none --ignore-unknown")
MOUNTS = 'mount --bind . . && mount -o remount,ro,bind . && cd "$PWD" && exec "$@"'
SCRIPT = """
import contextlib, io, json, sys
from tests.commands import exit_code
done = []
for words in json.loads(sys.argv[1]):
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        done.append([exit_code(*words.split()), said.getvalue()])
json.dump(done, sys.stdout)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    write_photos(folder / "photos", 4)
    (folder / "none").write_text("nothing\n")
    (folder / "empty").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words in FINISHED:
            assert exit_code(*words.split()) == 0
        stop_training(folder, patch)
    return folder


def stop_training(folder, patch):
    """A run that was stopped after its first checkpoint."""

    def stop(*_):
        raise KeyboardInterrupt

    with patch.context() as within:
        within.setattr("dimmagen.enhance.log.Log.image", stop)
        words = f"{TRAIN} --iterations 9 --validate-every 2 --checkpoint-every 1 --out stopped"
        assert exit_code(*words.split()) == 130
    assert (folder / "stopped/checkpoint.safetensors").is_file()


def outcomes(place, before, words):
    """Exit codes and texts of several commands of one process, for which the folder is read-only."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    command = [*before, sys.executable, "-c", SCRIPT, json.dumps(words)]
    run = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=900)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def check(place, before):
    hashes = file_hashes(place)
    for words, (code, text) in zip(FINISHED, outcomes(place, before, FINISHED), strict=True):
        assert code == 0, f"{words}: {text}"
        assert "cannot be" not in text, words
    unfinished = outcomes(place, before, [words for words, _ in UNFINISHED])
    for (words, folder), (code, text) in zip(UNFINISHED, unfinished, strict=True):
        assert code == 2, f"{words}: {text}"
        assert f"{folder} cannot be written to: " in text, words
    for code, text in outcomes(place, before, REMOVALS):
        assert code == 0, text
        assert "Nothing to remove" in text
    assert file_hashes(place) == hashes


@pytest.mark.slow
@pytest.mark.needs("mounts")
def test_what_is_finished_on_a_read_only_disk_is_told_as_finished(place):
    check(place, ["unshare", "--mount", "sh", "-c", MOUNTS, "sh"])


@pytest.mark.slow
@pytest.mark.needs("root", "setpriv")
def test_what_is_finished_in_the_folder_of_another_user_is_told_as_finished(place):
    folders = [place, *(path for path in place.rglob("*") if path.is_dir())]
    modes = [(path, path.stat().st_mode) for path in folders]
    try:
        for path, _ in modes:
            path.chmod(0o555)
        check(place, ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"])
    finally:
        for path, mode in modes:
            path.chmod(mode)
