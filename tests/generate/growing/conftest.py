"""A data set of two generations of tiny light images."""

import shutil
from pathlib import Path

import pytest

from dimmagen.dataset.manifest import Manifest
from dimmagen.dataset.reader import open_pairs
from dimmagen.generate.growing import open_base
from dimmagen.generate.run import generate_dataset
from tests.dataset_helpers import build_dimmer
from tests.generate.growing.made import SERIAL, SETTINGS
from tests.tiny_set import TinyLights, make_tiny, rejected_row, tiny_lights


@pytest.fixture(scope="session")
def parts(tmp_path_factory) -> list[TinyLights]:
    """4 light images of a folder and 3 of COCO; each with rejected candidates."""
    place = tmp_path_factory.mktemp("lights")
    first, second = tiny_lights(place / "a", 4), tiny_lights(place / "b", 3, first=4, source="coco")
    first.rejects[:] = [rejected_row("b.png", sha256="b" * 64), rejected_row("c.png", sha256="c" * 64)]
    second.rejects[:] = [rejected_row("d.png", "coco", sha256="")]
    return [first, second]


@pytest.fixture(scope="session")
def first(parts, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("first") / "out"
    make_tiny(parts[0], out, variants=2)
    return out


@pytest.fixture(scope="session")
def grown(parts, first, tmp_path_factory) -> Path:
    """6 shards: 2 for each variant of the first 4 images, and one for each of the next 3."""
    out = shutil.copytree(first, tmp_path_factory.mktemp("grown") / "out")
    generate_dataset(parts[1], build_dimmer, str(out), SETTINGS, SERIAL, base=open_base(str(out)))
    return out


@pytest.fixture
def copy(grown, tmp_path) -> Path:
    return shutil.copytree(grown, tmp_path / "out")


@pytest.fixture
def base(grown) -> Manifest:
    return open_pairs(grown).manifest
