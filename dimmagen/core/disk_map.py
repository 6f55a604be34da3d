"""Records on disk that are found by their names, for millions of entries during a run."""

from collections.abc import Iterator

import numpy as np

from dimmagen.core.disk_list import DiskList
from dimmagen.core.hashing import text_hash

_LEAST_RECENT = 2**16  # names that are in a dictionary before they are sorted into the arrays
_RECENT_SHARE = 16  # or this part of all names, where that is more
_NAME_BYTES = 4


class DiskMap:
    """Byte strings under names, numbered in insertion order; a name may have several.

    A name takes about 20 bytes of memory, whatever its length and that of its record: a hash, by which it is
    looked for, and a number. The names and the records are in a :class:`.DiskList`.

    Example:
        >>> places = DiskMap()
        >>> for name, place in (("first", b"a"), ("second", b"b"), ("first", b"c")):
        ...     places.add(name, place)
        >>> places.find("first"), places[2], places.last("second"), places.last("third")
        ([0, 2], b'c', b'b', None)
    """

    def __init__(self) -> None:
        self._records = DiskList()
        self._hashes, self._numbers = np.empty(0, np.uint64), np.empty(0, np.uint32)  # sorted by the hash
        self._recent: dict[int, list[int]] = {}

    def add(self, name: str, record: bytes = b"") -> None:
        """Append a record, of which there may be fewer than 2**32."""
        encoded = _encoded(name)
        self._recent.setdefault(text_hash(name), []).append(len(self))
        self._records.append(len(encoded).to_bytes(_NAME_BYTES, "big") + encoded + record)
        if len(self._recent) > max(_LEAST_RECENT, len(self._hashes) // _RECENT_SHARE):
            self._sort_in()

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, number: int) -> bytes:
        """The record of a number. Raises IndexError."""
        return _parts(self._records[number])[1]

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        """Names and records, in insertion order."""
        for stored in self._records:
            name, record = _parts(stored)
            yield name.decode("utf-8", "surrogatepass"), record

    def find(self, name: str) -> list[int]:
        """The numbers of the records under a name, in insertion order."""
        encoded = _encoded(name)
        return [number for number in self._candidates(text_hash(name)) if self._name(number) == encoded]

    def last(self, name: str) -> bytes | None:
        """The record that was added last under a name; None if there is none."""
        found = self.find(name)
        return self[found[-1]] if found else None

    def __contains__(self, name: str) -> bool:
        return bool(self.find(name))

    def _candidates(self, value: int) -> list[int]:
        start = int(np.searchsorted(self._hashes, np.uint64(value)))
        stop = start
        while stop < len(self._hashes) and self._hashes[stop] == value:
            stop += 1
        return [*self._numbers[start:stop].tolist(), *self._recent.get(value, ())]

    def _name(self, number: int) -> bytes:
        return _parts(self._records[number])[0]

    def _sort_in(self) -> None:
        pairs = [(value, number) for value, numbers in self._recent.items() for number in numbers]
        values, numbers = np.array(pairs, np.uint64).T
        order = np.argsort(values, kind="stable")
        places = np.searchsorted(self._hashes, values[order], side="right")
        self._hashes = np.insert(self._hashes, places, values[order])
        self._numbers = np.insert(self._numbers, places, numbers[order].astype(np.uint32))
        self._recent = {}


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")


def _parts(stored: bytes) -> tuple[bytes, bytes]:
    stop = _NAME_BYTES + int.from_bytes(stored[:_NAME_BYTES], "big")
    return stored[_NAME_BYTES:stop], stored[stop:]
