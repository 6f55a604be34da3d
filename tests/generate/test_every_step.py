"""Commands that are killed at each single step of their writing, one step after the other.

`make test-faults` kills the run that goes on as well, at a step drawn from a seed.
"""

import hashlib
import os
import random
from collections.abc import Callable

import pytest

from dimmagen.cli import cli
from dimmagen.generate import plan
from tests.dataset_helpers import make, write_photos

COMMANDS = {
    "dim": "dim --profile linear --source photos --shards OUT --executor serial --variants 2 "
    "--samples-per-shard 2",
    "build-mixhq": "build-mixhq --source folder=photos --out OUT --samples-per-shard 2",
    "subset": "subset shards --out OUT --min-side 1",
    "export": "export shards --layout lol-v1 --out OUT",
}
TWICE = int(os.environ.get("DIMMAGEN_KILLS", "0")) >= 200
# What these commands do to a local folder goes through these.
STEPS = ("fsync", "replace", "remove", "unlink", "rmdir", "mkdir", "link", "open")
KILLED = 77


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with photos and a data set of them; nothing in its path that an export objects to."""
    folder = tmp_path_factory.mktemp("stepped")
    make(write_photos(folder / "photos", 3), folder / "shards", samples_per_shard=2)
    return folder


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Do the work in a process that ends before its n-th step, untidily; whether it came to that."""
    child = os.fork()
    if child == 0:
        try:
            steps = iter(range(1, step))

            def pluralize(function):
                def wrapper(*arguments, **keywords):
                    if next(steps, None) is None:
                        os._exit(KILLED)
                    return function(*arguments, **keywords)

                return wrapper

            for name in STEPS:
                setattr(os, name, pluralize(getattr(os, name)))
            work()
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, KILLED)
    return code == KILLED


def files(out):
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.rglob("*")
        if path.is_file()
    }


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_killed_at_any_step_it_ends_with_the_bytes_of_an_undisturbed_run(command, place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setattr(plan, "_JOBS_A_WORKER", 1)  # both variants of two photos are made at once

    def run(out):
        words = COMMANDS[command].replace("OUT", out.name).split()
        cli.main(words, prog_name="dimmagen", standalone_mode=False)

    whole, chance, step = place / f"{command}-whole", random.Random(command), 1
    run(whole)
    while True:
        out = place / f"{command}-{step}"
        if not killed_at(step, lambda: run(out)):  # noqa: B023 - called before out changes
            break
        if TWICE:
            killed_at(chance.randint(1, 100), lambda: run(out))  # noqa: B023
        run(out)
        assert files(out) == files(whole), step
        step += 1
    assert step > 20
