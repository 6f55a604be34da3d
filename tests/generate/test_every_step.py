"""Commands that are killed at the steps of their writing, each of which takes two runs.

`make test` kills at every third to sixth step; `make test-faults` at each, and also the resumed run, at a
step drawn from a seed.
"""

import random
import shutil

import pytest

from dimmagen import build_mixhq
from dimmagen.cli import cli
from dimmagen.dataset.reader import open_pairs
from dimmagen.dataset.verify import verify_dataset
from dimmagen.generate import plan
from dimmagen.sources.light_image import load_light_image
from dimmagen.sources.light_images import open_light_images
from tests.dataset_helpers import file_hashes, make, write_photos
from tests.killing import THOROUGH, killed_at

COMMANDS = {
    "dim": "dim --profile linear --source photos --shards OUT --executor serial --variants 2 "
    "--samples-per-shard 2",
    "build-mixhq": "build-mixhq --source folder=photos --out OUT --samples-per-shard 2",
    "subset": "subset shards --out OUT --min-side 1",
    "export": "export shards --layout lol-v1 --out OUT",
}
# What changes a finished set, which is what it was until it is what it will be.
CHANGES = {
    "dim-add": "dim --profile linear --source more --out OUT --executor serial --variants 2 "
    "--samples-per-shard 2 --light-format same --add",
    "remove": "remove OUT --list list.txt",
    "build-mixhq-add": "build-mixhq --source folder=more --out OUT --samples-per-shard 2 --add",
    "remove-mixhq": "remove OUT --list list.txt",
}
STRIDES = (1, 1) if THOROUGH else (3, 6)  # any: equal ones would meet the same step of each file


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with photos and a data set of them; nothing in its path that an export rejects."""
    folder = tmp_path_factory.mktemp("stepped")
    make(write_photos(folder / "photos", 3), folder / "shards", samples_per_shard=2)
    make(folder / "photos", folder / "two-variants", samples_per_shard=2, variants=2)
    build_mixhq([str(folder / "photos")], folder / "mixhq", samples_per_shard=2)
    write_photos(folder / "more", 4)
    (folder / "list.txt").write_text("photo01.jpg\ntiny.png\n")
    return folder


@pytest.mark.needs("fork")
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
        if THOROUGH:
            killed_at(chance.randint(1, 100), lambda: run(out))  # noqa: B023
        run(out)
        assert file_hashes(out) == file_hashes(whole), step
        step += chance.randint(*STRIDES)
    assert step > 20


@pytest.mark.needs("fork")
@pytest.mark.slow
@pytest.mark.parametrize("command", CHANGES)
def test_killed_at_any_step_a_set_is_the_old_or_the_new_one_and_the_command_finishes_it(
    command, place, monkeypatch
):
    monkeypatch.chdir(place)
    base = place / ("mixhq" if "mixhq" in command else "two-variants")

    def run(out):
        words = CHANGES[command].replace("OUT", out.name).split()
        cli.main(words, prog_name="dimmagen", standalone_mode=False)

    whole, chance, step = shutil.copytree(base, place / f"{command}-whole"), random.Random(command), 1
    run(whole)
    manifests = [(path / "manifest.json").read_bytes() for path in (base, whole)]
    assert manifests[0] != manifests[1]
    while True:
        out = shutil.copytree(base, place / f"{command}-{step}")
        if not killed_at(step, lambda: run(out)):  # noqa: B023 - called before out changes
            break
        assert (out / "manifest.json").read_bytes() in manifests, step
        _read(out, step)
        if THOROUGH:
            killed_at(chance.randint(1, 100), lambda: run(out))  # noqa: B023
            _read(out, step)
        run(out)
        assert file_hashes(out) == file_hashes(whole), step
        step += chance.randint(*STRIDES)
    assert step > 20


def _read(out, step):
    """Read everything that the manifest of a set names."""
    if (out / "catalog").exists():
        assert [load_light_image(ref) for ref in open_light_images([str(out)])], step
        return
    pairs = open_pairs(out)
    for row in pairs.rows():
        pairs.images(row)
    is_published = "removed" in pairs.manifest.settings or pairs.manifest.counts.lights == 4
    faults = [str(fault) for fault in verify_dataset(str(out)).faults]
    if not is_published:  # afterwards the files of the old one may be there still
        assert faults == [], step
