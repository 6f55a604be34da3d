"""The index pass by ranges of the listing: in the threads of this process, or on the actors of a Ray cluster.

The verdict on a file depends on nothing but the file and the settings. So ranges of the files are looked at
in any order and anywhere, and put together in the order of the listing: the candidates are those of
:func:`dimmagen.sources.scan.scan`. What an earlier pass came to is not done again (:mod:`.scan_store`).
"""

import json
import logging
from base64 import b64decode, b64encode
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from functools import partial

from dimmagen.core.disk_list import DiskList
from dimmagen.core.errors import DimmagenError
from dimmagen.core.executors.base import Executor, OnStatus
from dimmagen.core.executors.ray_cluster import OnLost, refuse_cluster_options
from dimmagen.core.executors.ray_pool import run_ray
from dimmagen.core.processors import processor_count
from dimmagen.core.threads import ordered_map, use_one_thread
from dimmagen.sources import SourceSpec
from dimmagen.sources.archives import Entry
from dimmagen.sources.catalog import CatalogRow, values_of
from dimmagen.sources.dark_halves import DarkHalves
from dimmagen.sources.scan import Candidate, add_halves, halves_of, without_dark_halves, without_duplicates
from dimmagen.sources.scan_keys import FileKeys, ScanSettings, range_name, scan_versions
from dimmagen.sources.scan_store import KeptRanges, VerdictCache, cache_folder

_LOG = logging.getLogger(__name__)
_RANGES = 256  # wanted in a pass, so that workers end together and little is lost with one
_RANGE_FILES = (16, 256)  # least and most
SourceFile = tuple[SourceSpec, Entry]


@dataclass(frozen=True, slots=True)
class ScanExecution:
    """How an index pass is executed; none of it changes a candidate.

    Attributes:
        executor: `serial` in the threads of this process, or `ray`.
        workers: number of threads or Ray actors; None for one per processor, here or of the cluster.
        address: of a Ray cluster to join; without it Ray runs on this machine for the pass.
        rescan: read every file, whatever was kept of earlier passes.
        cached: whether the user's cache is used.
        worker_timeout, on_cluster_lost, on_status: as for :func:`~dimmagen.core.executors.ray_pool.run_ray`.

    Raises:
        UsageError: `address` is given without `ray`, or `RAY_ADDRESS` names a cluster and `address` does not.
    """

    executor: Executor = "serial"
    workers: int | None = None
    address: str | None = None
    rescan: bool = False
    cached: bool = True
    worker_timeout: float | None = None
    on_cluster_lost: OnLost | None = None
    on_status: OnStatus = lambda status: None

    def __post_init__(self) -> None:
        refuse_cluster_options(self.executor, self.address, self.worker_timeout)


@dataclass(frozen=True, slots=True)
class RangeJob:
    """The files of one range that have to be read.

    Attributes:
        number: of the range.
        name: for messages.
        files: in the order of the listing.
    """

    number: int
    name: str
    files: tuple[SourceFile, ...]


class RangeWorker:
    """Looks at the files of ranges, one after another.

    Args:
        settings: of the pass.
    """

    def __init__(self, settings: ScanSettings) -> None:
        self._settings = settings

    def __call__(self, job: RangeJob, on_file: Callable[[], None]) -> list[bytes]:
        """The record of each file: its candidates as JSON, without a line break."""
        records = []
        for file in job.files:
            records.append(_record(self._settings.look_at(file)))
            on_file()
        return records


def run_in_threads(
    settings: ScanSettings, threads: int, jobs: Iterable[RangeJob], on_files: Callable[[int], None]
) -> Generator[tuple[RangeJob, list[bytes]], None, None]:
    """Look at the files of ranges in the threads of this process; yields (job, records) in order.

    The threads begin the next range while the last files of one are looked at: none waits at its end.

    Args:
        settings: of the pass.
        threads: number of files at a time.
        jobs: ranges with a file or more each.
        on_files: called with 1 after each file.
    """

    def look(file: tuple[RangeJob, SourceFile]) -> tuple[RangeJob, bytes]:
        job, one = file
        return job, _record(settings.look_at(one))

    files = ((job, one) for job in jobs for one in job.files)
    made = map(look, files) if threads == 1 else ordered_map(look, files, threads)
    records: list[bytes] = []
    with closing(made) if isinstance(made, Generator) else nullcontext():
        for job, record in made:
            records.append(record)
            on_files(1)
            if len(records) == len(job.files):
                yield job, records
                records = []


