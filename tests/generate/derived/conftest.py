"""Two tiny data sets that are merged, and of which subsets are made."""

import pytest

from dimmagen.dataset.reader import open_pairs
from tests.tiny_set import make_tiny, rejected_row, tiny_lights


@pytest.fixture(scope="session")
def one(tmp_path_factory):
    """4 light images of two file types, 2 variants; two rejected candidates."""
    folder = tmp_path_factory.mktemp("one")
    lights = tiny_lights(folder / "lights", 4)
    lights.rejects[:] = [rejected_row("b.png"), rejected_row("c.png")]
    make_tiny(lights, folder / "out", variants=2, samples_per_shard=5)
    return open_pairs(folder / "out")


@pytest.fixture(scope="session")
def two(tmp_path_factory):
    """3 other light images of a source, 1 variant; two rejected candidates, one of which is also in `one`."""
    folder = tmp_path_factory.mktemp("two")
    lights = tiny_lights(folder / "lights", 3, first=4, source="coco")
    lights.rejects[:] = [
        rejected_row("b.png"),
        rejected_row("a.png", "coco"),
        rejected_row("a.png", "aa", "first"),
    ]
    make_tiny(lights, folder / "out", seed=7, samples_per_shard=3)
    return open_pairs(folder / "out")
