"""A data set of the default camera, and its light and dark images, for all backends."""

import os
from dataclasses import dataclass

import numpy as np
import pytest

from dimmagen.api import make_dataset
from dimmagen.dataset.reader import open_pairs
from tests.dataset_helpers import write_photos

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # its import asks the network for a newer version


@dataclass(frozen=True)
class MadePair:
    """One pair that `dimmagen dim` wrote with seed 5: light and dark uint8 (H, W, 3)."""

    key: str
    variant: int
    light: np.ndarray
    dark: np.ndarray


@pytest.fixture(scope="session")
def made_pairs(tmp_path_factory) -> list[MadePair]:
    """Two variants of two photos, with gamma in 0.5 .. 4."""
    folder = tmp_path_factory.mktemp("transforms")
    photos = write_photos(folder / "photos", 2)
    make_dataset("lol3", [str(photos)], folder / "out", gamma=(0.5, 4.0), variants=2, seed=5)
    pairs = open_pairs(folder / "out")
    found = []
    for row in pairs.rows():
        dark, light = pairs.images(row)
        found.append(MadePair(row["light_key"], row["variant"], light, dark))
    assert {pair.variant for pair in found} == {0, 1}
    return found
