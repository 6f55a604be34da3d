"""A pass of a loader that was interrupted goes on in another process with the pairs that are left."""

import hashlib
import json
import pickle
import random

import numpy as np
import pytest
import torch

import dimmagen
from dimmagen.core.errors import UsageError
from dimmagen.dataset import pair_stream
from dimmagen.dataset.loader_state import delivered, seed_worker
from tests.tiny_set import tiny_set


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """13 pairs of several sizes in 5 shards."""
    return tiny_set(tmp_path_factory.mktemp("tiny") / "out", 13, samples_per_shard=3).out


def noisy(pair):
    """A transform that draws."""
    return {"key": pair["key"], "light": pair["light"], "drawn": torch.rand(())}


def read(batches):
    return [
        (key, light.numpy().tobytes(), float(drawn))
        for batch in batches
        for key, light, drawn in zip(*(batch[name] for name in ("key", "light", "drawn")), strict=True)
    ]


@pytest.mark.parametrize(
    ("options", "stops"),
    [
        ({"workers": 0}, (0, 1, 5, 7)),
        ({"workers": 0, "buffer": 0}, (4,)),
        ({"workers": 0, "epoch": 6}, (1, 6)),
        ({"workers": 2, "drop_last": True}, (3,)),
        ({"workers": 3, "buffer": 2, "epoch": 5}, (4,)),
    ],
    ids=str,
)
def test_the_rest_of_a_pass_is_what_another_process_would_have_read(out, options, stops):
    torch.manual_seed(1)
    loader = dimmagen.pair_loader(out, batch_size=2, crop=8, transform=noisy, **options)
    list(loader)  # workers that are kept have read a pass before
    batches, states, generators = [], [loader.state_dict()], [torch.get_rng_state()]
    for batch in loader:
        batches.append(batch)
        states.append(loader.state_dict())
        generators.append(torch.get_rng_state())
    assert len(batches) == len(loader) > max(stops) - 1
    following = read(loader) if options["workers"] == 0 else None
    for stop in stops:
        again = dimmagen.pair_loader(out, batch_size=2, crop=8, transform=noisy, **options)
        torch.manual_seed(99)
        again.load_state_dict(json.loads(json.dumps(states[stop])) if stop else states[0])
        torch.set_rng_state(generators[stop])
        assert read(again) == read(batches[stop:])
        if following:
            assert read(again) == following


def test_what_was_read_is_not_decoded_again(out, monkeypatch):
    loader = dimmagen.pair_loader(out, batch_size=1, crop=8)
    for _, _ in zip(range(10), loader, strict=False):
        pass
    state, decoded, opened = loader.state_dict(), [], []
    image, samples = pair_stream.image_in, pair_stream.shard_samples
    monkeypatch.setattr(pair_stream, "image_in", lambda *given: decoded.append(1) or image(*given))
    monkeypatch.setattr(pair_stream, "shard_samples", lambda *given: opened.append(1) or samples(*given))
    again = dimmagen.pair_loader(out, batch_size=1, crop=8)
    again.load_state_dict(state)
    assert again.state_dict() == state
    assert len(list(again)) == 3
    assert (len(decoded), len(opened)) == (6, 5)
    unshuffled = dimmagen.pair_loader(out, batch_size=1, crop=8, shuffle=False)
    unshuffled.load_state_dict({**state, "of": unshuffled.state_dict()["of"]})
    opened.clear()
    assert len(list(unshuffled)) == 3
    assert len(opened) == 2  # shards that were read are not read again


def test_every_rank_goes_on_where_it_was(out, monkeypatch):
    keys, rest = [], []
    monkeypatch.setenv("WORLD_SIZE", "2")
    states = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        loader = dimmagen.pair_loader(out, batch_size=2, crop=8)
        keys += next(iter(loader))["key"]
        states.append(pickle.loads(pickle.dumps(loader.state_dict())))
    for rank, state in zip(("0", "1"), states, strict=True):
        monkeypatch.setenv("RANK", rank)
        loader = dimmagen.pair_loader(out, batch_size=2, crop=8)
        loader.load_state_dict(state)
        rest += [key for batch in loader for key in batch["key"]]
    assert sorted(keys + rest) == sorted(dimmagen.PairDataset(out).pairs.table["key"].to_pylist())
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(UsageError, match="ranks was 2, is 3"):
        dimmagen.pair_loader(out, batch_size=2, crop=8).load_state_dict(states[0])


