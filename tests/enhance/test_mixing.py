"""Real pairs among the batches of a data set: an exact share, at fixed positions, resumable anywhere."""

import itertools
from dataclasses import fields

import numpy as np
import pytest
import torch

from dimmagen.core.errors import UsageError
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.enhance.batch import Crops
from dimmagen.enhance.data import RealPairs
from dimmagen.enhance.mixing import MixedBatches

CROPS = Crops(side=16, flip=True, seed=3)


def pairs(prefix, count):
    draws = np.random.default_rng(len(prefix))
    lights = [draws.integers(0, 256, (20, 24, 3), np.uint8) for _ in range(count)]
    return [RealPair(f"{prefix}{n}", light // 8, light, "", "") for n, light in enumerate(lights)]


def mixed(share=0.3, batch=4, **process):
    synthetic = RealPairs(pairs("photo", 7), CROPS, batch, **process)
    return MixedBatches(synthetic, RealPairs(pairs("real", 3), CROPS, 1), share, batch, **process)


def take(batches, start, count):
    return list(itertools.islice(batches.open(start), count))


def keys(batches, start, count):
    return [key for batch in take(batches, start, count) for key in batch.keys]


def same(one, other):
    for field in fields(one):
        first, second = getattr(one, field.name), getattr(other, field.name)
        if isinstance(first, torch.Tensor):
            assert torch.equal(first, second), field.name
        else:
            assert first == second, field.name


@pytest.mark.parametrize("share", [0.05, 0.1, 0.25, 0.3, 0.9])
def test_the_share_of_real_examples_is_exact_over_any_stretch(share):
    real = [key.startswith("real") for key in keys(mixed(share), 0, 50)]
    for start, end in itertools.combinations(range(0, 201, 20), 2):
        assert abs(sum(real[start:end]) - share * (end - start)) < 1


def test_the_other_examples_are_those_of_a_run_without_real_pairs():
    batches = mixed()
    for plain, both in zip(take(batches.synthetic, 0, 9), take(batches, 0, 9), strict=True):
        for place, key in enumerate(both.keys):
            if not key.startswith("real"):
                assert key == plain.keys[place]
                assert torch.equal(both.inputs[place], plain.inputs[place])


def test_real_examples_are_crops_of_all_real_pairs_one_after_the_other():
    real = [key for key in keys(mixed(), 0, 10) if key.startswith("real")]
    assert len(real) == 12
    for start in range(0, 12, 3):
        assert set(real[start : start + 3]) == {"real0", "real1", "real2"}


def test_an_example_that_is_real_is_so_in_every_field():
    lone = RealPairs(pairs("real", 3), CROPS, 1)
    expected = lone.open(0)
    for batch in take(mixed(), 0, 10):
        for place, key in enumerate(batch.keys):
            if key.startswith("real"):
                one = next(expected)
                assert one.keys == (key,)
                assert torch.equal(batch.inputs[place], one.inputs[0])
                assert torch.equal(batch.target[place], one.target[0])
                assert batch.condition[place] == one.condition[0]


@pytest.mark.parametrize("start", [1, 4, 7])
def test_a_stream_that_is_opened_later_continues_exactly(start):
    for expected, got in zip(take(mixed(), 0, 9)[start:], take(mixed(), start, 9 - start), strict=True):
        same(expected, got)


def test_processes_that_train_together_share_the_real_examples():
    ranks = [mixed(rank=rank, world_size=2) for rank in (0, 1)]
    turns = zip(*(take(one, 0, 10) for one in ranks), strict=True)
    both = [key for turn in turns for batch in turn for key in batch.keys]
    real = [key for key in both if key.startswith("real")]
    assert len(real) == round(0.3 * 80)
    assert set(real[:3]) == {"real0", "real1", "real2"}


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_share_that_leaves_one_kind_out_is_refused(share):
    with pytest.raises(UsageError, match="not between 0 and 1"):
        mixed(share)


def test_a_real_pair_that_is_smaller_than_the_crop_is_refused():
    with pytest.raises(UsageError, match="too small for crops"):
        RealPairs(pairs("real", 1), Crops(32, False, 0), 1)
