"""Counts, quantiles and histograms of a data set."""

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from dimmagen.core.disk_list import DiskList
from dimmagen.dataset.manifest import Manifest

NUMBERS = ("gamma", "tau", "exposure", "lightness_before", "lightness_after", "width", "height")
COUNTED = ("source", "profile", "model", "variant")
PERCENTS = (0, 5, 50, 95, 100)
_BLOCKS = " ▁▂▃▄▅▆▇█"


class DatasetSummary:
    """Counts and quantiles of a data set that is read part by part; the numbers are kept on disk."""

    def __init__(self) -> None:
        self._counts = {column: Counter[str]() for column in COUNTED}
        self._numbers = {name: DiskList() for name in NUMBERS}

    def adding(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Add tables while they pass through.

        Args:
            tables: parts of the data set, with the columns of :data:`PAIR_SCHEMA`.

        Returns:
            The same tables.
        """
        for table in tables:
            for column, counts in self._counts.items():
                for value, count in Counter(table[column].to_pylist()).items():
                    counts[str(value)] += count
            for name, numbers in self._numbers.items():
                numbers.append(np.asarray(table[name], np.float64).tobytes())
            yield table

    def result(self, manifest: Manifest) -> dict:
        """The statistics of all tables, as values that JSON can represent.

        `counts` has the number of pairs by source, profile, model and variant; `numbers` has, for each of
        `NUMBERS`, the quantiles at `PERCENTS`, and a histogram of 10 bins from the minimum to the maximum.

        Args:
            manifest: of the data set.
        """
        return {
            "pairs": manifest.counts.pairs,
            "photos": manifest.counts.lights,
            "bytes": sum(shard.bytes for shard in manifest.shards),
            "counts": {column: dict(sorted(counts.items())) for column, counts in self._counts.items()},
            "numbers": {
                name: _distribution(numbers, manifest.counts.pairs) for name, numbers in self._numbers.items()
            },
        }


def _distribution(numbers: DiskList, count: int) -> dict[str, list]:
    """Histogram and quantiles of a list of float64 arrays with `count` values in total."""
    values, start = np.empty(count), 0
    for part in map(np.frombuffer, numbers):
        values[start : start + len(part)] = part
        start += len(part)
    return {
        "histogram": np.histogram(values, 10)[0].tolist(),
        "quantiles": np.percentile(values, PERCENTS, overwrite_input=True).round(6).tolist(),
    }


def bars(histogram: list[int]) -> str:
    """A histogram as a line of text; a bin that is not empty is always visible."""
    return "".join(_BLOCKS[-(-8 * count // max(histogram))] for count in histogram)


def short(value: float) -> str:
    """A number with three significant digits; from 1000 on, without decimals."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"
