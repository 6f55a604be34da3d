"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real test pictures and weights; skips, saying so, where it is absent."""
    folder = Path(os.environ.get("DIMMAGEN_TEST_DATA", _ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no shared test data at {folder}; set DIMMAGEN_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def pair_set(tmp_path_factory) -> Path:
    """A finished data set, for reading only: 6 photos (JPEG and PNG), 2 variants, 12 pairs in 4 shards."""
    from tests.dataset_helpers import make, write_photos

    folder = tmp_path_factory.mktemp("pair_set")
    make(write_photos(folder / "photos", 6), folder / "out", variants=2)
    return folder / "out"
