"""Loaders give the images of the shards, each pair once, with any number of workers."""

import pickle
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import fsspec
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import dimmagen
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dataset import pair_stream
from dimmagen.dataset.reader import open_pairs
from tests.dataset_helpers import copy_set
from tests.tiny_set import tiny_set


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """4 pairs in 4 shards, of 12x16 and of 13x16 pixels."""
    return tiny_set(tmp_path_factory.mktemp("tiny") / "out", 2, variants=2, samples_per_shard=1)


@pytest.fixture(scope="module")
def one_shard(tmp_path_factory):
    """24 pairs in one shard."""
    return tiny_set(tmp_path_factory.mktemp("one_shard") / "out", 24, samples_per_shard=24)


def stream_of(loader):
    return loader.pipeline[0].dataset


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


def test_both_loaders_read_from_a_url(pair_set):
    fsspec.filesystem("memory").put(str(pair_set), "/loaders/out", recursive=True)
    url = "memory://loaders/out"
    assert torch.equal(dimmagen.PairDataset(url)[3]["dark"], dimmagen.PairDataset(pair_set)[3]["dark"])
    assert len(keys_of(dimmagen.pair_loader(url, batch_size=4, crop=64))) == 12


def test_where_no_size_matters_a_loader_reads_no_row(tiny, tmp_path):
    """Of a set of 200,000 shards it would read as many files before the first pair."""
    out = copy_set(tiny.out, tmp_path / "out")
    for file in (out / "metadata").iterdir():
        file.unlink()
    for options in ({"batch_size": 1}, {"batch_size": 2, "transform": lambda pair: pair["gamma"]}):
        assert len(list(dimmagen.pair_loader(out, **options))) == 4 // options["batch_size"]
    with pytest.raises(DimmagenError, match="is missing"):
        dimmagen.pair_loader(out, batch_size=2, crop=12)


def test_a_transform_receives_the_pair(pair_set):
    pairs = dimmagen.PairDataset(pair_set, transform=lambda pair: pair["dark"].mean())
    assert np.isclose(float(pairs[0]), pairs.row(0)["lightness_after"], atol=1e-6)


def test_a_shard_truncated_between_two_members_is_reported(pair_set, tmp_path):
    out = copy_set(pair_set, tmp_path / "out")
    shard = out / "shards/train-00001.tar"
    last = open_pairs(out).rows()[5]
    shard.write_bytes(shard.read_bytes()[: last["dark_offset"] - 512])
    with pytest.raises(DimmagenError, match=r"has \d+ bytes, the manifest says \d+"):
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


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("drop_last", [False, True])
def test_the_length_is_the_number_of_batches_of_an_exact_pass(pair_set, workers, drop_last):
    loader = dimmagen.pair_loader(
        pair_set, batch_size=5, crop=16, num_workers=workers, drop_last=drop_last, persistent_workers=None
    )
    batches = list(loader)
    assert len(loader) == len(batches)
    if drop_last:
        assert {len(batch["key"]) for batch in batches} == {5}


def test_the_length_of_a_resampled_pass_is_the_epoch(pair_set):
    loader = dimmagen.pair_loader(pair_set, batch_size=2, crop=16, epoch=7)
    assert len(loader) == len(list(loader)) == 7


def test_numbers_are_float32_and_int64(pair_set):
    batch = next(iter(dimmagen.pair_loader(pair_set, batch_size=2, crop=16)))
    assert batch["dark"].dtype == batch["gamma"].dtype == batch["lightness_after"].dtype == torch.float32
    assert batch["variant"].dtype == torch.int64
    loader = dimmagen.pair_loader(
        pair_set, batch_size=2, crop=16, transform=lambda pair: (pair["gamma"], [pair["tau"]], pair["key"])
    )
    gamma, (tau,), keys = next(iter(loader))
    assert gamma.dtype == tau.dtype == torch.float32
    assert len(keys) == 2


