"""What is in a data set, in numbers."""

from collections import Counter

import numpy as np

from dimmagen.pairset import PairSet

NUMBERS = ("gamma", "tau", "exposure", "lightness_before", "lightness_after", "width", "height")
PERCENTS = (0, 5, 50, 95, 100)
_BLOCKS = " ▁▂▃▄▅▆▇█"


def statistics(pairs: PairSet) -> dict:
    """Pairs by source, profile, model and variant; of each of `NUMBERS` the quantiles at `PERCENTS`, and a
    histogram of 10 bins between the least and the most."""
    table = pairs.table
    numbers = {}
    for name in NUMBERS:
        values = np.asarray(table[name], np.float64)
        numbers[name] = {
            "quantiles": np.percentile(values, PERCENTS).round(6).tolist(),
            "histogram": np.histogram(values, 10)[0].tolist(),
        }
    return {
        "pairs": len(pairs),
        "photos": len(set(table["light_key"].to_pylist())),
        "bytes": sum(shard.bytes for shard in pairs.manifest.shards),
        "counts": {
            column: dict(sorted(Counter(map(str, table[column].to_pylist())).items()))
            for column in ("source", "profile", "model", "variant")
        },
        "numbers": numbers,
    }


def bars(histogram: list[int]) -> str:
    """A histogram as a line of text; a bin that holds anything is never empty."""
    return "".join(_BLOCKS[-(-8 * count // max(histogram))] for count in histogram)


def short(value: float) -> str:
    """Three digits, whole numbers as they are."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"
