"""The numbers of a data set are those of its pairs, in however many parts they come."""

import itertools

import numpy as np
import pyarrow as pa
import pytest

from dimmagen.dataset.pair_tables import pair_tables
from dimmagen.dataset.reader import open_pairs
from dimmagen.dataset.statistics import NUMBERS, DatasetSummary, bars, short


@pytest.fixture(scope="module")
def pairs(pair_set):
    return open_pairs(pair_set)


def summary_of(tables, manifest):
    summary = DatasetSummary()
    assert [len(table) for table in summary.adding(tables)] == [len(table) for table in tables]
    return summary.result(manifest)


def test_counts_and_sizes_are_those_of_the_pairs(pairs, pair_set):
    result = summary_of(list(pair_tables(str(pair_set), pairs.manifest)), pairs.manifest)
    assert (result["pairs"], result["photos"]) == (12, 6)
    assert result["bytes"] == sum(path.stat().st_size for path in (pair_set / "shards").iterdir())
    assert result["counts"] == {
        "source": {"folder": 12},
        "profile": {"linear": 12},
        "model": {"linear": 12},
        "variant": {"0": 6, "1": 6},
    }


def test_quantiles_and_histograms_are_those_of_all_values(pairs, pair_set):
    result = summary_of(list(pair_tables(str(pair_set), pairs.manifest)), pairs.manifest)
    assert tuple(result["numbers"]) == NUMBERS
    for name, spread in result["numbers"].items():
        values = np.array(pairs.table[name].to_pylist(), float)
        assert spread["quantiles"] == pytest.approx(np.percentile(values, [0, 5, 50, 95, 100]), abs=1e-6)
        assert spread["quantiles"] == [round(value, 6) for value in spread["quantiles"]]
        assert spread["histogram"] == np.histogram(values, 10)[0].tolist()
        assert sum(spread["histogram"]) == 12


@pytest.mark.parametrize("cuts", [[], [1], [3, 4, 11]])
def test_parts_of_any_size_give_the_numbers_of_the_whole(pairs, cuts):
    ends = [0, *cuts, len(pairs)]
    parts = [pairs.table.slice(start, end - start) for start, end in itertools.pairwise(ends)]
    assert summary_of(parts, pairs.manifest) == summary_of([pairs.table], pairs.manifest)


def test_counts_stand_in_the_order_of_their_names(pairs):
    table = pairs.table.drop(["source"]).append_column("source", pa.array(["b", "a", "c"] * 4))
    counts = summary_of([table], pairs.manifest)["counts"]["source"]
    assert list(counts.items()) == [("a", 4), ("b", 4), ("c", 4)]


def test_bars_are_as_high_as_their_counts_and_only_what_is_empty_is_blank():
    assert bars([0, 1, 50, 100, 1000]) == " ▁▁▁█"
    assert bars([0, 1, 2, 3, 4, 5, 6, 7, 8]) == " ▁▂▃▄▅▆▇█"
    assert bars([4, 4]) == "██"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.123456, "0.123"), (12.345, "12.3"), (999.4, "999"), (1000, "1000"), (123456.7, "123457"), (0, "0")],
)
def test_numbers_are_shown_with_three_digits_and_large_ones_whole(value, text):
    assert short(value) == text
