"""All candidates with their verdicts, on disk: in the order seen, and the accepted in canonical order."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import fields
from itertools import pairwise
from operator import attrgetter

import numpy as np

from dimmagen.core import keyed_random
from dimmagen.core.disk_list import DiskIntegers, DiskList
from dimmagen.sources.catalog import CatalogRow
from dimmagen.sources.scan import Candidate

_TOGETHER = 4096
_values = attrgetter(*(field.name for field in fields(CatalogRow)))


class Candidates:
    """What an index pass, or a catalog, has to say; 4 bytes of memory stay for an accepted candidate.

    The canonical order of the accepted candidates is a permutation keyed by each key alone: more pictures
    never reorder those that are there.

    Args:
        seen: in the candidates' order, fewer than 2**32; consumed at once.

    Attributes:
        order: uint32 (accepted,): the accepted candidates' numbers in canonical order.
    """

    def __init__(self, seen: Iterable[Candidate]) -> None:
        self._spool = DiskList()
        self._rejected: dict[str, DiskIntegers] = {}  # candidates' numbers, by source
        accepted, ranks = DiskIntegers(), DiskIntegers()
        for number, one in enumerate(seen):
            row = one.row
            self._spool.append(json.dumps([*_values(row), one.locator], separators=(",", ":")).encode())
            if row.accepted:
                accepted.append(number)
                ranks.append(int.from_bytes(keyed_random.rank(0, row.key, "order"), "big"))
            else:
                self._rejected.setdefault(row.source, DiskIntegers()).append(number)
        self.order = _argsort(ranks[:])
        if len(accepted) < len(self):
            self.order = accepted[:].astype(np.uint32)[self.order]

    def __len__(self) -> int:
        return len(self._spool)

    def __iter__(self) -> Iterator[Candidate]:
        """Every candidate, in the order seen."""
        return map(_seen, self._spool)

    def accepted(self, start: int = 0, stop: int | None = None) -> Iterator[Candidate]:
        """The accepted candidates from `start` to `stop` in canonical order."""
        numbers = self.order[start:stop]
        for first in range(0, len(numbers), _TOGETHER):
            for number in numbers[first : first + _TOGETHER].tolist():
                yield _seen(self._spool[number])

    def rejected(self) -> Iterator[CatalogRow]:
        """The rows of the rejected candidates, sorted by source, name and frame."""
        for source in sorted(self._rejected):
            yield from self._sorted(self._rejected[source])

    def _sorted(self, numbers: DiskIntegers) -> Iterator[CatalogRow]:
        """Candidates are listed by name, as a rule: then nothing need be sorted, and no name be held."""
        places = pairwise((row.name, row.frame) for row in self._rows(numbers))
        if all(before <= after for before, after in places):
            return self._rows(numbers)
        return iter(sorted(self._rows(numbers), key=lambda row: (row.name, row.frame)))

    def _rows(self, numbers: DiskIntegers) -> Iterator[CatalogRow]:
        for start in range(0, len(numbers), _TOGETHER):
            for number in numbers[start : start + _TOGETHER].tolist():
                yield _seen(self._spool[number]).row


def _argsort(ranks: np.ndarray) -> np.ndarray:
    """Stable, uint32; in slices of the range of evenly spread ranks, which takes a tenth of the memory."""
    order, start = np.empty(len(ranks), np.uint32), 0
    for part in range(16):
        low, high = np.uint64(part << 60), np.uint64(((part + 1) << 60) - 1)
        here = np.flatnonzero((ranks >= low) & (ranks <= high)).astype(np.uint32)
        order[start : start + len(here)] = here[np.argsort(ranks[here], kind="stable")]
        start += len(here)
    return order


def _seen(record: bytes) -> Candidate:
    *values, locator = json.loads(record)
    return Candidate(CatalogRow(*values), locator)
