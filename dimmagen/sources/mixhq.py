"""build-mixhq: candidates -> catalog -> light shards.

```
mixhq/README.md                     card with the sources' terms
mixhq/manifest.json                 written last: its presence means complete
mixhq/catalog/part-00000.parquet    a row for every candidate seen
mixhq/shards/mixhq-00000.tar ...    the accepted lights: k.json, k.light.jpg|png|webp
```
The catalog is made before anything is packed and says where in which shard each light will lie. All files
are a pure function of the candidates' bytes and names, the excluded pictures and `samples_per_shard`.
"""

import hashlib
import json
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import zip_longest

import numpy as np

from dimmagen.core import hashing, storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.hashing import FileRecord
from dimmagen.core.lock import STATE, exclusive, remove_stale_lock
from dimmagen.core.parquet import write_rows
from dimmagen.core.shard_sizes import shard_sizes
from dimmagen.core.tar import TarWriter, read_at
from dimmagen.core.threads import ordered_map
from dimmagen.images import codec
from dimmagen.sources import SOURCES, SourceSpec, rules
from dimmagen.sources.archives import Entry
from dimmagen.sources.candidates import Candidates
from dimmagen.sources.catalog import CATALOG_SCHEMA, CatalogRow
from dimmagen.sources.light_images import (
    MIXHQ_CATALOG,
    MIXHQ_MANIFEST,
    MIXHQ_SCHEMA,
    load_light_image,
    read_catalog,
    read_mixhq_manifest,
    scanned_ref,
)
from dimmagen.sources.scan import Candidate
from dimmagen.sources.scene_hash import SAME_SCENE_BITS, Scenes

SAMPLES_PER_SHARD = 1000


@dataclass(slots=True)
class VerdictCounts:
    """Verdicts on one source's candidates: accepted and rejected add up to seen."""

    seen: int = 0
    accepted: int = 0
    rejected: Counter = field(default_factory=Counter)

    def to_dict(self) -> dict:
        return {"seen": self.seen, "accepted": self.accepted, "rejected": dict(sorted(self.rejected.items()))}


def tally(rows: Iterable[CatalogRow]) -> dict[str, VerdictCounts]:
    """Verdicts by source, in the registry's order."""
    tallies: dict[str, VerdictCounts] = {}
    for row in rows:
        one = tallies.setdefault(row.source, VerdictCounts())
        one.seen += 1
        one.accepted += row.accepted
        one.rejected.update([row.rule] if row.rule else [])
    return {name: tallies[name] for name in SOURCES if name in tallies}


def describe_inputs(
    candidates: Sequence[tuple[SourceSpec, Entry]], scenes: Scenes | None, samples_per_shard: int
) -> dict:
    """What decides a MixHQ, short enough for the manifest: two runs with equal inputs make equal files.

    A source is described by its candidates' names and sizes, which takes no reading; a file that changes
    and keeps both is not noticed before it is read.
    """
    listings: dict[str, hashlib._Hash] = {}
    for spec, entry in candidates:
        line = json.dumps([entry.name, entry.size]).encode() + b"\n"
        listings.setdefault(spec.name, hashlib.sha256()).update(line)
    return {
        "rules_version": rules.RULES_VERSION,
        "samples_per_shard": samples_per_shard,
        "exclude": scenes.describe() if scenes else {"pictures": 0, "sha256": "", "bits": SAME_SCENE_BITS},
        "sources": {name: listing.hexdigest() for name, listing in listings.items()},
    }


def finished_verdict_counts(out: str, inputs: dict) -> dict[str, VerdictCounts] | None:
    """The verdicts of a finished MixHQ made of the same inputs; None where there is still work to do.

    Raises:
        UsageError: `out` holds something else, or a MixHQ of other inputs. Nothing is touched.
    """
    if storage.exists(out) and not storage.is_folder(out):
        raise UsageError(f"--out {out} is a file", "choose a folder")
    names = [name for name in storage.list_names(out) if name != STATE and not storage.is_unfinished(name)]
    if not names:
        return None
    if "catalog" not in names:
        raise UsageError(
            f"--out {out} holds something that is no MixHQ ({', '.join(names[:3])})", "choose another --out"
        )
    if MIXHQ_MANIFEST not in names:
        return None  # a run that was stopped; write_mixhq compares the catalogs
    found = read_mixhq_manifest(out)["inputs"]
    changed = [name for name in inputs if found.get(name) != inputs[name]]
    if changed:
        raise UsageError(
            f"--out {out} is a finished MixHQ of other inputs (changed: {', '.join(changed)})",
            "choose another --out, or delete it to build it anew",
        )
    remove_stale_lock(out)
    return tally(read_catalog(out))


