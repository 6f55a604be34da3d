"""A contact sheet: light, dark, and dark with gain, side by side, so that a person can judge the pairs."""

import heapq
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from dimmagen.core import keyed_random
from dimmagen.dataset.reader import PairSet
from dimmagen.images.sheets import PairView


def choose_rows(tables: Iterable[pa.Table], variants: int, count: int) -> list[dict]:
    """A fixed choice of pairs that does not depend on their order: each photo once, with one of its variants,
    as long as there are photos; darkest last.

    Args:
        tables: parts of the set, with the columns of :data:`PAIR_SCHEMA` at least; one at a time is held.
        variants: dark pictures per photo.
        count: of pairs, at most.
    """
    best: list[tuple[bool, bytes, dict]] = []
    for table in tables:
        here = heapq.nsmallest(count, _ranked(table, variants))
        rows = table.take([index for *_, index in here]).to_pylist()
        best += [(late, rank, row) for (late, rank, _), row in zip(here, rows, strict=True)]
        best = sorted(best, key=lambda one: one[:2])[:count]
    return sorted((row for *_, row in best), key=lambda row: -row["lightness_after"])


def _ranked(table: pa.Table, variants: int) -> Iterator[tuple[bool, bytes, int]]:
    """Whether a pair is not the one that shows its photo, its rank among all pairs, and its index."""
    columns = (table[name].to_pylist() for name in ("key", "light_key", "variant"))
    for index, (key, photo, variant) in enumerate(zip(*columns, strict=True)):
        shown = int.from_bytes(keyed_random.rank(0, photo, "sheet"), "big") % variants
        yield variant != shown, keyed_random.rank(0, key, "sheet"), index


def pair_views(pairs: PairSet, rows: Sequence[dict]) -> Iterator[PairView]:
    """The rows of a data set's pairs as rows of a sheet."""
    for row in rows:
        dark, light = pairs.images(row)
        lightness = f"lightness {row['lightness_before']:.3f} to {row['lightness_after']:.3f}"
        yield PairView(light, dark, f"{row['key']}    gamma {row['gamma']:.2f}    {lightness}")
