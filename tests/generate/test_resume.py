"""Runs that discard, continue or complete what another run left, wherever it was killed.

No shard remains of a data set that another run discards.
"""

import itertools
import json
import os
import shutil

import pytest

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.lock import STATE
from dimmagen.dataset.compare import assert_same_dataset
from dimmagen.dataset.verify import verify_dataset
from dimmagen.generate.pair import PairSettings
from dimmagen.generate.resume import DatasetFolder
from dimmagen.generate.run import refuse_early
from dimmagen.generate.run_plan import plan_dataset
from tests.dataset_helpers import build_dimmer, make
from tests.killing import KILLED, is_killed, killed_at
from tests.tiny_set import Noted, make_tiny, tiny_lights

OLD, NEW = ({"seed": seed, "samples_per_shard": 1} for seed in (7, 0))


@pytest.fixture(scope="module")
def lights(tmp_path_factory):
    return tiny_lights(tmp_path_factory.mktemp("lights"), 2)


@pytest.fixture(scope="module")
def folder(lights, tmp_path_factory):
    """The old run's data set (finished, and stopped after one shard) and the new run's data set."""
    folder = tmp_path_factory.mktemp("resumed")
    make_tiny(lights, folder / "finished", **OLD)
    with pytest.raises(KeyboardInterrupt):
        make_tiny(lights, folder / "stopped", progress=Noted(stop_after=1), **OLD)
    make_tiny(lights, folder / "undisturbed", **NEW)
    return folder


def run_of(lights, settings):
    return plan_dataset(lights, build_dimmer, PairSettings(**settings)).run


@pytest.mark.parametrize("removed", ["run.json", "records/train-00000.json"])
def test_a_folder_that_another_run_finishes_meanwhile_is_no_mistake(removed, folder, tmp_path, monkeypatch):
    out = shutil.copytree(folder / "stopped", tmp_path / "out")
    read_json = storage.read_json

    def read(path):
        if str(path).endswith(removed):
            os.remove(path)
        return read_json(path)

    monkeypatch.setattr(storage, "read_json", read)
    refuse_early(str(out), PairSettings(**OLD), "if-possible")
    assert not (out / STATE / removed).exists()


@pytest.mark.needs("fork")
@pytest.mark.parametrize("left", ["finished", "stopped"])
@pytest.mark.parametrize("resume", ["if-possible", "always", "never"])
def test_a_run_that_is_killed_just_after_noting_its_settings_takes_no_shard_of_the_other_run(
    left, resume, lights, folder, tmp_path
):
    out = shutil.copytree(folder / left, tmp_path / "out")
    atomic_write = storage.atomic_write

    def write_and_end(path, data):
        atomic_write(path, data)
        os._exit(KILLED)

    def work():
        storage.atomic_write = write_and_end
        make_tiny(lights, out, resume="never", **NEW)

    assert is_killed(work)
    assert DatasetFolder(str(out)).is_begun(run_of(lights, NEW))
    assert list((out / "shards").iterdir()), "the other run's shards are still there"
    make_tiny(lights, out, resume=resume, **NEW)
    assert_same_dataset(folder / "undisturbed", out)


@pytest.mark.needs("fork")
@pytest.mark.parametrize("left", ["finished", "stopped"])
def test_a_run_that_is_killed_while_it_discards_another_one_is_resumed_to_the_same_bytes(
    left, lights, folder, tmp_path
):
    old, new = run_of(lights, OLD), run_of(lights, NEW)
    shards = {path.stem for path in (folder / left / "shards").iterdir()}
    noted = []
    for step in itertools.count(1):
        out = shutil.copytree(folder / left, tmp_path / str(step))
        state = DatasetFolder(str(out))
        if not killed_at(step, lambda: state.begin(new, {})):  # noqa: B023 - called before it changes
            break
        noted.append(state.is_begun(new))
        if noted[-1]:
            assert state.complete_shards(new, "if-possible") == {}
            assert state.complete_shards(old, "if-possible") == {}
        else:
            assert state.complete_shards(old, "if-possible").keys() == shards
            with pytest.raises(UsageError, match="seed"):
                state.complete_shards(new, "if-possible")
        make_tiny(lights, out, resume="if-possible" if noted[-1] else "never", **NEW)
        assert_same_dataset(folder / "undisturbed", out)
    assert noted == sorted(noted), "once the settings are noted they stay"
    assert {False, True} == set(noted)


@pytest.mark.needs("fork")
def test_a_run_that_adds_variants_and_is_killed_at_any_step_of_its_beginning_keeps_every_shard(
    lights, folder, tmp_path
):
    grown = {**OLD, "variants": 2}
    new = run_of(lights, grown)
    make_tiny(lights, tmp_path / "whole", **grown)
    for step in itertools.count(1):
        out = shutil.copytree(folder / "finished", tmp_path / str(step))
        state = DatasetFolder(str(out))
        complete = state.complete_shards(new, "if-possible")
        if not killed_at(step, lambda: state.begin(new, complete)):  # noqa: B023 - called before it changes
            break
        assert state.complete_shards(new, "if-possible") == complete
        make_tiny(lights, out, resume="always", **grown)
        assert_same_dataset(tmp_path / "whole", out)
    assert len(complete) == 2
    assert step > 20


@pytest.mark.parametrize("lost", ["settings", "environment"])
def test_a_note_of_a_run_that_lacks_a_half_is_refused_and_left_as_it_is(lost, lights, folder, tmp_path):
    out = shutil.copytree(folder / "stopped", tmp_path / "out")
    path = out / ".dimmagen/run.json"
    note = json.loads(path.read_text())
    assert path.read_text() == json.dumps(note, indent=1)
    for broken in ({**note, lost: None}, {name: value for name, value in note.items() if name != lost}):
        path.write_text(json.dumps(broken))
        for resume in ("if-possible", "always", "never"):
            with pytest.raises(DimmagenError, match=r"run\.json"):
                make_tiny(lights, out, resume=resume, **OLD)
        assert json.loads(path.read_text()) == broken
        assert len(list((out / "shards").iterdir())) == 1


@pytest.mark.parametrize("resume", ["if-possible", "never"])
@pytest.mark.parametrize(
    "name",
    [
        "shards/notes.txt",
        "metadata/mine.parquet",
        "shards/old/a.tar",
        "rejected/why.md",
        "shards/train-1.tar",
    ],
)
def test_a_file_of_someone_else_among_the_shards_is_refused_before_anything_is_touched(
    name, resume, pair_set, tmp_path
):
    photos = pair_set.parent / "photos"
    out = shutil.copytree(pair_set, tmp_path / "out")
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).write_text("mine")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match="is not a file of the data set, and would be removed"):
        make(photos, out, variants=3, resume=resume)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    (out / name).rename(tmp_path / "moved")
    if name.startswith("shards/old"):
        (out / "shards/old").rmdir()
    make(photos, out, variants=3, resume=resume)
    assert verify_dataset(str(out)).faults == []