def write_mixhq(
    out: str,
    judged: Candidates,
    inputs: dict,
    workers: int = 2,
    on_light: Callable[[], None] = lambda: None,
) -> dict:
    """Publish catalog, shards, card and manifest; returns the manifest.

    A stopped run goes on: shards that are there and hold what the catalog says are kept.

    Args:
        out: folder or fsspec URL, empty or left by a stopped run of the same inputs.
        judged: every candidate.
        inputs: from :func:`describe_inputs`.
        workers: threads that read and encode lights.
        on_light: called after each light, and for each one that is already packed.

    Raises:
        DimmagenError: no accepted candidate, a stopped run of other inputs, a source that changed meanwhile,
            a place that cannot be written, or another run that is writing there.
    """
    with exclusive(out, "--out"):
        return _write(out, judged, inputs, workers, on_light)


def _write(out: str, judged: Candidates, inputs: dict, workers: int, on_light: Callable[[], None]) -> dict:
    for folder in ("", "catalog", "shards"):
        storage.remove_unfinished(storage.join(out, folder))
    packing = plan_packing(judged, inputs["samples_per_shard"])
    if not packing.shards:
        raise DimmagenError(
            "no candidate is accepted, so there is nothing to pack",
            "look at the reasons with --dry-run; the rules are in docs/sources-and-rules.md",
        )
    catalog = _write_catalog(out, packing)
    records = [_write_shard(out, packing, shard, workers, on_light) for shard in packing.shards]
    tallies = tally(packing.rows())
    manifest = {
        "schema": MIXHQ_SCHEMA,
        "samples": sum(one.accepted for one in tallies.values()),
        "inputs": inputs,
        "sources": {name: one.to_dict() for name, one in tallies.items()},
        "libraries": codec.library_versions(),
        "catalog": {**asdict(catalog), "rows": len(judged)},
        "shards": [
            {**asdict(record), "samples": shard.stop - shard.start}
            for record, shard in zip(records, packing.shards, strict=True)
        ],
    }
    storage.atomic_write(storage.join(out, "README.md"), _card(tallies, inputs).encode())
    data = json.dumps(manifest, indent=1).encode() + b"\n"
    storage.atomic_write(storage.join(out, MIXHQ_MANIFEST), data)
    return manifest


@dataclass(frozen=True, slots=True)
class MixHQShard:
    """A planned shard: its name below the folder, the accepted lights `start` to `stop` of the canonical
    order, its size."""

    name: str
    start: int
    stop: int
    bytes: int


class Packing:
    """Where each accepted light lies; 16 bytes of memory a candidate, the rest stays on disk.

    Attributes:
        judged: every candidate.
        shards: as they will be written.
    """

    def __init__(
        self, judged: Candidates, shards: list[MixHQShard], shard_of: np.ndarray, offset: np.ndarray
    ) -> None:
        """Args: shard_of, offset: int64 (candidates,): number of the shard (-1: none), place in it."""
        self.judged = judged
        self.shards = shards
        self._shard_of = shard_of
        self._offset = offset

    def rows(self) -> Iterator[CatalogRow]:
        """The finished catalog, in the candidates' order."""
        places = zip(self.judged, self._shard_of, self._offset, strict=True)
        return (self._placed(one.row, int(shard), int(offset)) for one, shard, offset in places)

    def lights(self, shard: MixHQShard) -> Iterator[Candidate]:
        """The lights of one shard, in order."""
        numbers = self.judged.order[shard.start : shard.stop]
        for number, one in zip(numbers, self.judged.accepted(shard.start, shard.stop), strict=True):
            row = self._placed(one.row, int(self._shard_of[number]), int(self._offset[number]))
            yield Candidate(row, one.locator)

    def _placed(self, row: CatalogRow, shard: int, offset: int) -> CatalogRow:
        if shard < 0:
            return row
        member = f"{row.key}.light.{row.extension}"
        return replace(row, shard=self.shards[shard].name, member=member, offset=offset)


