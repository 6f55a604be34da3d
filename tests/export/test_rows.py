"""What an export keeps of pairs: places of light images, rows on disk, names that are made when asked for."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from dimmagen.export.rows import ExportRows, NamedPair, NamedPairs, PairNumbers, StoredRows

KEYS = ["b", "a", "c", "a", "b", "a"]


@pytest.fixture
def rows():
    return [{"light_key": key, "width": 10 + place, "height": 20} for place, key in enumerate(KEYS)]


@pytest.fixture
def numbers(rows):
    table = pa.concat_tables([pa.Table.from_pylist(rows[:2]), pa.Table.from_pylist(rows[2:])])
    return PairNumbers.of(SimpleNamespace(table=table))


def test_light_images_are_numbered_by_their_keys_with_their_first_and_last_pair(numbers):
    assert numbers.light_keys.to_pylist() == ["a", "b", "c"]
    assert numbers.lights.tolist() == [1, 0, 2, 0, 1, 0]
    assert (numbers.first.tolist(), numbers.last.tolist()) == ([1, 0, 2], [5, 4, 2])
    assert numbers.sizes.tolist() == [[20, 10 + place] for place in range(6)]


def test_named_pairs_are_made_when_they_are_asked_for(rows, numbers):
    chosen = ExportRows(StoredRows(rows), np.array([4, 1]))
    assert (list(chosen), chosen[1], list(chosen[:1])) == ([rows[4], rows[1]], rows[1], [rows[4]])
    named = NamedPairs("{split}_{number:05d}", "val", chosen, numbers, numbers.sizes - 1)
    expected = [NamedPair("val_00001", rows[4], (19, 13)), NamedPair("val_00002", rows[1], (19, 10))]
    assert (list(named), named[0], named[-2:]) == (expected, expected[0], expected)
    assert named.lights.tolist() == [1, 0]
    files = named.files("png")
    assert dict(files) == {"val_00001.png": (19, 13), "val_00002.png": (19, 10)}
    assert (len(files), [*files], "val_00003.png" in files) == (2, ["val_00001.png", "val_00002.png"], False)
