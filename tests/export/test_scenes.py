"""Scenes of light images, found one by one, compared with those of all images at once."""

import numpy as np
import pyarrow as pa
import pytest

from dimmagen.core import keyed_random
from dimmagen.export import scenes as scenes_module
from dimmagen.export.rows import PairNumbers
from dimmagen.export.scenes import Scenes
from dimmagen.export.split import split_pairs
from dimmagen.sources.scene_hash import SAME_SCENE_BITS

COUNT = 160


@pytest.fixture
def bits():
    """Hashes in chains, of which neighbours are near and the ends are not, bool (160, 256)."""
    generator = np.random.default_rng(0)
    found = []
    for length in (*[5] * 12, *[1] * 100):
        one = generator.random(256) < 0.5
        for _ in range(length):
            found.append(one)
            one = one ^ np.isin(np.arange(256), generator.choice(256, SAME_SCENE_BITS, replace=False))
    return np.array(found)[generator.permutation(COUNT)]


@pytest.fixture
def files():
    """The file of each image; two files have several images."""
    numbers = np.arange(COUNT, dtype=np.uint64)
    numbers[[3, 17, 140]] = 3
    numbers[[5, 6]] = 5
    return numbers


def leaders(bits, files):
    """The first image that each is connected with, by comparing all with all until nothing changes."""
    near = (bits[:, None] != bits[None]).sum(axis=2) <= SAME_SCENE_BITS
    near |= files[:, None] == files[None]
    found = np.arange(COUNT)
    while True:
        smaller = np.where(near, found[None], COUNT).min(axis=1)
        if (smaller == found).all():
            return found
        found = smaller


def scenes_of(bits, files):
    keys = pa.array([f"coco-{number:03}" for number in range(COUNT)])
    return Scenes(keys, np.packbits(bits, axis=1).view(np.uint64), files)


@pytest.mark.parametrize("at_once", [1, 7, 1000])
def test_a_scene_is_all_that_is_connected_and_is_named_by_its_first_image(bits, files, at_once, monkeypatch):
    monkeypatch.setattr(scenes_module, "_AT_ONCE", at_once)
    expected, scenes = leaders(bits, files), scenes_of(bits, files)
    assert 100 < len({*expected}) < 112
    for light in np.random.default_rng(1).permutation(COUNT).tolist():
        assert scenes.scene(light) == expected[light]


def test_scenes_come_in_a_keyed_order_with_all_their_images(bits, files):
    expected = leaders(bits, files)
    rank = [keyed_random.rank(0, f"coco-{leader:03}", "validation") for leader in expected]
    in_order = sorted(range(COUNT), key=lambda light: (rank[light], light))
    assert list(scenes_of(bits, files).in_order()) == in_order


def test_only_the_scenes_that_are_held_out_are_looked_for(bits, files):
    lights = np.tile(np.arange(COUNT), 2)  # two variants
    keys = pa.array([f"coco-{number:03}" for number in range(COUNT)])
    numbers = PairNumbers(keys, lights, np.arange(COUNT), np.arange(COUNT) + COUNT, np.ones((2 * COUNT, 2)))
    scenes, expected = scenes_of(bits, files), leaders(bits, files)
    split = split_pairs(numbers, np.arange(2 * COUNT), scenes, 1, None, test=1)
    held = [expected[lights[part[0]]] for part in (split.validation, split.test)]
    assert held[0] != held[1]
    assert not {*held} & {*expected[lights[split.train]]}
    assert sorted({*split.train, *np.flatnonzero(np.isin(expected[lights], held))}) == list(range(2 * COUNT))
    assert (scenes.found == -1).sum() > COUNT / 2
