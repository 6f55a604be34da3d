"""Signals that ask a command to end, at random moments of it: one exit code, one line, nothing half-written.

`DIMMAGEN_ATTACKS` is the number of signals for each command; `make test-attacks` sets it.
"""

import os
import random
import re
import shutil
import signal
import time
from pathlib import Path

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
# Commands whose processes take seconds to begin: `make test` sends them one signal.
LONG_TO_BEGIN = ("dim-ray", "train")


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


def is_set_up(run):
    """Whether a command handles the signals: before, it has done nothing that could be lost."""
    status = Path(f"/proc/{run.pid}/status").read_text()
    handled = int(re.search(r"^SigCgt:\s*(\w+)", status, re.MULTILINE)[1], 16)
    return all(handled >> getattr(signal, name) - 1 & 1 for name in SIGNALS)


@pytest.mark.needs("fork", "proc", "signals")
@pytest.mark.parametrize("command", list(_parameters()))
def test_a_signal_at_any_moment_ends_it_in_one_way(command, place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    whole, out, log = place / f"{command}-whole", place / f"{command}-out", place / f"{command}.txt"

    def begin(to):
        run = start(*COMMANDS[command].replace("OUT", to.name).split(), log=log)
        wait_for(lambda: is_set_up(run), run)
        return run

    run = begin(whole)
    began = time.monotonic()
    assert run.wait() == 0, log.read_text()
    seconds, expected = time.monotonic() - began, file_hashes(whole, ("log.csv",))
    count = 1 if COUNT == 3 and command in LONG_TO_BEGIN else COUNT
    chance, odd = random.Random(f"{command} {count}"), []
    for number in range(count):
        sent = getattr(signal, SIGNALS[number % len(SIGNALS)])
        run = begin(out)
        moment = time.monotonic() + chance.uniform(0, max(seconds, 1.5))
        wait_for(lambda: time.monotonic() >= moment, run)  # noqa: B023 - called before moment changes
        to_group = chance.random() < 0.5  # as a terminal and a batch system do; the other is `kill`
        if run.poll() is None:
            (os.killpg if to_group else os.kill)(run.pid, sent)
        code, text = run.wait(timeout=600), log.read_text()
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
    assert not odd, f"{len(odd)} of {count}:\n" + "\n".join(odd)
    run = begin(out)
    assert run.wait() == 0, log.read_text()
    assert file_hashes(out, ("log.csv",)) == expected
