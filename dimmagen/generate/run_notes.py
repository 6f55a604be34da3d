"""What `.dimmagen/` says of a run that is not finished: its settings and its complete shards."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError
from dimmagen.core.lock import STATE
from dimmagen.dataset.manifest import MANIFEST, Run, ShardEntry
from dimmagen.dataset.writer import ShardRecord

_RUN, _RECORDS = "run.json", "records"
RECORDS = f"{STATE}/{_RECORDS}"  # the folder of the records, in the data set
_CHOICES, _ADDS = "choices", "adds"


class RunNotes:
    """The notes of the run that was begun in a folder.

    A record of a shard is valid only with the fingerprint of the run: another run's may be left next to it.

    Args:
        out: folder or fsspec URL of the data set.
    """

    def __init__(self, out: str) -> None:
        self.out = out

    def exist(self) -> bool:
        """Whether a run was begun here, and is not finished."""
        return storage.exists(self._path(_RUN))

    def begin(
        self,
        run: Run,
        complete: Mapping[str, ShardRecord],
        choices: Mapping[str, Any] | None = None,
        adds: bool = False,
    ) -> None:
        """Note the settings of a run, and then its complete shards.

        Args:
            run: its settings and environment.
            complete: its complete shards.
            choices: by which its photos are chosen, for the messages of later runs.
            adds: whether it adds to a finished data set.
        """
        note: dict[str, Any] = {"settings": run.settings, "environment": run.environment}
        note |= {_ADDS: True} if adds else {}
        note |= {} if choices is None else {_CHOICES: dict(choices)}
        storage.atomic_write(self._path(_RUN), json.dumps(note, indent=1).encode())
        for record in complete.values():
            self.add(run, record)

    def add(self, run: Run, record: ShardRecord) -> None:
        """Record that a shard is complete."""
        note = {"fingerprint": run.fingerprint, "shard": record.to_dict()}
        storage.atomic_write(self._path(_RECORDS, f"{stem_of(record)}.json"), json.dumps(note).encode())

    def run(self) -> Run:
        """The settings and environment of the run.

        Raises:
            DimmagenError: the notes are damaged.
        """
        note = self._note()
        settings, environment = note.get("settings"), note.get("environment")
        if not isinstance(settings, dict) or not isinstance(environment, dict):
            raise self._damaged("it contains no settings")
        return Run(settings, environment)

    def choices(self) -> dict[str, Any] | None:
        """By which its photos are chosen; None where it does not say so."""
        choices = self._note().get(_CHOICES)
        return choices if isinstance(choices, dict) else None

    def adds(self) -> bool:
        """Whether the run adds to a finished data set."""
        return self._note().get(_ADDS) is True

    def records(self, run: Run) -> dict[str, ShardRecord]:
        """The complete shards of a run, by shard name."""
        records = {}
        for name in storage.list_names(self._path(_RECORDS)):
            if not name.endswith(".json") or name.startswith("."):
                continue
            try:
                note = storage.read_json(self._path(_RECORDS, name))
                entry = ShardEntry.model_validate(note["shard"])
            except (KeyError, ValueError):
                continue  # not a record, or damaged: the shard is made again
            if note.get("fingerprint") == run.fingerprint:
                records[stem_of(entry)] = entry.shard_record()
        return records

    def remove(self) -> None:
        """Remove the notes, which nothing needs any more."""
        with storage.discarding(self._path()):
            records = [self._path(_RECORDS, name) for name in storage.list_names(self._path(_RECORDS))]
            storage.discard([*records, self._path(_RECORDS), self._path(_RUN)])
            with suppress(OSError):  # it holds the lock, with which it goes
                storage.remove(self._path())

    def _note(self) -> dict:
        try:
            return storage.read_json(self._path(_RUN))
        except ValueError as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, reason: str) -> DimmagenError:
        path, folder = self._path(_RUN), self._path()
        if not storage.exists(storage.join(self.out, MANIFEST)):  # then nothing else says what is there
            folder = f"{self.out} and run the same command again"
        return DimmagenError(
            f"{path} is damaged ({reason})", f"remove the folder {folder}", code="damaged", path=path
        )

    def _path(self, *parts: str) -> str:
        return storage.join(self.out, STATE, *parts)


def record_files(complete: Mapping[str, ShardRecord]) -> set[str]:
    """The files of the records of complete shards, relative to the data set."""
    return {f"{RECORDS}/{stem_of(record)}.json" for record in complete.values()}


def stem_of(shard: ShardRecord | ShardEntry) -> str:
    """The name of a shard without its folder and ending, such as `train-00000`."""
    return shard.name.removeprefix("shards/").removesuffix(".tar")
