"""Batches from shards and from pairs: complete, disjoint, and resumable in the middle of an epoch."""

import errno
import itertools
import json
import shutil
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage import data

from dimmagen.cli import cli
from dimmagen.core import shared_memory
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dataset.reader import open_pairs
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.enhance import data as data_module
from dimmagen.enhance.batch import Batch, Crops, Example, make_batch
from dimmagen.enhance.data import RealPairs, ShardBatches
from dimmagen.enhance.inputs import equalisation, mean_lightness, network_input
from dimmagen.enhance.training_shards import cut_middle, open_shards, usual_validation_photos
from dimmagen.images.codec import decode_rgb8, encode_png
from tests.dataset_helpers import make, write_photos

CROPS = Crops(side=32, flip=True, seed=3)
PHOTOS, HELD_BACK, VARIANTS = 7, 2, 2


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """14 pairs made from 7 photos, in 6 shards."""
    folder = tmp_path_factory.mktemp("data")
    make(write_photos(folder / "photos", PHOTOS), folder / "out", variants=VARIANTS)
    return folder / "out"


@pytest.fixture
def shards(dataset):
    return open_shards(str(dataset), HELD_BACK, CROPS.side).shards


def keys_of(batches, start, count):
    return [batch.keys for batch in itertools.islice(batches.open(start), count)]


def test_no_variant_of_a_light_image_kept_for_validation_is_trained_on(dataset):
    opened = open_shards(str(dataset), HELD_BACK, CROPS.side)
    training = frozenset().union(*(shard.training_keys for shard in opened.shards))
    kept = {pair.name.rsplit("-v", 1)[0] for pair in opened.validation}
    assert len(kept) == HELD_BACK
    assert len(training) == (PHOTOS - HELD_BACK) * VARIANTS
    assert not kept & {key.rsplit("-v", 1)[0] for key in training}
    assert all(pair.dark.mean() < pair.light.mean() for pair in opened.validation)


def test_a_light_image_is_kept_back_even_if_its_first_variant_is_missing(dataset, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("".join(f"{row['key']}\n" for row in open_pairs(dataset).rows() if row["variant"] == 1))
    subset = tmp_path / "subset"
    cli.main(["subset", str(dataset), "--keys", str(keys), "--out", str(subset)], standalone_mode=False)
    opened = open_shards(str(subset), HELD_BACK, CROPS.side)
    whole = open_shards(str(dataset), HELD_BACK, CROPS.side)
    assert len(opened.validation) == HELD_BACK
    images = [{pair.name.rsplit("-v", 1)[0] for pair in one.validation} for one in (opened, whole)]
    assert images[0] == images[1]


def test_an_epoch_has_every_training_pair_once_and_the_next_epoch_another_order(shards):
    batches = ShardBatches(shards, CROPS, batch=2)
    first, second = ([key for keys in keys_of(batches, start, 5) for key in keys] for start in (0, 5))
    assert sorted(first) == sorted(frozenset().union(*(shard.training_keys for shard in shards)))
    assert sorted(second) == sorted(first)
    assert second != first


@pytest.mark.parametrize("loaders", [0, 2])
def test_a_stream_opened_in_the_middle_of_an_epoch_continues_exactly(shards, loaders):
    batches = ShardBatches(shards, CROPS, batch=2, loaders=loaders)
    whole = list(itertools.islice(batches.open(0), 9))
    for start in (3, 4):
        rest = list(itertools.islice(batches.open(start), 9 - start))
        for expected, got in zip(whole[start:], rest, strict=True):
            assert got.keys == expected.keys
            assert torch.equal(got.inputs, expected.inputs)
            assert torch.equal(got.target, expected.target)


@pytest.mark.parametrize("room", [0, 3, 100])
def test_the_cache_changes_only_how_often_images_are_decoded(shards, monkeypatch, room):
    """10 pairs, three epochs; `room` is the size of the cache in pairs."""
    first = next(ShardBatches(shards, CROPS, batch=10).open(0))
    assert len(first.keys) == 10
    decoded = []
    decode = data_module._decode
    monkeypatch.setattr(data_module, "_decode", lambda *given: decoded.append(decode(*given)) or decoded[-1])
    plain = list(itertools.islice(ShardBatches(shards, CROPS, batch=5).open(0), 6))
    assert len(decoded) == 60
    size = max(image.nbytes for image in decoded) * 2
    decoded.clear()
    kept = list(itertools.islice(ShardBatches(shards, CROPS, batch=5, cache_bytes=room * size).open(0), 6))
    for one, other in zip(plain, kept, strict=True):
        assert one.keys == other.keys
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.target, other.target)
    assert len(decoded) == {0: 60, 3: 60 - 2 * 2 * 3, 100: 20}[room]