def test_without_shuffling_pairs_come_in_the_order_of_the_shards(pair_set):
    loader = dimmagen.pair_loader(pair_set, batch_size=5, crop=16, shuffle=False)
    assert keys_of(loader) == open_pairs(pair_set).table["key"].to_pylist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epoch": 0}, "`epoch` is 0: give a whole number from 1, or leave it out"),
        ({"epoch": -1}, "`epoch` is -1"),
        ({"crop": 0}, "`crop` is 0: give a whole number from 1, or leave it out"),
        ({"crop": 16.0}, "`crop` is 16.0"),
        ({"batch_size": 0}, "`batch_size` is 0"),
        ({"workers": -1}, "`workers` is -1"),
        ({"buffer": -1}, "`buffer` is -1"),
        ({"workers": 2, "num_workers": 3}, "two names of one argument"),
        ({"persistent_workers": True}, "no effect without worker processes"),
        ({"shuffle": False, "epoch": 3}, "no effect with `epoch`"),
        ({"crop": None}, r"have 6 sizes \(264x256, 265x256, 266x256, ...\), and a batch has one"),
    ],
)
def test_arguments_that_would_fail_later_are_refused_at_once(pair_set, options, message):
    with pytest.raises(UsageError, match=message):
        dimmagen.pair_loader(pair_set, **{"batch_size": 2, "crop": 16, **options})


def test_crops_below_one_pixel_are_refused_by_index_too(pair_set):
    with pytest.raises(UsageError, match="`crop` is 0"):
        dimmagen.PairDataset(pair_set, crop=0)


def test_pairs_of_several_sizes_come_one_by_one_or_through_a_transform(pair_set):
    assert len(list(dimmagen.pair_loader(pair_set, batch_size=1))) == 12
    loader = dimmagen.pair_loader(pair_set, batch_size=4, transform=lambda pair: pair["dark"][:, :8, :8])
    assert next(iter(loader)).shape == (4, 3, 8, 8)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_shard_that_is_cut_anywhere_is_an_error_that_names_verify(pair_set, tmp_path, share):
    out = copy_set(pair_set, tmp_path / "out")
    shard = sorted((out / "shards").glob("*.tar"))[0]
    shard.write_bytes(shard.read_bytes()[: int(shard.stat().st_size * share)])
    with pytest.raises(DimmagenError, match=r"run `verify\("):
        list(dimmagen.pair_loader(out, batch_size=1))


def test_what_is_not_a_data_set_says_what_it_is(tmp_path):
    for name, marks, said in (
        ("mixhq", ("manifest.json", "shards", "catalog"), "is a MixHQ: light images only"),
        ("export", ("export.json",), "is an export, not a data set"),
    ):
        for mark in marks:
            (tmp_path / name / mark).mkdir(parents=True)
        for loader in (dimmagen.PairDataset, lambda out: dimmagen.pair_loader(out, batch_size=2)):
            with pytest.raises(DimmagenError, match=said):
                loader(tmp_path / name)


@pytest.mark.parametrize(
    ("options", "workers", "pinned", "kept"),
    [
        ({}, 0, False, False),
        ({"workers": 1}, 1, False, True),
        ({"num_workers": 3, "pin_memory": True}, 3, True, True),
        ({"workers": 2, "persistent_workers": False}, 2, False, False),
        ({"workers": 9}, 4, False, True),
    ],
)
def test_processes_and_memory_are_those_that_were_asked_for(tiny, options, workers, pinned, kept):
    [loader] = dimmagen.pair_loader(tiny.out, batch_size=2, crop=12, **options).pipeline
    assert (loader.num_workers, loader.pin_memory, loader.persistent_workers) == (workers, pinned, kept)


def test_crops_are_at_every_position_up_to_the_edge(tiny):
    light = tiny.images(tiny.row(0))[1]
    crops = dimmagen.PairDataset(tiny.out, crop=12)
    torch.manual_seed(0)
    drawn = {(crops[0]["light"] * 255).round().byte().numpy().tobytes() for _ in range(60)}
    assert drawn == {light[:, left : left + 12].transpose(2, 0, 1).tobytes() for left in range(5)}


