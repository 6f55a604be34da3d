"""All candidates with their verdicts, on disk: in the order of the index and in canonical order."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from dimmagen.core import keyed_random
from dimmagen.core.disk_list import DiskIntegers, DiskList
from dimmagen.sources.catalog import CatalogRow, values_of
from dimmagen.sources.rules import rejected
from dimmagen.sources.scan import Candidate, rejected_row

_BATCH = 4096  # numbers that are read from disk together


class Candidates:
    """The candidates of an index pass or of a catalog; each accepted one takes 4 bytes of memory.

    The canonical order of the accepted candidates is a permutation that depends on each key alone: more
    images never reorder the existing ones. With a limit, each candidate takes another byte.

    Args:
        candidates: in the order of the index, fewer than 2**32; consumed at once.
        limit: maximum number of accepted ones: those beyond it in canonical order are rejected; None for all.

    Attributes:
        order: uint32 (accepted,), numbers of the accepted candidates in canonical order.
    """

    def __init__(self, candidates: Iterable[Candidate], limit: int | None = None) -> None:
        self._records = DiskList()
        self._limit = limit
        # Candidates' numbers, by source; each of these lists is a file.
        self._rejected: defaultdict[str, DiskIntegers] = defaultdict(DiskIntegers)
        # Whether these are sorted by name and frame, where it is known.
        self._is_in_order: dict[str, bool] = {}
        accepted, ranks = DiskIntegers(), DiskIntegers()
        for number, one in enumerate(candidates):
            row = one.row
            self._records.append(json.dumps([*values_of(row), one.locator], separators=(",", ":")).encode())
            if row.accepted:
                accepted.append(number)
                ranks.append(int.from_bytes(keyed_random.rank(0, row.key, "order"), "big"))
            else:
                self._rejected[row.source].append(number)
        self.order = keyed_random.argsort(ranks[:])
        if len(accepted) < len(self):
            self.order = accepted[:].astype(np.uint32)[self.order]
        beyond = np.sort(self.order[limit:]) if limit is not None else self.order[:0]
        self.order = self.order[:limit]
        self._is_beyond = np.zeros(len(self) if len(beyond) else 0, bool)
        self._is_beyond[beyond] = True
        for number in beyond.tolist():
            self._rejected[self._candidate(number).row.source].append(number)

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Candidate]:
        """Every candidate, in the order of the index."""
        for number, record in enumerate(self._records):
            yield self._judged(number, _from_record(record))

    def accepted(self, start: int = 0, stop: int | None = None) -> Iterator[Candidate]:
        """The accepted candidates from `start` to `stop` in canonical order."""
        numbers = self.order[start:stop]
        for first in range(0, len(numbers), _BATCH):
            for number in numbers[first : first + _BATCH].tolist():
                yield _from_record(self._records[number])

    def rejected(self) -> Iterator[CatalogRow]:
        """The rows of the rejected candidates, sorted by source, name and frame."""
        for source in sorted(self._rejected):
            yield from self._sorted(source)

    def _sorted(self, source: str) -> Iterator[CatalogRow]:
        # Candidates are usually indexed by name: then there is no need to sort and to hold names in memory.
        numbers = self._rejected[source]
        if source not in self._is_in_order:
            neighbours = pairwise((row.name, row.frame) for row in self._rows(numbers))
            self._is_in_order[source] = all(before <= after for before, after in neighbours)
        if self._is_in_order[source]:
            return self._rows(numbers)
        return iter(sorted(self._rows(numbers), key=lambda row: (row.name, row.frame)))

    def _rows(self, numbers: DiskIntegers) -> Iterator[CatalogRow]:
        for start in range(0, len(numbers), _BATCH):
            for number in numbers[start : start + _BATCH].tolist():
                yield self._candidate(number).row

    def _candidate(self, number: int) -> Candidate:
        return self._judged(number, _from_record(self._records[number]))

    def _judged(self, number: int, one: Candidate) -> Candidate:
        """A candidate with its verdict, which is another one beyond the limit."""
        if not len(self._is_beyond) or not self._is_beyond[number]:
            return one
        verdict = rejected("limit", f"is not among the first {self._limit} in canonical order")
        return replace(one, row=rejected_row(one.row, verdict))


def _from_record(record: bytes) -> Candidate:
    *values, locator = json.loads(record)
    return Candidate(CatalogRow(*values), locator)