def test_each_reader_has_its_own_shards(shards):
    def keys(rank):
        batches = ShardBatches(shards, CROPS, batch=1, rank=rank, world_size=2)
        return {key for batch in keys_of(batches, 0, 20) for key in batch}

    first, second = keys(0), keys(1)
    assert not first & second
    assert first | second == frozenset().union(*(shard.training_keys for shard in shards))


def test_more_readers_than_shards_are_refused(shards):
    with pytest.raises(UsageError, match="fewer `loaders`"):
        ShardBatches(shards, CROPS, batch=1, loaders=len(shards) + 1)


def test_dark_and_light_images_are_cropped_at_the_same_position(shards):
    aligned, mirrored, shifted = [], [], []
    for batch in itertools.islice(ShardBatches(shards, CROPS, batch=2).open(0), 10):
        for dark, light in zip(batch.inputs[:, :3], batch.target, strict=True):
            aligned.append(correlation(dark, light))
            mirrored.append(correlation(dark, light.flip(2)))
            shifted.append(correlation(dark, light.roll(2, 1)))
    assert np.mean(aligned) > 0.9
    assert np.mean(mirrored) < np.mean(aligned) - 0.2
    assert np.mean(shifted) < np.mean(aligned) - 0.05


@pytest.mark.parametrize("loaders", [0, 1])
def test_crops_are_equalised_by_their_own_histogram_or_by_that_of_the_whole_image(dataset, shards, loaders):
    """By the same crops: only the equalised channels differ."""
    own, whole = (
        next(ShardBatches(shards, replace(CROPS, equalise=equalise), batch=3, loaders=loaders).open(0))
        for equalise in ("crop", "image")
    )
    assert own.keys == whole.keys
    for channels in (slice(0, 3), slice(6, 10)):
        assert torch.equal(own.inputs[:, channels], whole.inputs[:, channels])
    pairs = open_pairs(dataset)
    files = {row["key"]: pairs.data(row, "dark") for row in pairs.rows()}
    tables = np.stack([equalisation(decode_rgb8(files[key])[0]) for key in whole.keys])
    np.testing.assert_array_equal(whole.tables.numpy(), tables)
    assert not torch.equal(own.inputs, whole.inputs)