def test_workers_share_the_shards(tiny, monkeypatch):
    stream, keys = stream_of(dimmagen.pair_loader(tiny.out, batch_size=1)), []
    for worker in range(3):
        info = SimpleNamespace(id=worker, num_workers=3)
        monkeypatch.setattr(pair_stream, "get_worker_info", lambda info=info: info)
        keys.append([pair["key"] for pair in stream])
    assert [len(own) for own in keys] == [2, 1, 1]
    assert sorted(keys[0] + keys[1] + keys[2]) == sorted(tiny.table["key"].to_pylist())


@pytest.mark.parametrize(("own", "others"), [(0, 2), (1, 1)])
def test_a_loader_in_the_workers_of_another_one_is_refused(own, others, tiny):
    loader = dimmagen.pair_loader(tiny.out, batch_size=1, workers=own)
    with pytest.raises(UsageError, match="in the workers of another DataLoader: read it directly"):
        list(DataLoader(loader, batch_size=None, num_workers=others))


def test_a_loader_in_the_only_worker_of_another_one_gives_every_pair_once(tiny):
    loader = dimmagen.pair_loader(tiny.out, batch_size=1)
    keys = [key for batch in DataLoader(loader, batch_size=None, num_workers=1) for key in batch["key"]]
    assert sorted(keys) == sorted(tiny.table["key"].to_pylist())


def test_of_two_passes_at_once_the_first_is_refused_where_both_need_the_workers(tiny):
    """`zip(loader, loader)` lost a part of the pairs, and gave others twice."""
    loader = dimmagen.pair_loader(tiny.out, batch_size=1, crop=8, workers=2)
    first, second = iter(loader), iter(loader)
    next(first), next(second)
    with pytest.raises(UsageError, match="another pass of this loader has begun"):
        next(first)
    assert 1 + len(list(second)) == len(loader)


def only_key(pair):
    return pair["key"]


@pytest.mark.parametrize("place", ["lambda", "a notebook"])
def test_a_transform_that_workers_cannot_have_is_refused(place, tiny, monkeypatch):
    monkeypatch.setattr("multiprocessing.get_start_method", lambda allow_none: "spawn")
    transform = (lambda pair: 0) if place == "lambda" else of_a_notebook(monkeypatch)
    with pytest.raises(UsageError, match=rf"started by spawn, cannot have `transform` \(.*{place}"):
        dimmagen.pair_loader(tiny.out, batch_size=1, workers=1, transform=transform)
    dimmagen.pair_loader(tiny.out, batch_size=1, workers=0, transform=transform)
    dimmagen.pair_loader(tiny.out, batch_size=1, workers=1, transform=only_key)


def of_a_notebook(monkeypatch):
    """A function of a module `__main__` without a file."""
    notebook = ModuleType("__main__")
    exec("def transform(pair): return pair", vars(notebook))
    monkeypatch.setitem(sys.modules, "__main__", notebook)
    return notebook.transform


@pytest.mark.parametrize("options", [{"workers": 0}, {"workers": 2, "persistent_workers": False}], ids=str)
def test_passes_at_once_are_whole_where_each_has_its_own_readers(options, tiny):
    loader = dimmagen.pair_loader(tiny.out, batch_size=1, crop=8, **options)
    pairs = [(one["key"][0], other["key"][0]) for one, other in zip(loader, loader, strict=True)]
    every = sorted(dimmagen.PairDataset(tiny.out).pairs.table["key"].to_pylist())
    assert [sorted(keys) for keys in zip(*pairs, strict=True)] == [every, every]