def build_actor_worker(settings: ScanSettings, versions: dict[str, str]) -> RangeWorker:
    """The worker of a Ray actor, if this machine comes to the same verdicts as the driver.

    Args:
        settings: of the pass.
        versions: of the driver, see :func:`.scan_keys.scan_versions`.

    Raises:
        DimmagenError: a library, the code of dimmagen or the kind of processor is another one here.
    """
    here = scan_versions()
    differences = [
        f"{name}: {here.get(name, 'absent')} here, {there} where the command runs"
        for name, there in versions.items()
        if here.get(name) != there
    ]
    if differences:
        lines = "".join(f"\n    {difference}" for difference in differences)
        raise DimmagenError(
            f"this machine differs from the one that began the run, so its verdicts may differ:{lines}\n"
            "Install the same versions on every node, and run on one kind of processor",
            code="other-environment",
            differences=differences,
        )
    use_one_thread()
    return RangeWorker(settings)


def index_candidates(
    files: Sequence[SourceFile],
    settings: ScanSettings,
    execution: ScanExecution,
    kept: KeptRanges | None = None,
    on_file: Callable[[], None] = lambda: None,
) -> Iterator[Candidate]:
    """Look at the files, and apply the rules of their sources.

    Args:
        files: from :func:`~dimmagen.sources.candidate_files.list_candidate_files`.
        settings: all else that verdicts depend on.
        execution: how it is done.
        kept: finished ranges of this run, which are used and added to.
        on_file: called once per file.

    Returns:
        The candidates with their verdicts, in the order of the files.

    Raises:
        MachineError: a file cannot be read now.
        DimmagenError: a file or an archive is gone, or the workers or the cluster were lost.
    """
    folder = cache_folder() if execution.cached else None
    with closing(VerdictCache(folder)) if folder else _NoCache() as cache:
        one = _Pass(files, settings, execution.rescan, kept, cache, _FileCount(on_file))
        first_with_key: dict[str, str] = {}
        halves = halves_of(files)
        with closing(_execute(one, settings, execution)) as records:
            for record in _with_halves_decided(records, halves):
                candidates = without_dark_halves(_candidates(record), halves)
                yield from without_duplicates(candidates, first_with_key)
        if one.known:
            _LOG.info(
                "%d of %d files were scanned before and have not changed since; "
                "`rescan=True` reads them again",
                one.known,
                len(files),
            )


def _with_halves_decided(records: Iterable[bytes], halves: DarkHalves) -> Iterable[bytes]:
    """The records; all of them first where a later file decides what an earlier one is."""
    if not halves:
        return records
    kept = DiskList()
    for record in records:
        kept.append(record)
        add_halves(_candidates(record), halves)
    halves.decide()
    return kept


def _execute(one: "_Pass", settings: ScanSettings, execution: ScanExecution) -> Generator[bytes, None, None]:
    """The records of all files in order."""
    if execution.executor == "serial":
        made = run_in_threads(settings, execution.workers or processor_count(), one.jobs(), one.on_files)
    else:
        workers = execution.workers
        if workers is None and execution.address is None:
            workers = processor_count()
        made = run_ray(
            partial(build_actor_worker, settings, scan_versions()),
            one.jobs(),
            one.on_files,
            workers,
            execution.address,
            on_lost=execution.on_cluster_lost,
            timeout=execution.worker_timeout,
            on_status=execution.on_status,
            unit="file",
        )
    with closing(made):
        for job, records in made:
            one.finish(job, records)
            yield from one.in_order()
    yield from one.in_order()


