"""A disk that fails: the run ends with the path and the cause, and complete shards stay complete."""

import errno
import io
import os
from functools import partial

import pytest

from dimmagen.core.errors import DimmagenError
from dimmagen.core.storage import writing
from dimmagen.dataset.compare import assert_same_dataset
from tests.dataset_helpers import make, write_photos
from tests.tiny_set import make_tiny, tiny_lights


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos") / "photos", 6)


@pytest.fixture(scope="module")
def undisturbed(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    make(photos, out, samples_per_shard=2)
    return out


def failing_at(call, failure, function):
    """A function that fails at its n-th call and works otherwise."""
    calls = iter(range(1, 10**9))

    def wrapper(*arguments, **keywords):
        if next(calls) == call:
            raise OSError(failure, os.strerror(failure))
        return function(*arguments, **keywords)

    return wrapper


class _FullDisk(io.FileIO):
    """Takes a number of bytes, then half of a write, then nothing, as a disk that fills up."""

    room = 0

    def write(self, data) -> int:
        if _FullDisk.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        part = bytes(data)[: _FullDisk.room]
        _FullDisk.room -= len(part)
        return super().write(part)


def open_on_full_disk(path, mode):
    return open(path, mode) if mode == "rb" else io.BufferedRandom(_FullDisk(path, mode))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Tiny light images, and the set that an undisturbed run makes of them."""
    folder = tmp_path_factory.mktemp("tiny")
    lights = tiny_lights(folder / "lights", 6)
    make_tiny(lights, folder / "out", samples_per_shard=2)
    return lights, folder / "out"


def check_and_resume(make_again, out, undisturbed, monkeypatch):
    monkeypatch.undo()
    assert not (out / "manifest.json").exists()
    assert list(out.rglob("*.tmp")) == []
    make_again()
    assert_same_dataset(undisturbed, out)


# Every file that a run writes is synced and renamed once: run.json, a tar, a parquet and a record for each of
# three shards, rejected, croissant, card, manifest.
@pytest.mark.parametrize("call", range(1, 15))
@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_sync_or_a_rename_that_fails(function, call, tiny, tmp_path, monkeypatch):
    (lights, undisturbed), out = tiny, tmp_path / "out"
    run = partial(make_tiny, lights, out, samples_per_shard=2)
    monkeypatch.setattr(os, function, failing_at(call, errno.EIO, getattr(os, function)))
    with pytest.raises(DimmagenError, match=f"could not be written: {os.strerror(errno.EIO)}") as error:
        run()
    assert str(out) in str(error.value)
    check_and_resume(run, out, undisturbed, monkeypatch)


@pytest.mark.parametrize("room", [0, 100, 5_000, 200_000, 700_000, 900_000])
def test_a_disk_that_fills_up(room, photos, undisturbed, tmp_path, monkeypatch):
    out = tmp_path / "out"
    run = partial(make, photos, out, samples_per_shard=2)
    _FullDisk.room = room
    monkeypatch.setattr(writing, "open", open_on_full_disk, raising=False)
    with pytest.raises(DimmagenError, match="the disk is full") as error:
        run()
    assert str(out) in str(error.value)
    check_and_resume(run, out, undisturbed, monkeypatch)
