"""Commands that are killed at every single step of their writing.

`make test-faults` also kills the resumed run, at a step drawn from a seed.
"""

import os
import random

import pytest

from dimmagen.cli import cli
from dimmagen.generate import plan
from tests.dataset_helpers import file_hashes, make, write_photos
from tests.killing import killed_at

COMMANDS = {
    "dim": "dim --profile linear --source photos --shards OUT --executor serial --variants 2 "
    "--samples-per-shard 2",
    "build-mixhq": "build-mixhq --source folder=photos --out OUT --samples-per-shard 2",
    "subset": "subset shards --out OUT --min-side 1",
    "export": "export shards --layout lol-v1 --out OUT",
}
TWICE = int(os.environ.get("DIMMAGEN_KILLS", "0")) >= 200


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with photos and a data set of them; nothing in its path that an export rejects."""
    folder = tmp_path_factory.mktemp("stepped")
    make(write_photos(folder / "photos", 3), folder / "shards", samples_per_shard=2)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_killed_at_any_step_it_ends_with_the_bytes_of_an_undisturbed_run(command, place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setattr(plan, "_JOBS_PER_WORKER", 1)  # both variants of two photos are made at once

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
        assert file_hashes(out) == file_hashes(whole), step
        step += 1
    assert step > 20