def test_real_pairs_are_equalised_by_the_whole_image_too():
    light = data.astronaut()[:60, 100:180]
    pair = RealPair("one", light // 8, light, "", "")
    batch = next(RealPairs([pair], replace(CROPS, equalise="image"), batch=2).open(0))
    np.testing.assert_array_equal(batch.tables.numpy(), np.stack([equalisation(pair.dark)] * 2))
    for dark, equalised in zip(batch.dark.numpy(), batch.inputs[:, 3:6].numpy(), strict=True):
        expected = network_input(dark, equalisation(pair.dark))[3:6]
        np.testing.assert_array_equal(equalised, expected)


def correlation(one, other):
    return np.corrcoef(one.ravel(), other.ravel())[0, 1]


def test_the_condition_is_that_of_the_crop(shards):
    batch = next(ShardBatches(shards, CROPS, batch=3).open(0))
    difference = (batch.target.mean(dim=(1, 2, 3)) - batch.inputs[:, :3].mean(dim=(1, 2, 3))) * 1000
    assert (batch.condition - difference).abs().max() <= 0.51


@pytest.mark.parametrize("loaders", [0, 1])
def test_a_shard_truncated_at_a_member_boundary_is_an_error(dataset, tmp_path, shards, loaders):
    short = tmp_path / "short.tar"
    with tarfile.open(shards[0].url) as whole, tarfile.open(short, "w") as cut:
        for member in whole.getmembers()[:3]:
            cut.addfile(member, whole.extractfile(member))
    batches = ShardBatches([replace(shards[0], url=str(short))], CROPS, batch=1, loaders=loaders)
    with pytest.raises(DimmagenError, match=r"short\.tar holds 1 pair, its manifest says 3"):
        keys_of(batches, 0, 5)


@pytest.mark.parametrize("is_pointer", [True, False], ids=["a pointer of Git LFS", "another picture"])
def test_a_shard_that_is_not_that_of_the_manifest_is_named_before_a_step(dataset, tmp_path, is_pointer):
    """Validation took whatever picture was there, or the error said that something is empty, and not what."""
    shutil.copytree(dataset, tmp_path / "out")
    pairs = open_pairs(tmp_path / "out")
    examples = open_shards(pairs.out, HELD_BACK, CROPS.side).lightness_examples()
    for row in pairs.rows():
        tar = tmp_path / "out" / row["shard"]
        if is_pointer:
            tar.write_text("version https://git-lfs.github.com/spec/v1\n")
            continue
        black = encode_png(np.zeros((row["height"], row["width"], 3), np.uint8))
        with tar.open("r+b") as file:
            file.seek(row["dark_offset"])
            file.write(black[: row["dark_size"]])
    said = {
        True: r"shards/train-\d+\.tar is a Git LFS pointer instead of the file: .*git lfs pull",
        False: r"shards/train-\d+\.tar: the bytes of .* are not those of its row.*verify",
    }[is_pointer]
    for read in (lambda: list(examples), lambda: open_shards(pairs.out, HELD_BACK, CROPS.side)):
        with pytest.raises(DimmagenError, match=said) as refused:
            read()
        assert refused.value.code == "damaged"


def test_a_broken_shard_is_named(tmp_path, shards):
    broken = tmp_path / "broken.tar"
    broken.write_bytes(b"not a tar file" * 100)
    with pytest.raises(DimmagenError, match=r"broken\.tar is not a readable tar"):
        keys_of(ShardBatches([replace(shards[0], url=str(broken))], CROPS, batch=1), 0, 1)


def test_images_smaller_than_the_crop_are_left_out_and_counted(dataset):
    opened = open_shards(str(dataset), 1, 256)
    assert opened.too_small == 0
    with pytest.raises(UsageError, match=r"all images of .* are too small for crops of 257"):
        open_shards(str(dataset), 1, 257)


def test_an_image_that_is_too_small_is_used_neither_for_training_nor_for_validation(tmp_path):
    photos = write_photos(tmp_path / "photos", 1)  # 256 pixels high
    for index, photo in enumerate((data.astronaut(), data.coffee(), data.chelsea(), data.rocket())):
        (photos / f"large{index}.png").write_bytes(encode_png(np.ascontiguousarray(photo[:290, :300])))
    make(photos, tmp_path / "out", variants=2)
    opened = open_shards(str(tmp_path / "out"), 3, 280)
    assert opened.too_small == 2
    assert len(opened.validation) == 3
    assert min(min(pair.dark.shape[:2]) for pair in opened.validation) == 290
    assert len(frozenset().union(*(shard.training_keys for shard in opened.shards))) == 2


def test_of_few_light_images_a_quarter_is_kept_back_and_one_at_least(dataset):
    opened = open_shards(str(dataset), None, CROPS.side)
    assert len(opened.validation) == 1
    assert len(frozenset().union(*(shard.training_keys for shard in opened.shards))) == 12
    assert [usual_validation_photos(photos) for photos in (1, 7, 8, 63, 64, 15000)] == [1, 1, 2, 15, 16, 16]


def test_keeping_all_light_images_for_validation_is_refused(dataset):
    with pytest.raises(UsageError, match="7 light images"):
        open_shards(str(dataset), PHOTOS, CROPS.side)


def test_a_data_set_of_another_schema_is_refused(dataset, tmp_path):
    manifest = json.loads((dataset / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "schema_version": 99}))
    with pytest.raises(DimmagenError, match="schema_version"):
        open_shards(str(tmp_path), HELD_BACK, CROPS.side)


