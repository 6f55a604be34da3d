"""Runs whose notes, storage or cleaning up fail: what is told, and that the advice leads on."""

import errno
import os
import shutil
import threading
from contextlib import nullcontext
from dataclasses import replace

import pytest

from dimmagen.core import storage
from dimmagen.core.errors import UnavailableError
from dimmagen.core.lock import STATE
from dimmagen.dataset.manifest import Manifest
from dimmagen.dataset.verify import verify_dataset
from dimmagen.generate.removing import remove_from_dataset
from dimmagen.generate.resume import DatasetFolder
from tests.dataset_helpers import refused
from tests.tiny_set import Noted, make_tiny, tiny_lights

NEW = {"seed": 0, "samples_per_shard": 1}


@pytest.fixture(scope="module")
def lights(tmp_path_factory):
    return tiny_lights(tmp_path_factory.mktemp("lights"), 2)


@pytest.mark.parametrize("is_stopped", [True, False])
def test_the_advice_about_damaged_notes_of_a_run_leads_on(is_stopped, lights, tmp_path):
    """Of a run that was stopped, nothing but its notes says what is in the folder."""
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt) if is_stopped else nullcontext():
        make_tiny(lights, out, Noted(stop_after=1 if is_stopped else 10**9), **NEW)
    note = out / STATE / "run.json"
    note.parent.mkdir(exist_ok=True)
    note.write_text("{")
    error = refused(make_tiny, lights, out, **NEW)
    assert (error.code, error.fields) == ("damaged", {"path": str(note)})
    advice = "remove the folder " + (
        f"{out} and run the same command again" if is_stopped else f"{out}/{STATE}"
    )
    assert error.todo == advice
    shutil.rmtree(out if is_stopped else out / STATE)
    assert make_tiny(lights, out, **NEW).counts.pairs == 2


def test_the_advice_about_a_damaged_manifest_leads_on(lights, tmp_path):
    out = tmp_path / "out"
    made = make_tiny(lights, out, **NEW)
    (out / "manifest.json").write_text("{")
    error = refused(make_tiny, lights, out, **NEW)
    assert (
        error.todo == "copy the data set again, or remove its folder and run the command again that made it"
    )
    shutil.rmtree(out)
    assert make_tiny(lights, out, **NEW) == made


def test_what_ended_a_run_is_told_also_where_nothing_can_be_removed(lights, tmp_path, monkeypatch):
    class Stop(Noted):
        def shard(self):
            monkeypatch.setattr(DatasetFolder, "remove_unfinished", unreachable)
            raise ValueError("the fault of the run")

    def unreachable(self):
        raise UnavailableError("the place does not answer")

    with pytest.raises(ValueError, match="the fault of the run"):
        make_tiny(lights, tmp_path / "out", Stop(), **NEW)


def test_complete_shards_are_read_several_at_a_time(lights, tmp_path, monkeypatch):
    out = tmp_path / "out"
    make_tiny(lights, out, variants=3, **NEW)
    size_and_sha256, together = storage.size_and_sha256, threading.Barrier(2, timeout=120)

    def read(path):
        if path.endswith(".tar"):
            together.wait()
        return size_and_sha256(path)

    monkeypatch.setattr("dimmagen.generate.resume.processor_count", lambda: 2)
    monkeypatch.setattr(storage, "size_and_sha256", read)
    base = Manifest.load(str(out))
    complete = DatasetFolder(str(out)).complete_shards(base.run, "if-possible")
    assert list(complete.values()) == [entry.shard_record() for entry in base.shards]


@pytest.mark.parametrize("limit", [None, 1])
def test_photos_are_advised_to_be_added_only_where_that_is_possible(limit, lights, tmp_path):
    first = replace(lights, listed=lights.listed[:1], choices={"limit": limit} if limit else {})
    make_tiny(first, tmp_path / "out", **NEW)
    error = refused(make_tiny, lights, tmp_path / "out", **NEW)
    assert error.code == "other-settings"
    assert ("add to them" in error.todo) == (limit is None)
    assert ("one of four" if limit is None else "one of three") in error.todo


@pytest.mark.parametrize(
    ("then", "now", "differs", "can_grow"),
    [
        ({"limit": 2}, {}, "`limit`: 2 → not set", False),
        ({}, {"limit": 2}, "`limit`: not set → 2", False),
        ({"limit": 2}, {"limit": 4}, "`limit`: 2 → 4", False),
        ({"limit": 2}, {"limit": 2}, "", False),
        ({"min_lightness": 0.5}, {}, "`min_lightness`: 0.5 → not set", False),
        ({"names": True}, {"names": True}, "", True),
        ({}, {}, "", True),
    ],
)
def test_a_run_that_was_killed_is_resumed_by_the_choices_that_it_was_begun_with(
    then, now, differs, can_grow, lights, tmp_path
):
    """A limit is no setting: what it chose from is, as the number and the hash of the photos."""
    first, out = replace(lights, listed=lights.listed[:1], choices=then), tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        make_tiny(first, out, Noted(stop_after=1), **NEW)
    error = refused(make_tiny, replace(lights, choices=now), out, **NEW)
    assert "of an unfinished run with other settings" in error.what
    assert [line for line in error.what.splitlines() if "`" in line] == (
        [f"    {differs}"] if differs else []
    )
    assert error.todo.splitlines()[1] == "    resume it:     use the settings that it was begun with"
    assert ("then give `add=True`" in error.todo) == can_grow
    assert make_tiny(first, out, **NEW).counts.lights == 1


@pytest.fixture(params=["rmdir", "unlink", "both"])
def keeping_disk(request, monkeypatch):
    """A disk that removes nothing of what runs keep for themselves, or no folder of it."""
    for name in ("rmdir", "unlink"):
        if request.param in (name, "both"):
            monkeypatch.setattr(os, name, _refusing(getattr(os, name)))


def _refusing(remove):
    def refuse(path, *args, **kwargs):
        if STATE in os.fspath(path):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), os.fspath(path))
        remove(path, *args, **kwargs)

    return refuse


def test_a_disk_that_keeps_the_notes_of_a_run_keeps_no_set_from_being_complete(
    keeping_disk, lights, tmp_path, caplog
):
    out = tmp_path / "out"
    manifest = make_tiny(lights, out, **NEW)
    left = sorted(out.glob(f"{STATE}/**/*")) or [out / STATE]
    told = [record.getMessage() for record in caplog.records if "cannot be removed" in record.getMessage()]
    assert any(str(path) in text for path in left for text in told)
    assert all("Operation not permitted" in text for text in told)
    found = verify_dataset(str(out))
    assert (found.faults, found.unfinished) == ([], [STATE])
    assert make_tiny(lights, out, **NEW) == manifest
    more = make_tiny(lights, out, **NEW, variants=2)
    assert (more.counts.pairs, verify_dataset(str(out)).faults) == (4, [])
    remove_from_dataset(str(out), [lights.listed[0].key])
    assert verify_dataset(str(out)).faults == []
