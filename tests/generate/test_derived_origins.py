"""What subsets and merges take from the sets that they are made of, and when they refuse it."""

import shutil
from dataclasses import replace
from functools import partial

import pytest

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.parquet import write_rows
from dimmagen.dataset.compare_unordered import unordered_differences
from dimmagen.dataset.reader import open_pairs
from dimmagen.generate.merge import write_merge
from dimmagen.generate.subset import Selection, write_subset
from dimmagen.sources.catalog import REJECTED_SCHEMA
from tests.tiny_set import make_tiny, tiny_lights, tiny_set


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    return tiny_set(tmp_path_factory.mktemp("one") / "set", 2)


def test_a_set_is_known_as_itself_however_it_is_named(one):
    """It was advised to remove its folder, to make room for the new set."""
    places = {one.out: one.out, f"file://{one.out}": one.out, "memory://set": "memory://set/"}
    for origin, out in places.items():
        with pytest.raises(UsageError, match="is the data set itself") as caught:
            write_subset(replace(one, out=str(origin)), Selection(), str(out))
        assert caught.value.code == "conflict"
        assert caught.value.fields == {"parameter": "out", "value": out}


def test_a_photo_that_one_set_has_as_png_and_another_as_jpeg_is_measured_as_jpeg(tmp_path):
    """Of the two files of one photo, only that which is converted says what it costs."""
    lights = tiny_lights(tmp_path / "lights", 2)
    lights.listed = lights.listed[1:]
    for seed in range(4):  # so that either pair of the photo comes first
        make_tiny(lights, tmp_path / f"jpg{seed}", seed=seed)
        make_tiny(lights, tmp_path / f"png{seed}", seed=seed + 10, light_format="png")
        told = []
        sets = [open_pairs(tmp_path / f"{name}{seed}") for name in ("jpg", "png")]
        out = str(tmp_path / f"out{seed}")
        manifest = write_merge(sets, out, light_format="auto", on_conversion=told.append)
        assert manifest.settings["light_format"] == "png"
        [conversion] = told
        sizes = [row["light_size"] for pairs in sets for row in pairs.rows()]
        assert (conversion.measured, conversion.converted) == (1, 1)
        assert [conversion.bytes_before, conversion.bytes_after] == sizes


def test_a_list_of_rejected_candidates_that_is_not_that_of_the_manifest_is_not_copied(one, tmp_path):
    out = tmp_path / "set"
    shutil.copytree(one.out, out)
    listed = out / "rejected/candidates.parquet"
    write_rows(str(listed), [], REJECTED_SCHEMA)
    for make in (
        partial(write_subset, open_pairs(out), Selection()),
        partial(write_merge, [open_pairs(out), one]),
    ):
        with pytest.raises(DimmagenError, match="not the file that the manifest names") as caught:
            make(str(tmp_path / "derived"))
        assert (caught.value.code, caught.value.fields) == ("damaged", {"path": str(listed)})
        shutil.rmtree(tmp_path / "derived")
    with pytest.raises(DimmagenError, match="not the file that the manifest names"):
        unordered_differences(str(out), one.out)
