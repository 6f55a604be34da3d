"""The state of an output folder: which run writes to it, which shards are complete, what may be resumed.

During a run, `.dimmagen/` holds `run.json` (the settings), a record for each complete shard, and the lock.
Once `manifest.json` is written it contains all of that, and `.dimmagen/` is removed.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.hashing import FileRecord
from dimmagen.core.hugging_face import LAYOUT
from dimmagen.core.lock import STATE, exclusive, refuse_gone
from dimmagen.core.outputs import ResumeMode
from dimmagen.core.processors import processor_count
from dimmagen.core.threads import ordered_map
from dimmagen.dataset.card import CARD, SHEET
from dimmagen.dataset.command_line import choices_of
from dimmagen.dataset.croissant import CROISSANT, croissant_of
from dimmagen.dataset.manifest import MANIFEST, Manifest, Run, changes
from dimmagen.dataset.writer import ShardRecord
from dimmagen.generate.previous_run import PreviousRun, refusal
from dimmagen.generate.run_notes import RECORDS, RunNotes, record_files, stem_of

REJECTED = "rejected/candidates.parquet"
_DISK_READS, _REQUESTS = 4, 16  # files that are read at a time, on a disk and behind a URL
# What runs write in the folders that :meth:`DatasetFolder.begin` clears.
_OURS = {
    "shards": re.compile(r"train-[0-9]{5,}\.tar"),
    "metadata": re.compile(r"train-[0-9]{5,}\.parquet"),
    "rejected": re.compile(r"candidates(-[0-9]{5,})?\.parquet"),
}


class DatasetFolder:
    """The folder of one data set, from the first shard to the manifest.

    Args:
        out: folder or fsspec URL.
        discards: whether runs of this kind accept `resume="never"`, for messages.
    """

    def __init__(self, out: str, discards: bool = True) -> None:
        self.out = out
        self.discards = discards
        self.notes = RunNotes(out)
        self._refused: UsageError | None = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder against other runs, see :func:`dimmagen.core.lock.exclusive`.

        One that may only be read is refused where something has to be written, which is not so for a finished
        run.
        """
        with exclusive(self.out, may_only_read=True) as self._refused:
            try:
                yield
            finally:
                with suppress(DimmagenError, OSError):  # what the block raised counts; a later run removes it
                    if not self.notes.exist():  # no run was begun here, or it is finished
                        self.notes.remove()

    def complete_shards(
        self, run: Run, resume: ResumeMode, choices: Mapping[str, Any] | None = None
    ) -> dict[str, ShardRecord]:
        """Shards that this run need not make: their files have the recorded size and SHA-256.

        Args:
            run: its settings and environment.
            resume: as for :func:`.run.generate_dataset`.
            choices: by which its photos are chosen, for messages.

        Returns:
            The records of these shards, by shard name.

        Raises:
            UsageError: the folder holds other files or a run with other settings, or (with `always`) no run.
        """
        previous = self._previous_for(resume)
        if previous is None:
            return {}
        if resume == "never" or not previous.records:
            return {}
        if differences := changes(previous.run, run):
            raise refusal(self.out, self.discards, previous, differences, choices)
        return self._intact(previous.records)

    def finished(self, run: Run, complete: Mapping[str, ShardRecord]) -> Manifest | None:
        """The manifest of exactly this run, if nothing is missing; removes what a kill just after it left.

        Args:
            run: its settings and environment.
            complete: the shards that are, from :meth:`complete_shards`.
        """
        if not storage.exists(storage.join(self.out, MANIFEST)):
            return None
        manifest = Manifest.load(self.out)
        if manifest.run != run or not self._is_whole(manifest, complete):
            return None
        self.remove_unfinished()
        if not self.is_growing():
            self.notes.remove()
        return manifest

    def _is_whole(self, manifest: Manifest, complete: Mapping[str, ShardRecord]) -> bool:
        """Whether all shards are complete, and what lies next to them is there as the manifest names it."""
        others = (storage.join(self.out, name) for name in (CARD, LAYOUT, SHEET, CROISSANT))
        return (
            all(stem_of(entry) in complete for entry in manifest.shards)
            and all(map(storage.exists, others))
            and self._are_intact(entry.record() for entry in manifest.files)
        )

    def complete_addition(self, base: Manifest, run: Run) -> dict[str, ShardRecord]:
        """New shards that this addition to a finished data set need not make, by shard name.

        Args:
            base: manifest of the data set, as the addition was planned on it.
            run: settings and environment of the data set that it will be.

        Raises:
            DimmagenError: the data set has changed since.
        """
        self.refuse_changed(base)
        if not self.is_begun(run):
            return {}
        return self._intact(self.notes.records(run))

    def refuse_changed(self, base: Manifest) -> None:
        """Refuse to continue with a data set that is not what it was when it was read.

        Raises:
            DimmagenError: its manifest is another one.
        """
        if Manifest.load(self.out) != base:
            raise DimmagenError(
                f"{self.out} has changed since it was read",
                "run the same command again",
                code="locked",
                path=self.out,
            )

    def begin_addition(self, base: Manifest, run: Run, complete: Mapping[str, ShardRecord]) -> None:
        """Record the settings of an addition and its complete shards; remove what another one has left.

        The data set stays as it is until :meth:`finish`.

        Raises:
            UsageError: the folder cannot be written to, or there are files of someone else where shards are
                kept; nothing is changed.
        """
        self._refuse_read_only()
        listed = self._listed()
        self._refuse_foreign(listed)
        self.remove_unfinished()
        self.notes.begin(run, complete, adds=True)
        self._remove_all_but(_files_of(complete) | _files_in(base), self._listed())

    def drop_addition(self, base: Manifest) -> None:
        """Remove what an addition that was stopped has left; the data set is as it was before."""
        if not self.notes.exist():
            return
        self._refuse_read_only()
        self.remove_unfinished()
        if self.is_begun(base.run):  # it was published, and stopped directly afterwards
            self._finish_growing(base)
        self._remove_all_but(_files_in(base), self._listed())
        self.notes.remove()

    def _finish_growing(self, manifest: Manifest) -> None:
        """What follows a manifest that has replaced another one: files that are no longer named go."""
        storage.atomic_write(storage.join(self.out, CROISSANT), croissant_of(manifest))
        self._remove_all_but(_files_in(manifest), self._listed())

    def _remove_all_but(self, kept: set[str], listed: Mapping[str, Sequence[str]]) -> None:
        for folder, names in listed.items():
            others = [
                storage.join(self.out, folder, name) for name in names if f"{folder}/{name}" not in kept
            ]
            if folder.startswith(STATE):  # the record of another run counts for none
                storage.discard(others)
                continue
            for path in others:
                storage.remove(path)

    def _listed(self) -> dict[str, list[str]]:
        folders = ("shards", "metadata", RECORDS, "rejected")
        return {name: storage.list_names(storage.join(self.out, name)) for name in folders}

    def is_growing(self) -> bool:
        """Whether the run that was begun here adds to a finished data set, which stays what it is."""
        has_both = storage.exists(storage.join(self.out, MANIFEST)) and self.notes.exist()
        return has_both and self.notes.adds()

    def is_begun(self, run: Run) -> bool:
        """Whether this folder, as seen from this machine, is the one that the run was begun in."""
        return self.notes.exist() and self.notes.run().fingerprint == run.fingerprint

    def begin(
        self, run: Run, complete: Mapping[str, ShardRecord], choices: Mapping[str, Any] | None = None
    ) -> None:
        """Record the settings and the complete shards, and remove all else that an earlier run left.

        From here to :meth:`finish` the folder has no manifest. The process may be killed after any step: the
        settings are recorded first, and a shard's record is valid only with their fingerprint.

        Args:
            run: its settings and environment.
            complete: its complete shards.
            choices: by which its photos are chosen, for the messages of later runs.

        Raises:
            UsageError: the folder cannot be written to, or there are files of someone else where shards are
                kept; nothing is changed.
        """
        self._refuse_read_only()
        listed = self._listed()
        self._refuse_foreign(listed)
        storage.remove_unfinished(storage.join(self.out, "rejected"))  # or the folder cannot be removed
        self.notes.begin(run, complete, choices)
        rejected = [f"rejected/{name}" for name in listed.pop("rejected") if not storage.is_unfinished(name)]
        for name in (MANIFEST, CARD, LAYOUT, SHEET, CROISSANT, *rejected, "rejected"):
            storage.remove(storage.join(self.out, name))
        self._remove_all_but(_files_of(complete), listed)

    def _refuse_read_only(self) -> None:
        if self._refused:
            raise self._refused

    def _refuse_foreign(self, listed: Mapping[str, Sequence[str]]) -> None:
        """Refuse files that no run has written in the folders that are cleared of shards."""
        for folder, ours in _OURS.items():
            for name in listed[folder]:
                path = storage.join(self.out, folder, name)
                is_ours = ours.fullmatch(name) or storage.is_unfinished(name)
                if not is_ours or os.path.isdir(path):
                    raise UsageError(
                        f"{path} is not a file of the data set, and would be removed",
                        "move it out of the folder, and run the same command again",
                        code="no-room",
                        path=path,
                    )

    def finish(self, manifest: Manifest) -> None:
        """Publish the manifest, which makes the data set complete, and remove what is no longer needed."""
        refuse_gone(self.out)
        self.remove_unfinished()
        is_growing = self.is_growing()
        storage.atomic_write(storage.join(self.out, MANIFEST), manifest.dump())
        if is_growing:
            self._finish_growing(manifest)
        self.notes.remove()

    @contextmanager
    def tidied(self) -> Iterator[None]:
        """Remove temporary files if the block fails; its own error counts, not one of removing them."""
        try:
            yield
        except BaseException:
            with suppress(DimmagenError, OSError):
                self.remove_unfinished()
            raise

    def remove_unfinished(self) -> None:
        """Remove temporary files of a run that was stopped."""
        for folder in ("", "shards", "metadata", "rejected", STATE, RECORDS):
            storage.remove_unfinished(storage.join(self.out, folder))

    def refuse_unusable(self, resume: ResumeMode) -> None:
        """Refuse a folder in which no run could be begun or continued, whatever its settings and photos.

        Raises:
            UsageError: the folder holds other files, or (with `always`) no run, or it cannot be made.
            DimmagenError: another run is writing to it.
        """
        # Without a lock, behind a URL, another run may remove meanwhile what is read.
        with exclusive(self.out, may_only_read=True), suppress(FileNotFoundError):
            self._previous_for(resume)

    def _previous_for(self, resume: ResumeMode) -> PreviousRun | None:
        """The previous run in this folder, which has to be there for `always`."""
        previous = self._previous()
        if previous is None and resume == "always":
            raise UsageError(
                f"{self.out} holds no run to resume",
                'omit `resume="always"` to start one',
                code="nothing-to-resume",
                path=self.out,
            )
        return previous

    def _previous(self) -> PreviousRun | None:
        """The previous run in this folder, or None if the folder is new or empty."""
        run: Run | None = None
        records: dict[str, ShardRecord] = {}
        choices: Mapping[str, Any] | None = None
        is_finished = storage.exists(storage.join(self.out, MANIFEST))
        if is_finished:
            manifest = self._load_manifest()
            run, choices = manifest.run, choices_of(manifest.command)
            records = {stem_of(entry): entry.shard_record() for entry in manifest.shards}
        if self.notes.exist() and not self.is_growing():
            begun, is_finished = self.notes.run(), False
            if run is None or run.fingerprint != begun.fingerprint:
                records = {}
            run, choices = begun, self.notes.choices()
            records |= self.notes.records(run)
        if run is not None:
            return PreviousRun(run, records, choices, is_finished)
        if foreign := [name for name in storage.list_names(self.out) if name != STATE]:
            raise UsageError(
                f"{self.out} holds files that are not part of a dimmagen data set ({', '.join(foreign[:3])})",
                "choose a new or an empty folder for `out`",
                code="no-room",
                path=self.out,
            )
        return None

    def _load_manifest(self) -> Manifest:
        try:
            return Manifest.load(self.out)
        except DimmagenError as error:
            if error.code != "wrong-format":
                raise
            raise UsageError(
                error.what, "choose a new or an empty folder for `out`", code="no-room", path=self.out
            ) from error

    def _intact(self, records: Mapping[str, ShardRecord]) -> dict[str, ShardRecord]:
        """Those whose files have the recorded size and SHA-256; several are read at a time."""
        at_once = min(_DISK_READS, processor_count()) if storage.is_local(self.out) else _REQUESTS
        checked = ordered_map(self._is_intact, records.values(), at_once)
        return {name: record for (name, record), found in zip(records.items(), checked, strict=True) if found}

    def _is_intact(self, record: ShardRecord) -> bool:
        return self._are_intact((FileRecord(record.name, record.bytes, record.sha256), record.metadata))

    def _are_intact(self, files: Iterable[FileRecord]) -> bool:
        try:
            return all(
                storage.size_and_sha256(storage.join(self.out, file.name)) == (file.bytes, file.sha256)
                for file in files
            )
        except FileNotFoundError:
            return False


def _files_of(complete: Mapping[str, ShardRecord]) -> set[str]:
    """The files of complete shards, and their records."""
    files = {name for record in complete.values() for name in (record.name, record.metadata.name)}
    return files | record_files(complete)


def _files_in(manifest: Manifest) -> set[str]:
    """The files that a manifest names."""
    files = {entry.name for entry in manifest.files}
    return files | {name for entry in manifest.shards for name in (entry.name, entry.metadata.name)}