def test_the_state_of_the_first_rank_is_taken_by_the_others_with_a_warning(out, monkeypatch, caplog):
    """Lightning and accelerate keep one state for all. The first rank has one shard, so one worker, more."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    keys, state = [], None
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        torch.manual_seed(5)
        loader = dimmagen.pair_loader(out, batch_size=2, crop=8, workers=3)
        batches = iter(loader)
        keys += [key for _ in range(2) for key in next(batches)["key"]]
        state = state or loader.state_dict()
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        torch.manual_seed(99)
        loader = dimmagen.pair_loader(out, batch_size=2, crop=8, workers=3)
        assert caplog.text.count("continues with the state of rank 0") == 0
        loader.load_state_dict(state)
        keys += [key for batch in loader for key in batch["key"]]
    assert "rank 1 continues with the state of rank 0" in caplog.text
    assert sorted(keys) == sorted(dimmagen.PairDataset(out).pairs.table["key"].to_pylist())
    loader.load_state_dict(state | {"batches": 99})  # the first rank had more batches
    assert list(loader) == []
    loader.load_state_dict(state | {"seed": None, "batches": 0})
    assert len(list(loader)) == len(loader)
    assert caplog.text.count("continues with") == 2


def test_a_pass_that_has_ended_is_followed_by_a_new_one(out):
    loader = dimmagen.pair_loader(out, batch_size=4, crop=8)
    list(loader)
    state = loader.state_dict()
    assert (state["seed"], state["batches"]) == (None, 0)
    loader.load_state_dict(state)
    assert len(list(loader)) == 4


@pytest.mark.parametrize(
    "state",
    [
        *({}, {"seed": 1}, {"batches": True}, None, ["seed"], "checkpoint.pt"),
        *({"seed": seed, "batches": batches, "of": {}} for seed, batches in ((1, -1), (-1, 0), (2**63, 0))),
    ],
)
def test_what_is_no_state_is_refused(state, out):
    with pytest.raises(UsageError, match="not the state of a pair loader"):
        dimmagen.pair_loader(out, batch_size=1).load_state_dict(state)


def test_the_state_of_another_loader_is_refused(out):
    state = dimmagen.pair_loader(out, batch_size=1).state_dict()
    other = dimmagen.pair_loader(out, batch_size=2, crop=8, buffer=5)
    with pytest.raises(UsageError, match=r"batch_size was 1, is 2; buffer was 256, is 5"):
        other.load_state_dict(state)


def test_a_loader_with_added_stages_begins_a_new_pass_and_says_so(out, caplog):
    """A framework that asks every loader for its state goes on, as with a loader that has none."""
    loader = dimmagen.pair_loader(out, batch_size=1)
    next(iter(loader))
    added = loader.map(lambda batch: batch)
    state = added.state_dict()
    assert (state["seed"], state["batches"]) == (None, 0)
    assert "with added stages" in caplog.text
    added.load_state_dict(state)
    assert len(list(added)) == 13
    with pytest.raises(UsageError, match="added stages"):
        added.load_state_dict(loader.state_dict())


def test_added_stages_and_repetitions_give_all_that_they_make_of_the_batches(out):
    loader = dimmagen.pair_loader(out, batch_size=2, crop=8, workers=0)
    assert len(list(loader.unbatched())) == 13
    assert len(list(loader.unbatched().batched(1))) == 13
    keys = [batch["key"] for batch in loader.repeat(2)]
    assert len(keys) == 2 * len(loader) == 14
    assert keys[:7] != keys[7:]  # each in an order of its own
    loader = dimmagen.pair_loader(out, batch_size=2, crop=8, workers=0)
    assert len(list(loader.with_length(3, silent=True))) == 7


@pytest.mark.parametrize(
    ("batches", "of_workers", "expected"),
    [
        (0, [3, 3], ([0, 0], 0)),
        (3, [3, 3], ([2, 1], 1)),
        (2, [1, 3], ([1, 1], 1)),
        (4, [1, 9, 3], ([1, 2, 1], 2)),
        (5, [1, 9, 2], ([1, 2, 2], 1)),
        (7, [1, 9, 2], ([1, 4, 2], 1)),
        (10**12 + 1, [None, None], ([5 * 10**11 + 1, 5 * 10**11], 1)),
    ],
)
def test_batches_come_from_one_worker_after_the_other(batches, of_workers, expected):
    assert delivered(batches, of_workers) == expected


@pytest.mark.parametrize("of_workers", [[3], [3, 3], [1, 4], [4, 1], [2, 5, 3], [5, 0, 2]])
def test_batches_are_counted_as_a_loop_over_the_workers_would(of_workers):
    order, left = [], [*of_workers]
    while any(left):
        turn = [worker for worker, more in enumerate(left) if more]
        order += turn
        left = [more - (more > 0) for more in left]
    for batches, following in enumerate(order):
        counts = [order[:batches].count(worker) for worker in range(len(of_workers))]
        assert delivered(batches, of_workers) == (counts, following)
    assert delivered(len(order), of_workers)[0] == of_workers


def test_a_worker_draws_from_the_hash_of_its_place():
    with torch.random.fork_rng(devices=[]):
        for index in range(4):
            seed_worker(3, index)
            number = int.from_bytes(hashlib.sha256(f"3 {index}".encode()).digest()[:8], "big")
            assert torch.initial_seed() == number % 2**63
            assert random.random() == random.Random(number).random()
            assert np.random.random() == np.random.RandomState(number % 2**32).random_sample()
    assert number >= 2**63  # of which torch's generators have 63 bits


def test_the_state_of_a_beginning_is_kept_by_a_loader_that_was_left_in_the_middle_of_a_pass(out):
    loader = dimmagen.pair_loader(out, batch_size=2, crop=8)
    beginning = loader.state_dict()
    next(iter(loader))
    assert loader.state_dict() != beginning
    loader.load_state_dict(beginning)
    assert loader.state_dict() == beginning
