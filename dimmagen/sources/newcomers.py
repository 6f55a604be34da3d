"""Which candidates are new to a MixHQ or a data set that grows, and which it has already.

A set that grows is decided against what it holds: its photos keep their places, and what is added is what
a scan finds beyond them. A photo with the bytes of one that is there is a duplicate of it, also where a set
that is made at once would have kept the other one, because it comes first by name.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace

from dimmagen.core.errors import UsageError
from dimmagen.sources.catalog import CatalogRow
from dimmagen.sources.photo_selection import PhotoSelection
from dimmagen.sources.rules import rejected
from dimmagen.sources.scan import Candidate, rejected_row
from dimmagen.sources.takedown import Listed, hash_of_photo


class Earlier:
    """What a set holds: photos, candidates that it rejected, and photos that were taken out of it.

    It takes some hundred bytes of memory for each photo.

    Args:
        names: of the accepted photos, by key.
        removed: of the photos that were taken out, as :func:`.takedown.hash_of_photo` gives them.

    Attributes:
        known: number of candidates that :meth:`new_ones` found to be in the set already.
        taken_out: number of those that it left out because they were taken out of the set before.
    """

    def __init__(self, names: dict[str, str], removed: Iterable[str] = ()) -> None:
        self._names = names
        self._removed = frozenset(removed)
        self._rejected: set[bytes] = set()
        self.known = self.taken_out = 0

    def add_rejected(self, source: str, name: str, frame: str, sha256: str, rule: str) -> None:
        """Add a candidate that the set rejected.

        Raises:
            UsageError: it was rejected by `limit`: then nothing says which photos the set would have.
        """
        if rule == "limit":
            raise UsageError(
                "what is there was made with a limit on the number of its photos, so it is not known which "
                "belong to it",
                "make a new one without `limit`",
                code="conflict",
                parameter="limit",
            )
        self._rejected.add(_digest(source, name, frame, sha256, rule))

    def new_ones(self, candidates: Iterable[Candidate]) -> Iterator[Candidate]:
        """The candidates that are not in the set, with their verdicts against it.

        Args:
            candidates: from :func:`~dimmagen.sources.scan.scan` or a catalog, in any order.
        """
        for one in candidates:
            row = one.row
            if self._removed and hash_of_photo(_photo(row)) in self._removed:
                self.taken_out += 1
                continue
            is_photo = row.accepted or one.alone is not None or row.rule == "duplicate"
            if is_photo and row.key in self._names:
                if row.name == self._names[row.key]:
                    self.known += 1
                    continue
                one = replace(one, row=duplicate_of(row, self._names[row.key]))
            if not one.row.accepted and self._has_rejected(one.row):
                self.known += 1
                continue
            yield one

    def _has_rejected(self, row: CatalogRow) -> bool:
        return _digest(row.source, row.name, row.frame, row.sha256, row.rule) in self._rejected


def refuse_limit(selection: PhotoSelection) -> None:
    """Refuse a limit on the number of photos where photos are added: it would be one of which set?

    Raises:
        UsageError: there is one.
    """
    if selection.limit is not None:
        raise UsageError(
            "`limit` cannot be combined with `add`",
            "choose the photos to add by `names`, or by their sources",
            code="conflict",
            parameters=("limit", "add"),
        )


def _photo(row: CatalogRow) -> str:
    return Listed(row.source, row.name, row.sha256).photo


def duplicate_of(row: CatalogRow, name: str) -> CatalogRow:
    """The row of a candidate that is rejected because it has the bytes of another one."""
    return rejected_row(row, rejected("duplicate", f"has the same bytes as {name}"))


def _digest(*parts: str) -> bytes:
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "backslashreplace"), digest_size=16).digest()