def pair(name, level, height=40, width=48):
    light = np.random.default_rng(level).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return RealPair(name, light // 5, light, "", "")


def test_real_pairs_come_in_epochs_and_resume_anywhere():
    pairs = [pair(name, level) for level, name in enumerate("abcde")]
    batches = RealPairs(pairs, CROPS, batch=2)
    whole = list(itertools.islice(batches.open(0), 10))
    assert sorted(key for batch in whole[:5] for key in batch.keys) == sorted(2 * "abcde")
    for expected, got in zip(whole[7:], batches.open(7), strict=False):
        assert got.keys == expected.keys
        assert torch.equal(got.inputs, expected.inputs)


def test_the_network_is_told_the_change_of_lightness_of_the_crop_or_of_the_whole_image():
    dark = np.zeros((64, 64, 3), np.uint8)
    light = np.repeat(np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))[..., None], 3, axis=2)
    batches = RealPairs([RealPair("a", dark, light, "", "")], CROPS, batch=8)
    of_crops = next(batches.open(0))
    of_image = next(replace(batches, crops=replace(CROPS, condition="image")).open(0))
    expected = [round(1000 * mean_lightness(crop)) for crop in of_crops.light.numpy()]
    assert of_crops.condition.tolist() == expected
    assert len(set(expected)) > 4
    assert of_image.condition.tolist() == [round(1000 * mean_lightness(light))] * 8
    assert torch.equal(of_image.light, of_crops.light)


def test_half_of_the_crops_are_mirrored():
    one = pair("a", 1, 32, 32)
    mirrored = [
        np.array_equal(CROPS.cut("a", epoch, one.dark, one.light).light, one.light[:, ::-1])
        for epoch in range(200)
    ]
    assert 70 < sum(mirrored) < 130


def test_crops_reach_every_edge():
    one = pair("a", 1, 34, 33)
    corners = {tuple(CROPS.cut("a", epoch, one.dark, one.light).light[0, 0]) for epoch in range(400)}
    unflipped = Crops(32, False, 3)
    plain = {tuple(unflipped.cut("a", epoch, one.dark, one.light).light[0, 0]) for epoch in range(200)}
    assert plain == {tuple(one.light[row, column]) for row in range(3) for column in range(2)}
    assert corners > plain


def test_a_real_pair_that_is_too_small_is_named():
    with pytest.raises(UsageError, match="tiny is 20x40"):
        RealPairs([pair("tiny", 1, 40, 20)], CROPS, batch=1)


def test_validation_takes_the_middle_of_large_images():
    cut = cut_middle(pair("large", 1, 600, 520))
    assert cut.dark.shape == cut.light.shape == (512, 512, 3)
    assert cut_middle(pair("small", 1)).dark.shape == (40, 48, 3)


def test_a_batch_has_the_shapes_that_the_network_takes():
    one = pair("a", 1, 32, 32)
    batch = make_batch([Example("a", one.dark, one.light, condition=321)] * 2)
    assert batch.condition.tolist() == [321, 321]
    assert batch.inputs.shape == (2, 10, 32, 32)
    assert batch.target.shape == (2, 3, 32, 32)
    assert float(batch.target.mean()) == pytest.approx(mean_lightness(one.light), abs=1e-5)


def refuse_locks(monkeypatch, allowed):
    """Semaphores of a shared memory that has room for some."""
    made, make_lock = [], shared_memory.multiprocessing.Lock

    def lock():
        if len(made) == allowed:
            raise OSError(errno.ENOSPC, "No space left on device")
        made.append(make_lock())
        return made[-1]

    monkeypatch.setattr(shared_memory.multiprocessing, "Lock", lock)


@pytest.mark.parametrize("allowed", [0, 5])
def test_loaders_without_shared_memory_for_their_locks_are_refused_by_name(shards, allowed, monkeypatch):
    refuse_locks(monkeypatch, allowed)
    with pytest.raises(DimmagenError, match=r"shared memory .* cannot be used \(No space") as refusal:
        next(ShardBatches(shards, CROPS, 2, loaders=2).open(0))
    assert (refusal.value.code, refusal.value.fields["parameter"]) == ("machine", "loaders")
    assert next(ShardBatches(shards, CROPS, 2).open(0)).keys  # as it advises


def test_a_batch_that_shared_memory_has_no_room_for_is_an_error_and_not_waited_for(shards, monkeypatch):
    """A DataLoader prints a traceback in its process, and waits for the batch forever."""

    def refuse(batch):
        raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1_2_3>: No space left")

    monkeypatch.setattr(Batch, "share_memory", refuse)
    with pytest.raises(DimmagenError, match=r"shared memory .* is full: give fewer `loaders`"):
        next(ShardBatches(shards, CROPS, 2, loaders=1).open(0))


def test_a_batch_comes_from_a_loader_in_shared_memory(shards):
    """So that nothing is left to allocate where no error could be told."""
    batch = next(ShardBatches(shards, CROPS, 2, loaders=1).open(0))
    assert batch.dark.is_shared()
    assert batch.light.is_shared()
    assert batch.condition.is_shared()
