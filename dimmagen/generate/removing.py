"""Taking photos out of a data set: only the shards that hold them are rewritten.

The new shards have numbers of their own, so the data set is what it was until the manifest that names them is
in its place; then the old ones are removed. A shard is never changed: hard links to it in other folders, and
readers that have it open, keep it.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from dimmagen.core import storage
from dimmagen.core.errors import UsageError
from dimmagen.core.hashing import FileRecord
from dimmagen.core.parquet import write_rows
from dimmagen.dataset.generations import (
    GENERATIONS,
    REMOVED,
    Generation,
    Removal,
    generations_of,
    removals_of,
    shards_of,
)
from dimmagen.dataset.manifest import Manifest, Run
from dimmagen.dataset.reader import PairSet, open_pairs
from dimmagen.dataset.rejected import read_rejected, rejected_entries, rejected_rows
from dimmagen.dataset.writer import ShardRecord, write_pair_shard
from dimmagen.generate.derived import stored_sample
from dimmagen.generate.finalize import publish_dataset
from dimmagen.generate.growing import (
    light_files,
    next_rejected,
    next_shard,
    rejected_name,
)
from dimmagen.generate.plan import shard_name
from dimmagen.generate.resume import DatasetFolder
from dimmagen.sources.catalog import REJECTED_SCHEMA
from dimmagen.sources.takedown import Listed, Removed, Takedown, is_done


def remove_from_dataset(
    out: str,
    lines: Collection[str],
    ignore_unknown: bool = False,
    on_start: Callable[[int], None] = lambda pairs: None,
    on_pair: Callable[[], None] = lambda: None,
) -> Removed:
    """Take photos out of a finished data set.

    Args:
        out: folder or fsspec URL of the data set.
        lines: keys of light images or pairs, or names of photos; see :class:`.Takedown`.
        ignore_unknown: pass over what is not there.
        on_start: called once with the number of pairs in the shards that are rewritten.
        on_pair: called after each of these pairs.

    Raises:
        UsageError: something is not there, no pair would be left, or the data set is a subset or a merge.
        DimmagenError: the data set is damaged, or cannot be written.
    """
    folder = DatasetFolder(storage.local_path(out) or out)
    with folder.locked():
        base = open_pairs(folder.out)
        generations_of(base.manifest)
        folder.drop_addition(base.manifest)  # or what a removal that was stopped has not removed yet
        return _remove(folder, base, lines, ignore_unknown, on_start, on_pair)


def _remove(
    folder: DatasetFolder,
    base: PairSet,
    lines: Collection[str],
    ignore_unknown: bool,
    on_start: Callable[[int], None],
    on_pair: Callable[[], None],
) -> Removed:
    takedown = Takedown(lines, _candidates(base))
    done = is_done([one.model_dump() for one in removals_of(base.manifest)], takedown)
    if not ignore_unknown and not done:
        takedown.refuse_unknown(base.out)
    if not takedown.photos:
        return Removed(0, 0, 0, 0, tuple(takedown.unknown))
    plan = _plan(base, takedown)
    folder.begin_addition(base.manifest, plan.run, {})
    with folder.tidied():
        on_start(sum(len(rows) for _, rows in plan.rewritten.values()))
        records = _write_shards(folder, base, plan, on_pair)
        files, rejections = _write_rejected(folder.out, base.manifest, plan, takedown.photos)
    lights_by_source: Counter[str] = sum((Counter(one.by_source) for one in plan.generations), Counter())
    publish_dataset(
        folder,
        plan.run,
        base.manifest.command,
        lights_by_source,
        light_files(plan.kept),
        rejections,
        records,
        files,
    )
    return Removed(
        len(takedown.photos),
        plan.pairs,
        len(plan.rewritten),
        base.manifest.counts.rejected - rejections,
        tuple(takedown.unknown),
    )


def _candidates(base: PairSet) -> Iterator[Listed]:
    columns = ("source", "name", "source_sha256", "light_key", "key")
    values = (base.table[name].to_pylist() for name in columns)
    for source, name, sha256, *keys in zip(*values, strict=True):
        yield Listed(source, name, sha256, tuple(keys))
    for row in rejected_rows(base.out, base.manifest):
        yield _rejected_candidate(row)


def _rejected_candidate(row: Mapping) -> Listed:
    keys = (f"{row['source']}-{row['sha256'][:16]}",) if row["sha256"] else ()
    return Listed(row["source"], row["name"], row["sha256"], keys)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a removal does, before anything is written.

    Attributes:
        run: settings and environment of what is left.
        generations: as they will be recorded.
        pairs: number of pairs that are taken out.
        rewritten: by the name of a shard that holds some of them, its new name and the rows that it keeps;
            without rows it is dropped.
        rejected: by the name of a file of rejected candidates that names some, its new name.
        kept: the pairs that are left, as they were.
    """

    run: Run
    generations: list[Generation]
    pairs: int
    rewritten: dict[str, tuple[str, list[dict]]]
    rejected: dict[str, str]
    kept: PairSet


