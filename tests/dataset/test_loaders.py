"""Loaders give the images of the shards, each pair once, with any number of workers."""

import pickle

import fsspec
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import dimmagen
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dataset.reader import open_pairs
from tests.dataset_helpers import copy_set


def keys_of(batches) -> list[str]:
    return [key for batch in batches for key in batch["key"]]


def test_a_pair_read_by_index_has_the_pixels_and_the_record_of_the_shard(pair_set):
    rows, pairs = open_pairs(pair_set), dimmagen.PairDataset(pair_set)
    assert len(pairs) == 12
    for index in (0, 5, -1):
        row, pair = pairs.row(index), pairs[index]
        for side, pixels in zip(("dark", "light"), rows.images(row), strict=True):
            assert torch.equal((pair[side] * 255).round(), torch.tensor(pixels).permute(2, 0, 1).float())
        assert pair["key"] == row["key"]
        assert pair["gamma"] == row["gamma"]
    assert [pair["key"] for pair in pairs] == rows.table["key"].to_pylist()


@pytest.mark.parametrize("workers", [0, 2, 4])
def test_data_loader_workers_give_every_pair_once(pair_set, workers):
    pairs = pickle.loads(pickle.dumps(dimmagen.PairDataset(pair_set, crop=64)))
    batches = list(DataLoader(pairs, batch_size=5, num_workers=workers))
    assert keys_of(batches) == open_pairs(pair_set).table["key"].to_pylist()
    assert batches[0]["dark"].shape == (5, 3, 64, 64)


def test_both_images_are_cropped_at_the_same_position(pair_set):
    torch.manual_seed(0)
    crops = dimmagen.PairDataset(pair_set, crop=64)
    whole = dimmagen.PairDataset(pair_set)[0]
    dark, light = (crops[0][side] for side in ("dark", "light"))
    torch.manual_seed(0)
    pair = crops[0]
    _, height, width = whole["light"].shape
    positions = [
        (top, left)
        for top in range(height - 63)
        for left in range(width - 63)
        if torch.equal(whole["light"][:, top : top + 64, left : left + 64], pair["light"])
    ]
    assert any(
        torch.equal(whole["dark"][:, top : top + 64, left : left + 64], pair["dark"])
        for top, left in positions
    )
    assert not torch.equal(dark, light)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_exact_pass_streams_every_pair_once_in_another_order_each_time(pair_set, workers):
    torch.manual_seed(1)
    loader = dimmagen.pair_loader(pair_set, batch_size=4, crop=64, workers=workers)
    first, second = keys_of(loader), keys_of(loader)
    assert sorted(first) == sorted(second) == sorted(open_pairs(pair_set).table["key"].to_pylist())
    assert first != second
    torch.manual_seed(1)
    assert keys_of(dimmagen.pair_loader(pair_set, batch_size=4, crop=64, workers=workers)) == first


def test_ranks_share_an_exact_pass(pair_set, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    keys = []
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        share = keys_of(dimmagen.pair_loader(pair_set, batch_size=4, crop=64))
        assert share
        keys += share
    assert sorted(keys) == sorted(open_pairs(pair_set).table["key"].to_pylist())
    monkeypatch.setenv("WORLD_SIZE", "5")
    with pytest.raises(UsageError, match="4 shards for 5 ranks"):
        dimmagen.pair_loader(pair_set, batch_size=4)


def test_readers_that_do_not_know_the_process_group_read_their_own_rank_only(pair_set, monkeypatch):
    """As `spawn` and `forkserver` start them: from a pickle, in a process without the rank's environment."""
    keys = []
    for rank in range(2):
        monkeypatch.setenv("WORLD_SIZE", "2")
        monkeypatch.setenv("RANK", str(rank))
        stream = pickle.dumps(dimmagen.pair_loader(pair_set, batch_size=2, crop=64).pipeline[0].dataset)
        monkeypatch.delenv("WORLD_SIZE")
        monkeypatch.delenv("RANK")
        keys.append({pair["key"] for pair in pickle.loads(stream)})
    assert not keys[0] & keys[1]
    assert sorted(keys[0] | keys[1]) == sorted(open_pairs(pair_set).table["key"].to_pylist())


def test_resampled_passes_have_the_same_number_of_batches_on_every_rank_and_differ(pair_set, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "9")
    passes = []
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        torch.manual_seed(0)
        loader = dimmagen.pair_loader(pair_set, batch_size=4, crop=64, epoch=5)
        passes += [keys_of(loader), keys_of(loader)]
    assert [len(keys) for keys in passes] == [20] * 4
    assert len({tuple(keys) for keys in passes}) == 4


def test_both_loaders_read_from_a_url(pair_set):
    fsspec.filesystem("memory").put(str(pair_set), "/loaders/out", recursive=True)
    url = "memory://loaders/out"
    assert torch.equal(dimmagen.PairDataset(url)[3]["dark"], dimmagen.PairDataset(pair_set)[3]["dark"])
    assert len(keys_of(dimmagen.pair_loader(url, batch_size=4, crop=64))) == 12


def test_a_transform_receives_the_pair(pair_set):
    pairs = dimmagen.PairDataset(pair_set, transform=lambda pair: pair["dark"].mean())
    assert np.isclose(float(pairs[0]), pairs.row(0)["lightness_after"], atol=1e-6)


def test_a_shard_truncated_between_two_members_is_reported(pair_set, tmp_path):
    out = copy_set(pair_set, tmp_path / "out")
    shard = out / "shards/train-00001.tar"
    last = open_pairs(out).rows()[5]
    shard.write_bytes(shard.read_bytes()[: last["dark_offset"] - 512])
    with pytest.raises(DimmagenError, match="holds 2 pairs, the manifest says 3"):
        keys_of(dimmagen.pair_loader(out, batch_size=4, crop=64))
    with pytest.raises(DimmagenError, match="are not those of its row"):
        dimmagen.PairDataset(out)[5]


def test_the_parquet_file_of_another_shard_is_refused(pair_set, tmp_path):
    out = copy_set(pair_set, tmp_path / "out")
    (out / "metadata/train-00000.parquet").write_bytes((out / "metadata/train-00001.parquet").read_bytes())
    with pytest.raises(DimmagenError, match="not the file that the manifest names"):
        dimmagen.PairDataset(out)


def test_crops_that_do_not_fit_are_reported_before_the_first_batch(pair_set):
    with pytest.raises(UsageError, match="smaller than crops of 300"):
        dimmagen.PairDataset(pair_set, crop=300)
    with pytest.raises(UsageError, match="smaller than crops of 300"):
        dimmagen.pair_loader(pair_set, batch_size=1, crop=300)