def plan_packing(judged: Candidates, samples_per_shard: int) -> Packing:
    """Decide where each accepted light will lie: equal, gapless shards in canonical order."""
    shard_of, offsets = np.full(len(judged), -1), np.zeros(len(judged), np.int64)
    shards: list[MixHQShard] = []
    start = 0
    for size in shard_sizes(len(judged.order), samples_per_shard):
        stop, place = start + size, 0
        numbers = judged.order[start:stop]
        for number, one in zip(numbers, judged.accepted(start, stop), strict=True):
            place += tarfile.BLOCKSIZE + _padded(len(_sidecar(one.row))) + tarfile.BLOCKSIZE
            shard_of[number], offsets[number] = len(shards), place
            place += _padded(one.row.light_bytes)
        whole = -(-(place + 2 * tarfile.BLOCKSIZE) // tarfile.RECORDSIZE) * tarfile.RECORDSIZE
        shards.append(MixHQShard(f"shards/mixhq-{len(shards):05d}.tar", start, stop, whole))
        start = stop
    return Packing(judged, shards, shard_of, offsets)


def _padded(size: int) -> int:
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def _sidecar(row: CatalogRow) -> bytes:
    """A light's JSON: the same keys and types in every sample."""
    facts = {
        "key": row.key,
        "source": row.source,
        "name": row.name,
        "frame": row.frame,
        "sha256": row.sha256,
        "transform": row.transform,
        "width": row.light_width,
        "height": row.light_height,
    }
    return json.dumps(facts, indent=1).encode() + b"\n"


def _write_catalog(out: str, packing: Packing) -> FileRecord:
    path = storage.join(out, MIXHQ_CATALOG)
    if not storage.exists(path):
        written = write_rows(path, (row.to_dict() for row in packing.rows()), CATALOG_SCHEMA)
        return FileRecord(MIXHQ_CATALOG, written.bytes, written.sha256)
    pairs = zip_longest(read_catalog(out), packing.rows())
    if any(found != planned for found, planned in pairs):
        raise DimmagenError(
            f"{out} was begun from other inputs and not finished",
            "choose another --out, or delete it to build it anew",
        )
    return FileRecord(MIXHQ_CATALOG, *storage.size_and_sha256(path))


def _write_shard(
    out: str, packing: Packing, shard: MixHQShard, workers: int, on_light: Callable[[], None]
) -> FileRecord:
    path = storage.join(out, shard.name)
    lights = list(packing.lights(shard))
    if storage.exists(path):
        kept = _kept_shard(path, shard, lights)
        if kept is not None:
            for _ in lights:
                on_light()
            return kept
    with storage.atomic_writer(path) as file:
        tar = TarWriter(file)
        datas = ordered_map(_stored_light, lights, workers)
        for one, data in zip(lights, datas, strict=True):
            tar.add(f"{one.row.key}.json", _sidecar(one.row))
            if tar.add(one.row.member, data) != one.row.offset:
                raise AssertionError(f"{one.row.member} is not where the catalog says")
            on_light()
        size, sha256 = tar.finish()
    return FileRecord(shard.name, size, sha256)


def _stored_light(one: Candidate) -> bytes:
    light = load_light_image(scanned_ref(one))
    if light.sha256 != one.row.light_sha256:
        raise DimmagenError(
            f"{one.row.name} of {one.row.source} decodes differently than a moment ago",
            "run the command again",
        )
    return light.data


def _kept_shard(path: str, shard: MixHQShard, lights: Sequence[Candidate]) -> FileRecord | None:
    """The record of a shard that a stopped run has published, when it holds what the catalog says."""
    size, sha256 = storage.size_and_sha256(path)
    if size != shard.bytes:
        return None
    with storage.open_binary(path) as file:
        for one in lights:
            if hashing.sha256(read_at(file, one.row.offset, one.row.light_bytes)) != one.row.light_sha256:
                return None
    return FileRecord(shard.name, size, sha256)


def _card(tallies: dict[str, VerdictCounts], inputs: dict) -> str:
    seen = sum(one.seen for one in tallies.values())
    accepted = sum(one.accepted for one in tallies.values())
    lines = [
        "---",
        "pretty_name: MixHQ",
        "configs:",
        "- config_name: default",
        "  data_files:",
        "  - split: train",
        '    path: "shards/mixhq-*.tar"',
        "---",
        "# MixHQ",
        "",
        f"{accepted} well-lit photos of {seen} seen, selected by rules version {inputs['rules_version']}.",
        "`catalog/` has one row for every candidate, with the verdict and its reason. Photos that were not",
        "changed keep the bytes of their files, with all the metadata in them.",
        "",
        "| source | seen | accepted | rejected | terms |",
        "|---|---:|---:|---|---|",
    ]
    for name, one in tallies.items():
        source = SOURCES[name]
        rejected = ", ".join(f"{count} {rule}" for rule, count in sorted(one.rejected.items())) or "none"
        lines.append(f"| {source.title} | {one.seen} | {one.accepted} | {rejected} | {source.terms} |")
    options = " ".join(
        f"--source {name}" if name == "sample" else f"--source {name}=PATH" for name in tallies
    )
    exclude = inputs["exclude"]
    if exclude["pictures"]:
        options += " --exclude PATH"
        lines += ["", f"Scenes of {exclude['pictures']} excluded pictures were left out."]
    options += f" --samples-per-shard {inputs['samples_per_shard']}"
    lines += ["", "Made by:", "", f"    dimmagen build-mixhq {options}", ""]
    return "\n".join(lines)
