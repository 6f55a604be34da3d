"""All candidates with their verdicts, on disk: in the order seen, and the accepted in canonical order."""

import json
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import fields
from operator import attrgetter

import numpy as np

from dimmagen import randomness
from dimmagen.sources.catalog import CatalogRow
from dimmagen.sources.scan import Seen
from dimmagen.spool import Spool

_values = attrgetter(*(field.name for field in fields(CatalogRow)))


class Judged:
    """What an index pass, or a catalog, has to say; some 30 bytes of memory a candidate.

    The canonical order of the accepted candidates is a permutation keyed by each key alone: more pictures
    never reorder those that are there.

    Args:
        seen: in the candidates' order; consumed at once.

    Attributes:
        order: int64 (accepted,): the accepted candidates' numbers in canonical order.
    """

    def __init__(self, seen: Iterable[Seen]) -> None:
        self._spool = Spool()
        self._rejected: dict[str, array] = {}  # candidates' numbers, by source
        accepted, ranks = array("q"), array("Q")
        for number, one in enumerate(seen):
            row = one.row
            self._spool.append(json.dumps([*_values(row), one.locator], separators=(",", ":")).encode())
            if row.accepted:
                accepted.append(number)
                ranks.append(int.from_bytes(randomness.rank(0, row.key, "order"), "big"))
            else:
                self._rejected.setdefault(row.source, array("q")).append(number)
        self.order = np.array(accepted)[np.argsort(np.array(ranks), kind="stable")]

    def __len__(self) -> int:
        return len(self._spool)

    def __iter__(self) -> Iterator[Seen]:
        """Every candidate, in the order seen."""
        return map(_seen, self._spool)

    def accepted(self, start: int = 0, stop: int | None = None) -> Iterator[Seen]:
        """The accepted candidates from `start` to `stop` in canonical order."""
        return (_seen(self._spool[number]) for number in self.order[start:stop].tolist())

    def rejected(self) -> Iterator[CatalogRow]:
        """The rows of the rejected candidates, sorted by source, name and frame."""
        for source in sorted(self._rejected):
            yield from self._sorted(self._rejected[source])

    def _sorted(self, numbers: array) -> Iterator[CatalogRow]:
        """Candidates are listed by name, as a rule: then nothing need be sorted, and no name be held."""
        rows = (_seen(self._spool[number]).row for number in numbers)
        places = ((row.name, row.frame) for row in rows)
        before = next(places, ("", ""))
        for place in places:
            if place < before:
                break
            before = place
        else:
            return (_seen(self._spool[number]).row for number in numbers)
        everything = [_seen(self._spool[number]).row for number in numbers]
        return iter(sorted(everything, key=lambda row: (row.name, row.frame)))


def _seen(record: bytes) -> Seen:
    *values, locator = json.loads(record)
    return Seen(CatalogRow(*values), locator)
