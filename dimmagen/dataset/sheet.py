"""The contact sheet of a data set: light, dark, and dark with gain, side by side, for visual inspection."""

import heapq
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from dimmagen.core import keyed_random
from dimmagen.dataset.reader import PairSet
from dimmagen.images.sheets import PairView

CHOSEN_BY = ("key", "light_key", "variant", "lightness_after")
"""The columns that :func:`choose_rows` needs."""


def choose_rows(tables: Iterable[pa.Table], variants: int, count: int) -> list[dict]:
    """A fixed choice of pairs that does not depend on their order.

    Each light image is shown once, with one of its variants, before any is shown again.

    Args:
        tables: parts of the data set with at least the columns :data:`CHOSEN_BY`; one at a time is in memory.
        variants: number of dark images per light image.
        count: maximum number of pairs.

    Returns:
        The chosen rows, darkest last.
    """
    best: list[tuple[bool, bytes, dict]] = []
    for table in tables:
        ranked = heapq.nsmallest(count, _ranked(table, variants))
        rows = table.take([index for *_, index in ranked]).to_pylist()
        best += [(late, rank, row) for (late, rank, _), row in zip(ranked, rows, strict=True)]
        best = sorted(best, key=lambda one: one[:2])[:count]
    return sorted((row for *_, row in best), key=lambda row: -row["lightness_after"])


def spread_over_lightness(rows: Sequence[dict]) -> list[dict]:
    """Pairs in an order of which every beginning shows dark, middling and bright ones alike.

    The median of `lightness_after` comes first, then the quartiles, then what is between them, and so on.
    """
    ordered = sorted(rows, key=lambda row: (row["lightness_after"], row["key"]))
    spans, order = [(0, len(ordered))], list[dict]()
    for start, stop in spans:  # grows while it is read: the halves of every span come after all wider spans
        if start < stop:
            middle = (start + stop) // 2
            order.append(ordered[middle])
            spans += [(start, middle), (middle + 1, stop)]
    return order


def _ranked(table: pa.Table, variants: int) -> Iterator[tuple[bool, bytes, int]]:
    """For each pair: whether another variant represents its light image, its rank, and its index."""
    columns = (table[name].to_pylist() for name in ("key", "light_key", "variant"))
    for index, (key, light_key, variant) in enumerate(zip(*columns, strict=True)):
        representative = int.from_bytes(keyed_random.rank(0, light_key, "sheet"), "big") % variants
        yield variant != representative, keyed_random.rank(0, key, "sheet"), index


def pair_views(pairs: PairSet, rows: Sequence[dict]) -> Iterator[PairView]:
    """Read pairs of a data set for a contact sheet.

    Args:
        pairs: the data set.
        rows: of the pairs to show, in this order.
    """
    for row in rows:
        dark, light = pairs.images(row)
        lightness = f"lightness {row['lightness_before']:.3f} to {row['lightness_after']:.3f}"
        yield PairView(light, dark, f"{row['key']}    gamma {row['gamma']:.2f}    {lightness}")
