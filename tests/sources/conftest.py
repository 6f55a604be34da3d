"""Photos for index passes, and what is read of them."""

import os
import shutil
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from skimage import data as photos

from dimmagen.core.storage import listing
from dimmagen.sources import archives, scan_store
from dimmagen.sources import scan as scanning
from tests.sources.index_passes import FILES


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """Photos of which some are dark, small, damaged, or equal to one of another range."""
    folder = tmp_path_factory.mktemp("template")
    coffee = photos.coffee()[:300, :300]
    for number in range(FILES - 4):
        Image.fromarray(np.roll(coffee, 7 * number, axis=1)).save(folder / f"{number:02d}.jpg")
    Image.fromarray(coffee // 12).save(folder / "dark.png")
    Image.fromarray(coffee[:99]).save(folder / "small.png")
    (folder / "damaged.jpg").write_bytes((folder / "01.jpg").read_bytes()[:-3000])
    (folder / "same.jpg").write_bytes((folder / "02.jpg").read_bytes())
    return folder


@pytest.fixture
def folder(template, tmp_path):
    """A copy to change."""
    return shutil.copytree(template, tmp_path / "photos")


@pytest.fixture
def reads(monkeypatch):
    """How often each file was read since this was last cleared."""
    counts = Counter()

    def counting(locator):
        counts[os.path.basename(locator["path"])] += 1
        return archives.read_entry(locator)

    monkeypatch.setattr(scanning, "read_entry", counting)
    return counts


@pytest.fixture
def settled(monkeypatch):
    """Files may be taken for unchanged as soon as they are written."""
    monkeypatch.setattr(listing, "_UNSETTLED_NS", 0)


@pytest.fixture
def cache(settled, monkeypatch, tmp_path):
    """The folder of a user's cache."""
    scan_store._warn_once.cache_clear()
    monkeypatch.setenv("DIMMAGEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