@pytest.mark.parametrize(
    ("buffer", "orders", "places_early"), [(0, 1, {0}), (2, 4, {1}), (24, 4, range(5, 24))]
)
def test_the_pairs_of_a_shard_are_shuffled_within_the_buffer(one_shard, buffer, orders, places_early):
    keys = one_shard.table["key"].to_pylist()
    torch.manual_seed(0)
    loader = dimmagen.pair_loader(one_shard.out, batch_size=1, buffer=buffer)
    found = [tuple(map(keys.index, keys_of(loader))) for _ in range(4)]
    assert {tuple(sorted(order)) for order in found} == {tuple(range(24))}
    assert len(set(found)) == orders
    assert max(index - place for order in found for place, index in enumerate(order)) in places_early


def test_shards_are_shuffled_where_the_buffer_holds_one_pair(tiny):
    torch.manual_seed(0)
    loader = dimmagen.pair_loader(tiny.out, batch_size=1, buffer=1)
    assert len({tuple(keys_of(loader)) for _ in range(6)}) > 3


def test_a_resampled_pass_draws_shards_with_replacement(tiny):
    torch.manual_seed(0)
    loader = dimmagen.pair_loader(tiny.out, batch_size=1, epoch=4)
    assert {len(set(keys_of(loader))) for _ in range(40)} > {4}


def test_numbers_are_float32_where_a_program_computes_in_float64(tiny):
    torch.set_default_dtype(torch.float64)
    try:
        batch = next(iter(dimmagen.pair_loader(tiny.out, batch_size=2, crop=12)))
    finally:
        torch.set_default_dtype(torch.float32)
    assert batch["dark"].dtype == batch["gamma"].dtype == torch.float32


def test_a_loader_can_be_pickled_and_has_its_length(tiny):
    loader = pickle.loads(pickle.dumps(dimmagen.pair_loader(tiny.out, batch_size=3, crop=12)))
    assert len(loader) == len(list(loader)) == 2


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_relative_path_is_that_of_the_place_where_the_loader_was_made(
    tiny, tmp_path, monkeypatch, is_stream
):
    """A program, or a framework for it, changes the working directory later; so do workers of Ray."""
    monkeypatch.chdir(Path(tiny.out).parent)
    loader = dimmagen.pair_loader("out", batch_size=1) if is_stream else dimmagen.PairDataset("out")
    monkeypatch.chdir(tmp_path)
    pairs = keys_of(loader) if is_stream else [pair["key"] for pair in loader]
    assert sorted(pairs) == sorted(tiny.table["key"].to_pylist())


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_are_in_the_memory_of_the_processor_whatever_the_default_device_is(tiny, workers):
    """Of `torch.set_default_device("cuda")`: here `meta`, which has no numbers."""
    torch.manual_seed(3)
    loader = dimmagen.pair_loader(tiny.out, batch_size=2, crop=8, workers=workers)
    expected = [batch["light"] for batch in loader]
    with torch.device("meta"):
        torch.manual_seed(3)
        loader = dimmagen.pair_loader(tiny.out, batch_size=2, crop=8, workers=workers)
        found = list(loader)
        pair = dimmagen.PairDataset(tiny.out, crop=8)[0]
    assert [batch["gamma"].device.type for batch in found] == ["cpu"] * 2
    assert [batch["variant"].device.type for batch in found] == ["cpu"] * 2
    assert all(map(torch.equal, [batch["light"] for batch in found], expected))
    assert pair["dark"].device.type == "cpu"


def test_what_just_fits_is_not_refused(tiny, tmp_path, monkeypatch):
    assert dimmagen.PairDataset(tiny.out, crop=12)[0]["dark"].shape == (3, 12, 12)
    assert dimmagen.PairDataset(tiny.out, crop=1)[0]["light"].shape == (3, 1, 1)
    with pytest.raises(UsageError, match="have 2 sizes"):
        dimmagen.pair_loader(tiny.out, batch_size=2)
    one_size = tiny_set(tmp_path / "out", 1, variants=2)
    [batch] = dimmagen.pair_loader(one_size.out, batch_size=2)
    assert batch["dark"].shape == (2, 3, 12, 16)
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "3")
    assert len(dimmagen.pair_loader(tiny.out, batch_size=2, crop=12)) == 1