class _NoCache:
    """In place of a cache where there is none."""

    def __enter__(self) -> "_NoCache":
        return self

    def __exit__(self, *_: object) -> None: ...

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        return {}

    def put(self, records: object) -> None: ...


class _FileCount:
    """Counts each file once, although those of a lost worker are looked at again."""

    def __init__(self, on_file: Callable[[], None]) -> None:
        self._on_file = on_file
        self._ahead = 0

    def __call__(self, count: int) -> None:
        self._ahead += count
        while self._ahead > 0:
            self._ahead -= 1
            self._on_file()


class _Pass:
    """The ranges of one pass: what is known of them, what has to be done, and their order.

    Attributes:
        known: number of files that were not read, because their verdict was kept.
    """

    def __init__(
        self,
        files: Sequence[SourceFile],
        settings: ScanSettings,
        rescan: bool,
        kept: KeptRanges | None,
        cache: VerdictCache | _NoCache,
        on_files: Callable[[int], None],
    ) -> None:
        self.on_files = on_files
        self.known = 0
        self._files = files
        self._rescan = rescan
        self._kept = kept
        self._cache = cache
        self._key_of = FileKeys(settings, {spec.name for spec, _ in files})
        self._open: dict[int, tuple[list[bytes], dict[bytes, bytes]]] = {}  # keys, and known records
        self._done = DiskList()
        self._places: dict[int, int] = {}  # in `_done`, by number of the range
        self._next = 0

    def jobs(self) -> Iterator[RangeJob]:
        """What has to be done, found out range by range."""
        least, most = _RANGE_FILES
        size = min(most, max(least, -(-len(self._files) // _RANGES)))
        for number, start in enumerate(range(0, len(self._files), size)):
            files = self._files[start : start + size]
            keys = [self._key_of(file) for file in files]
            if (records := self._kept_range(keys)) is None:
                known = {} if self._rescan else self._cache.get(keys)
                missing = [file for key, file in zip(keys, files, strict=True) if key not in known]
                if missing:
                    self.known += len(files) - len(missing)
                    self.on_files(len(files) - len(missing))
                    self._open[number] = keys, known
                    name = f"files {start + 1} to {start + len(files)} of {len(self._files)}"
                    yield RangeJob(number, name, tuple(missing))
                    continue
                records = [known[key] for key in keys]
            self.known += len(files)
            self.on_files(len(files))
            self._put(number, records)

    def _kept_range(self, keys: Sequence[bytes]) -> list[bytes] | None:
        name = range_name(keys)
        records = self._kept.get(name) if self._kept and name else None
        return records if records is not None and len(records) == len(keys) else None

    def finish(self, job: RangeJob, made: Sequence[bytes]) -> None:
        """Take the records of a job, and keep them."""
        keys, known = self._open.pop(job.number)
        missing = [key for key in keys if key not in known]
        self._cache.put(zip(missing, made, strict=True))
        new = iter(made)
        records = [known[key] if key in known else next(new) for key in keys]
        if self._kept and (name := range_name(keys)):
            self._kept.put(name, records)
        self._put(job.number, records)

    def _put(self, number: int, records: Sequence[bytes]) -> None:
        self._places[number] = len(self._done)
        self._done.append(b"\n".join(records))

    def in_order(self) -> Iterator[bytes]:
        """The records of the ranges whose turn it is."""
        while self._next in self._places:
            yield from self._done[self._places.pop(self._next)].split(b"\n")
            self._next += 1


def _record(candidates: Sequence[Candidate]) -> bytes:
    values = [[*values_of(one.row), b64encode(one.thumbnail).decode(), one.locator] for one in candidates]
    return json.dumps(values, separators=(",", ":")).encode()


def _candidates(record: bytes) -> list[Candidate]:
    return [
        Candidate(CatalogRow(*values), locator, thumbnail=b64decode(small))
        for *values, small, locator in json.loads(record)
    ]
