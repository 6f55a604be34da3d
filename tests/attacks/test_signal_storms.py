"""Signals that ask a command to end, at random moments of it: one exit code, one line, nothing half-written.

`DIMMAGEN_ATTACKS` is the number of signals for each command; `make test-attacks` sets it.
"""

import os
import random
import shutil
import signal
import time

import pytest

from tests.dataset_helpers import file_hashes, make, write_photos
from tests.killing import start, wait_for

COUNT = int(os.environ.get("DIMMAGEN_ATTACKS", "3"))
_DIM = "dim --profile linear --source photos --shards OUT --variants 6 --samples-per-shard 3 --workers 2"
COMMANDS = {
    "dim": f"{_DIM} --executor serial",
    "dim-ray": f"{_DIM} --executor ray",
    "build-mixhq": "build-mixhq --source folder=photos --out OUT --samples-per-shard 2",
    "export": "export shards --layout lol-v1 --out OUT",
    "train": "train --data shards --out OUT --iterations 12 --perceptual none --crop 32 --validate-every 2 "
    "--checkpoint-every 1 --validation-photos 2",
}
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
# A process that is asked to end before Python has set anything up has done nothing that could be lost.
_SET_UP_SECONDS = 1.5


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stopped")
    make(write_photos(folder / "photos", 8), folder / "shards", variants=2)
    return folder


def _parameters():
    for command in COMMANDS:
        marks = [pytest.mark.slow]
        if command == "dim-ray":
            marks += [pytest.mark.ray, pytest.mark.xdist_group("ray")]
        yield pytest.param(command, id=command, marks=marks)


@pytest.mark.needs("fork", "signals")
@pytest.mark.parametrize("command", list(_parameters()))
def test_a_signal_at_any_moment_ends_it_in_one_way(command, place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    whole, out, log = place / f"{command}-whole", place / f"{command}-out", place / f"{command}.txt"

    def begin(to):
        return start(*COMMANDS[command].replace("OUT", to.name).split(), log=log)

    began = time.monotonic()
    run = begin(whole)
    assert run.wait() == 0, log.read_text()
    seconds, expected = time.monotonic() - began, file_hashes(whole, ("log.csv",))
    chance, odd = random.Random(f"{command} {COUNT}"), []
    for number in range(COUNT):
        sent = getattr(signal, SIGNALS[number % len(SIGNALS)])
        run = begin(out)
        moment = time.monotonic() + chance.uniform(_SET_UP_SECONDS, max(seconds, 2 * _SET_UP_SECONDS))
        wait_for(lambda: time.monotonic() >= moment, run)  # noqa: B023 - called before moment changes
        to_group = chance.random() < 0.5  # as a terminal and a batch system do; the other is `kill`
        if run.poll() is None:
            (os.killpg if to_group else os.kill)(run.pid, sent)
        code, text = run.wait(timeout=300), log.read_text()
        what = f"{sent.name}{' to the group' if to_group else ''}, exit {code}: {text}"
        if code == 0:  # it had ended
            if file_hashes(out, ("log.csv",)) != expected:
                odd.append(what)
            shutil.rmtree(out)
        elif (
            code != 128 + sent
            or text.count("run the same command again to resume") != 1
            or "Traceback" in text
            or "Fatal" in text
            or (out.exists() and any(out.rglob("*.tmp")))
        ):
            odd.append(what)
    assert not odd, f"{len(odd)} of {COUNT}:\n" + "\n".join(odd)
    run = begin(out)
    assert run.wait() == 0, log.read_text()
    assert file_hashes(out, ("log.csv",)) == expected
