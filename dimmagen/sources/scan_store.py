"""Where verdicts are kept: a cache of the user for all runs, and finished ranges in the folder of one run.

The cache is one SQLite file. Nothing depends on it: where it cannot be written, and where it is damaged, a
line says so, and files are read again.
"""

import hashlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

from dimmagen.core import storage

_LOG = logging.getLogger(__name__)
_Result = TypeVar("_Result")
_FILE = "scanned-1.sqlite"  # another number for another layout
_CHECK_BYTES = 8
_WAIT_SECONDS = 5.0  # for another run that writes
_KEPT_DAYS = 180  # since a verdict was last used
_REFRESH_DAYS = 30  # a verdict that is used is marked with the day again after so many


def cache_folder() -> Path | None:
    """The folder of the cache: DIMMAGEN_CACHE, or one in XDG's cache folder.

    Returns:
        None if the variable is `off`, or there is no home.
    """
    chosen = os.environ.get("DIMMAGEN_CACHE", "")
    if chosen == "off":
        return None
    if chosen:
        return Path(chosen).expanduser()
    if place := os.environ.get("XDG_CACHE_HOME"):
        return Path(place) / "dimmagen"
    home = os.path.expanduser("~") if os.environ.get("HOME") != "" else ""
    if not (os.path.isabs(home) and os.path.isdir(home)):  # a home is not ours to make
        _warn_once("the cache of scanned photos has no place: there is no home", _WAY_OUT)
        return None
    return Path(home) / ".cache" / "dimmagen"


class VerdictCache:
    """Verdicts of this user's runs, by the keys of :mod:`.scan_keys`; for one thread.

    Args:
        folder: is created.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / _FILE
        self._today = int(time.time() // 86400)
        self._database: sqlite3.Connection | None = None
        self._attempt(self._open, None)

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The records that are kept, by key.

        Args:
            keys: at most some hundreds.
        """
        return self._attempt(lambda: self._select([key for key in keys if key]), {})

    def put(self, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep records, all or none of them; those of an empty key are left out."""
        rows = [(key, self._today, _check(key, record) + record) for key, record in records if key]
        self._attempt(lambda: self._insert(rows), None)

    def close(self) -> None:
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
            self._database = None

    def _open(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._database = database = sqlite3.connect(self.path, timeout=_WAIT_SECONDS)
        database.text_factory = bytes  # whatever a damaged file holds
        database.execute("PRAGMA synchronous = NORMAL")
        with database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS verdicts (key BLOB PRIMARY KEY, day INTEGER, value BLOB)"
            )
            (cleared,) = database.execute("PRAGMA user_version").fetchone()
            if abs(self._today - cleared) > _REFRESH_DAYS:  # the clock may have been ahead
                database.execute("DELETE FROM verdicts WHERE day < ?", [self._today - _KEPT_DAYS])
                database.execute(f"PRAGMA user_version = {self._today}")

    def _select(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        assert self._database is not None
        places = ",".join("?" * len(keys))
        query = f"SELECT key, day, value FROM verdicts WHERE key IN ({places})"
        rows = self._database.execute(query, keys).fetchall()
        for key, _, value in rows:
            if value[:_CHECK_BYTES] != _check(key, value[_CHECK_BYTES:]):
                raise sqlite3.DatabaseError("a record does not have the bytes that were written")
        old = [(self._today, key) for key, day, _ in rows if day < self._today - _REFRESH_DAYS]
        if old:
            with self._database as database:
                database.executemany("UPDATE verdicts SET day = ? WHERE key = ?", old)
        return {key: value[_CHECK_BYTES:] for key, _, value in rows}

    def _insert(self, rows: Sequence[tuple[bytes, int, bytes]]) -> None:
        assert self._database is not None
        with self._database as database:
            database.executemany("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?)", rows)

    def _attempt(self, work: Callable[[], _Result], otherwise: _Result) -> _Result:
        """The result of some work on the database, none of whose failures reaches the caller."""
        if self._database is None and work != self._open:
            return otherwise
        try:
            return work()
        except (OSError, sqlite3.OperationalError) as error:
            self.close()
            reason = getattr(error, "strerror", None) or error
            _warn_once(f"the cache of scanned photos at {self.path} cannot be used ({reason})", _WAY_OUT)
        except (sqlite3.Error, TypeError) as error:  # TypeError: a column of another type
            self.close()
            _warn_once(f"the cache of scanned photos at {self.path} is damaged ({error})", "it is made again")
            with suppress(OSError):
                self.path.with_name(f"{_FILE}-journal").unlink(missing_ok=True)
                self.path.unlink()
                self._attempt(self._open, None)
        return otherwise


_WAY_OUT = "photos are read again in each run; DIMMAGEN_CACHE sets another folder, or off"


@cache
def _warn_once(what: str, then: str) -> None:
    _LOG.warning("%s: %s", what, then)


def _check(key: bytes, record: bytes) -> bytes:
    return hashlib.sha256(key + record).digest()[:_CHECK_BYTES]


class KeptRanges:
    """The finished ranges of files of one run, a file for each, so that a run that was stopped is continued.

    A range is named by the keys of its files (:func:`.scan_keys.range_name`): one with a changed file has
    another name.

    Args:
        folder: local or fsspec URL; is created with the first range.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._names = set(storage.list_names(folder))

    def get(self, name: str) -> list[bytes] | None:
        """The records of a range, one for each of its files; None if it is not kept, or damaged."""
        if name not in self._names:
            return None
        try:
            digest, _, data = storage.read(storage.join(self._folder, name)).partition(b"\n")
        except FileNotFoundError:
            return None
        return data.split(b"\n") if digest.decode("latin-1") == hashlib.sha256(data).hexdigest() else None

    def put(self, name: str, records: Sequence[bytes]) -> None:
        """Keep a range.

        Raises:
            DimmagenError: it cannot be written.
        """
        data = b"\n".join(records)
        line = hashlib.sha256(data).hexdigest().encode() + b"\n"
        storage.atomic_write(storage.join(self._folder, name), line + data)
        self._names.add(name)

    def discard(self) -> None:
        """Remove all ranges, and what a killed run left of them."""
        storage.remove_unfinished(self._folder)
        names = storage.list_names(self._folder)
        storage.discard([*(storage.join(self._folder, name) for name in names), self._folder])
        self._names.clear()
