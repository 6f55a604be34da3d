"""Matching the rows of two data sets by name, of which a few are in memory at a time."""

import json
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from dimmagen.core.disk_map import DiskMap
from dimmagen.dataset.reader import PairSet

NamedRows = Iterable[tuple[str, dict]]
"""Rows of values that JSON has, each with its name."""


def rows_by_key(pairs: PairSet) -> NamedRows:
    """The whole rows of a data set, named by their keys."""
    return ((row["key"], row) for row in pairs.whole())


def matched_rows(rows: NamedRows, others: NamedRows) -> Iterator[tuple[str, Mapping | None, Mapping | None]]:
    """The rows of two sets by name: those of the first set in their order, then what only the second has.

    Args:
        rows, others: those of the second set are kept on disk. Of several with one name, as an archive may
            have them, the first ones belong together, and so on.

    Returns:
        The name, the row of the first set and that of the second; None where a set has none.
    """
    kept = DiskMap()
    for name, row in others:
        kept.add(name, json.dumps(row).encode())
    is_found = np.zeros(len(kept), bool)
    for name, row in rows:
        number = next((number for number in kept.find(name) if not is_found[number]), None)
        if number is None:
            yield name, row, None
            continue
        is_found[number] = True
        yield name, row, json.loads(kept[number])
    for number, (name, record) in enumerate(kept):
        if not is_found[number]:
            yield name, None, json.loads(record)
