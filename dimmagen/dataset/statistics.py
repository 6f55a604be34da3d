"""What is in a data set, in numbers."""

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from dimmagen.core.disk_list import DiskList
from dimmagen.dataset.manifest import Manifest

NUMBERS = ("gamma", "tau", "exposure", "lightness_before", "lightness_after", "width", "height")
PERCENTS = (0, 5, 50, 95, 100)
_BLOCKS = " ▁▂▃▄▅▆▇█"


class DatasetSummary:
    """Counts and quantiles of a data set that is read part by part; the numbers wait on disk."""

    def __init__(self) -> None:
        self._counts = {column: Counter[str]() for column in ("source", "profile", "model", "variant")}
        self._numbers = {name: DiskList() for name in NUMBERS}

    def adding(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Take in the tables that pass through, with the columns of :data:`PAIR_SCHEMA` at least."""
        for table in tables:
            for column, counts in self._counts.items():
                for value, count in Counter(table[column].to_pylist()).items():
                    counts[str(value)] += count
            for name, spool in self._numbers.items():
                spool.append(np.asarray(table[name], np.float64).tobytes())
            yield table

    def result(self, manifest: Manifest) -> dict:
        """Pairs by source, profile, model and variant; of each of `NUMBERS` the quantiles at `PERCENTS`, and
        a histogram of 10 bins between the least and the most."""
        return {
            "pairs": manifest.counts.pairs,
            "photos": manifest.counts.lights,
            "bytes": sum(shard.bytes for shard in manifest.shards),
            "counts": {column: dict(sorted(counts.items())) for column, counts in self._counts.items()},
            "numbers": {name: _spread(spool, manifest.counts.pairs) for name, spool in self._numbers.items()},
        }


def _spread(spool: DiskList, count: int) -> dict[str, list]:
    values, start = np.empty(count), 0
    for part in map(np.frombuffer, spool):
        values[start : start + len(part)] = part
        start += len(part)
    return {
        "histogram": np.histogram(values, 10)[0].tolist(),
        "quantiles": np.percentile(values, PERCENTS, overwrite_input=True).round(6).tolist(),
    }


def bars(histogram: list[int]) -> str:
    """A histogram as a line of text; a bin that holds anything is never empty."""
    return "".join(_BLOCKS[-(-8 * count // max(histogram))] for count in histogram)


def short(value: float) -> str:
    """Three digits, whole numbers as they are."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"