def _plan(base: PairSet, takedown: Takedown) -> _Plan:
    manifest, number = base.manifest, next_shard(base.manifest)
    rewritten: dict[str, tuple[str, list[dict]]] = {}
    generations, pairs = [], 0
    rejected = _rejected_anew(base, takedown.photos)
    start = 0
    for generation, shards in zip(generations_of(manifest), shards_of(manifest), strict=True):
        dropped, gone = 0, dict[str, str]()  # sources by the key of the light image
        for shard in shards:
            rows = base.table.slice(start, shard.samples).to_pylist()
            start += shard.samples
            left = [row for row in rows if row["source_sha256"] not in takedown.photos]
            if len(left) == len(rows):
                continue
            out = [row for row in rows if row["source_sha256"] in takedown.photos]
            gone |= {row["light_key"]: row["source"] for row in out}
            rewritten[shard.name] = (shard_name(number) if left else "", left)
            pairs += len(out)
            number += bool(left)
            dropped += not left
        generations.append(_without(generation, gone, dropped, rejected))
    if pairs == len(base):
        raise UsageError(
            f"no pair of {base.out} would be left",
            "remove its folder instead",
            code="no-match",
            path=base.out,
        )
    removal = Removal(
        list_sha256=takedown.list_sha256,
        photos=takedown.remembered(),
        pairs=pairs,
        shards=len(rewritten),
        generations=len(generations),
    )
    settings = {
        **manifest.settings,
        "lights": sum(one.lights for one in generations),
        GENERATIONS: [one.to_dict() for one in generations],
        REMOVED: [*manifest.settings.get(REMOVED, []), removal.model_dump()],
    }
    is_kept = [sha256 not in takedown.photos for sha256 in base.table["source_sha256"].to_pylist()]
    kept = replace(base, table=base.table.filter(pa.array(is_kept)))
    return _Plan(Run(settings, manifest.environment), generations, pairs, rewritten, rejected, kept)


def _without(
    generation: Generation, gone: Mapping[str, str], dropped: int, rejected: Mapping[str, str]
) -> Generation:
    """A generation without some light images, given their sources by key, and without shards that held no
    others."""
    left = Counter(generation.by_source)
    left.subtract(gone.values())
    changed = {
        "lights": generation.lights - len(gone),
        "by_source": dict(+left),
        "shards": generation.shards - dropped,
        "rejected": rejected.get(generation.rejected, generation.rejected),
    }
    return generation.model_copy(update=changed)


def _rejected_anew(base: PairSet, photos: Collection[str]) -> dict[str, str]:
    """New names for the files of rejected candidates that name some of the photos."""
    number, found = next_rejected(base.manifest), dict[str, str]()
    for entry in rejected_entries(base.manifest):
        if any(_rejected_candidate(row).photo in photos for row in read_rejected(base.out, entry)):
            found[entry.name] = rejected_name(number + len(found))
    return found


def _write_shards(
    folder: DatasetFolder, base: PairSet, plan: _Plan, on_pair: Callable[[], None]
) -> list[ShardRecord]:
    """All shards of what is left, in order; those that are there already are as they were."""
    records = []
    for shard in base.manifest.shards:
        if shard.name not in plan.rewritten:
            records.append(shard.shard_record())
            continue
        name, rows = plan.rewritten[shard.name]
        if rows:
            samples = (stored_sample(base, row) for row in rows)
            records.append(write_pair_shard(folder.out, name, samples, on_pair))
    return records


def _write_rejected(
    out: str, manifest: Manifest, plan: _Plan, photos: Collection[str]
) -> tuple[Sequence[FileRecord], int]:
    """The files of rejected candidates without some photos, and the number of candidates that are left."""
    files, count = [], manifest.counts.rejected
    for entry in rejected_entries(manifest):
        if entry.name not in plan.rejected:
            files.append(entry.record())
            continue
        rows = list(read_rejected(out, entry))
        kept = [row for row in rows if _rejected_candidate(row).photo not in photos]
        name = plan.rejected[entry.name]
        written = write_rows(storage.join(out, name), kept, REJECTED_SCHEMA)
        files.append(FileRecord(name, written.bytes, written.sha256))
        count -= len(rows) - len(kept)
    return files, count
