"""The samples of a shard come one after the other, and a shard that was cut is told as such."""

import errno
import tarfile

import pytest

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, MachineError
from dimmagen.dataset.shard_samples import shard_samples
from tests.tiny_set import tiny_set


@pytest.fixture
def pairs(tmp_path):
    return tiny_set(tmp_path / "out", 2)


def test_the_samples_have_the_files_of_their_pairs(pairs):
    [shard] = pairs.manifest.shards
    for sample, row in zip(shard_samples(pairs.out, shard), pairs.rows(), strict=True):
        assert sample["__key__"] == row["key"]
        extension = row["light_member"].rsplit(".", 1)[1]
        assert (sample["dark.png"], sample[f"light.{extension}"]) == (
            pairs.data(row, "dark"),
            pairs.data(row, "light"),
        )


def test_a_shard_that_is_cut_between_or_inside_members_is_told_with_what_came_before(pairs):
    [shard] = pairs.manifest.shards
    path = f"{pairs.out}/{shard.name}"
    with tarfile.open(path) as tar:
        second, last = (tar.getmembers()[number].offset for number in (3, 5))
    with open(path, "rb") as file:
        whole = file.read()
    for end, said in (
        (second, f"{path} holds 1 pair, the manifest says 2"),
        (last + 600, "(after 1 pair)"),
    ):
        with open(path, "wb") as file:
            file.write(whole[:end])
        found = shard_samples(pairs.out, shard)
        assert next(found)["__key__"] == pairs.row(0)["key"]
        with pytest.raises(DimmagenError) as caught:
            next(found)
        assert said in caught.value.what
        assert caught.value.what.startswith(path)
        assert caught.value.todo == f"run `verify({pairs.out})`, and copy the damaged shard again"
        assert (caught.value.code, caught.value.fields) == ("damaged", {"path": path})


def test_a_shard_with_more_samples_than_the_manifest_says_is_told_after_them(pairs):
    [shard] = pairs.manifest.shards
    found = shard_samples(pairs.out, shard.model_copy(update={"samples": 1}))
    assert [next(found)["__key__"], next(found)["__key__"]] == [row["key"] for row in pairs.rows()]
    with pytest.raises(DimmagenError, match="holds 2 pairs, the manifest says 1"):
        next(found)


def test_trouble_of_the_machine_is_no_damage(pairs, monkeypatch):
    def fail(path):
        raise OSError(errno.EIO, "Input/output error")

    [shard] = pairs.manifest.shards
    monkeypatch.setattr(storage, "open_binary", fail)
    with pytest.raises(MachineError, match=rf"{shard.name}: Input/output error"):
        next(shard_samples(pairs.out, shard))
