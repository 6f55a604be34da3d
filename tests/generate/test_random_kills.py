"""Every command that writes for a long time, killed at random moments: its output is that of an undisturbed
run.

`DIMMAGEN_KILLS` is the total number of kills; `make test-faults` sets it to 200.
"""

import os
import random
import shutil
import signal
import time

import pytest

from tests.dataset_helpers import file_hashes, make, write_photos
from tests.killing import files_below, kill, start, wait_for

COMMANDS = {
    "dim": "dim --profile lol3 --source photos --shards OUT --executor serial --variants 6 "
    "--samples-per-shard 2",
    "build-mixhq": "build-mixhq --source folder=photos --out OUT --samples-per-shard 2",
    "export": "export shards --layout lol-v1 --out OUT",
    "train": "train --data shards --out OUT --iterations 12 --perceptual none --crop 32 --validate-every 2 "
    "--checkpoint-every 1 --validation-photos 2",
}
KILLS = int(os.environ.get("DIMMAGEN_KILLS", "8")) // len(COMMANDS)
FEWER = {"train": 1} if KILLS == 2 else {}  # each of its processes takes seconds to begin
# The log of a training run has times in it; its results are the checkpoint and the network.
IGNORED = ("log.csv",)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with photos and a data set of them; nothing in its path that an export rejects."""
    folder = tmp_path_factory.mktemp("killed")
    make(write_photos(folder / "photos", 8), folder / "shards", variants=2)
    return folder


def wait_until_written(out, run):
    """Until the run has made its first file, or has ended; returns the time."""
    wait_for(lambda: bool(files_below(out)), run)
    return time.monotonic()


@pytest.mark.needs("fork", "signals")
@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_killed_again_and_again_it_ends_with_the_bytes_of_an_undisturbed_run(command, place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    whole, out, log = place / f"{command}-whole", place / f"{command}-out", place / f"{command}.txt"

    def begin(to):
        return start(*COMMANDS[command].replace("OUT", to.name).split(), log=log)

    run = begin(whole)
    began = wait_until_written(whole, run)
    assert run.wait() == 0, log.read_text()
    seconds, expected = time.monotonic() - began, file_hashes(whole, IGNORED)
    chance, kills = random.Random(command), 0
    while kills < FEWER.get(command, KILLS):
        run = begin(out)
        wait_until_written(out, run)
        moment = time.monotonic() + chance.uniform(0, seconds)
        wait_for(lambda: time.monotonic() >= moment, run)  # noqa: B023 - called before moment changes
        kill(run.pid)  # it may just have ended by itself
        if run.wait() == -signal.SIGKILL:
            kills += 1
        else:
            assert run.returncode == 0, log.read_text()
            assert file_hashes(out, IGNORED) == expected
            shutil.rmtree(out)
    run = begin(out)
    assert run.wait() == 0, log.read_text()
    assert file_hashes(out, IGNORED) == expected
