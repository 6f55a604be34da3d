"""The samples of a shard come one after the other, and a shard that was cut is told as such."""

import errno
import tarfile
from pathlib import Path

import pytest

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, MachineError
from dimmagen.core.tar import TarWriter, members, read_at
from dimmagen.dataset.loaders import pair_loader
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


def test_a_shard_of_another_size_is_refused_before_its_first_sample(pairs):
    [shard] = pairs.manifest.shards
    path = f"{pairs.out}/{shard.name}"
    with open(path, "rb") as file:
        whole = file.read()
    for data in (whole[:-512], whole + bytes(10240)):
        with open(path, "wb") as file:
            file.write(data)
        with pytest.raises(DimmagenError) as caught:
            next(shard_samples(pairs.out, shard))
        assert caught.value.what == f"{path} has {len(data)} bytes, the manifest says {len(whole)}"
        assert (caught.value.code, caught.value.fields) == ("damaged", {"path": path})


def test_a_shard_that_ends_between_or_inside_members_is_told_with_what_came_before(pairs):
    [shard] = pairs.manifest.shards
    path = f"{pairs.out}/{shard.name}"
    with tarfile.open(path) as tar:
        second, last = (tar.getmembers()[number].offset for number in (3, 5))
    with open(path, "rb") as file:
        whole = file.read()
    for end, said in (
        (second, f"{path} holds 1 pair, the manifest says 2"),
        (last + 100, "(after 1 pair)"),
    ):
        with open(path, "wb") as file:
            file.write(whole[:end].ljust(len(whole), b"\0"))
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


def of_light(name, data):
    return None if ".light." in name else data


def of_json(name, data):
    return None if name.endswith(".json") else data


def no_object(name, data):
    return b"[]".ljust(len(data)) if name.endswith(".json") else data


def no_json(name, data):
    return b"{".ljust(len(data)) if name.endswith(".json") else data


def no_number(name, data):
    return data.replace(b'"gamma"', b'"delta"') if name.endswith(".json") else data


def no_image(name, data):
    return bytes(len(data)) if ".dark." in name else data


@pytest.mark.parametrize("change", [of_light, of_json, no_object, no_json, no_number, no_image])
def test_a_sample_that_is_no_pair_is_named_with_its_shard(change, pairs):
    [shard] = pairs.manifest.shards
    path = Path(pairs.out) / shard.name
    with open(path, "rb") as file:
        found = [(one.name, read_at(file, one.offset, one.size)) for one in members(file, shard.name)]
    with open(path, "wb") as file:
        tar = TarWriter(file)
        for name, data in found:
            if (changed := change(name, data)) is not None:
                tar.add(name, changed)
        file.write(bytes(shard.bytes - file.tell()))
    with pytest.raises(
        DimmagenError, match=r"the sample folder-\w+-v0 is not a pair of a data set"
    ) as caught:
        list(pair_loader(pairs.out, batch_size=1, buffer=0))
    fields = {"path": str(path), "key": pairs.row(0)["key"]}
    assert (caught.value.code, caught.value.fields) == ("damaged", fields)


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_shard_that_was_taken_away_is_named(is_folder, pairs):
    [shard] = pairs.manifest.shards
    path = Path(pairs.out) / shard.name
    path.unlink()
    if is_folder:
        path.mkdir()
    for read in (lambda: next(shard_samples(pairs.out, shard)), lambda: pairs.images(pairs.row(0))):
        with pytest.raises(DimmagenError, match="copy the data set again, or start again") as caught:
            read()
        assert (caught.value.code, caught.value.fields) == ("missing-path", {"path": str(path)})
