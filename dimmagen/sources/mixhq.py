"""build-mixhq: candidates -> catalog -> light shards.

```
mixhq/README.md                     card with the terms of the sources
mixhq/.huggingface.yaml             the shards for Hugging Face's `datasets`
mixhq/manifest.json                 written last: its presence means complete
mixhq/catalog/part-00000.parquet    one row for every candidate
mixhq/shards/mixhq-00000.tar ...    the accepted light images: k.json, k.light.jpg|png|webp
```
The catalog is made before anything is packed and says in which shard, at which offset, each light image will
be stored. All files are a pure function of the candidates' bytes and names, the excluded images, the
user's choices (:mod:`.photo_selection`) and `samples_per_shard`.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import chain, zip_longest

from dimmagen.core import hashing, storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.hashing import FileRecord
from dimmagen.core.hugging_face import LAYOUT
from dimmagen.core.lock import STATE, exclusive, refuse_gone, remove_stale_lock
from dimmagen.core.parquet import write_rows
from dimmagen.core.tar import TarWriter, read_at
from dimmagen.core.threads import ordered_map
from dimmagen.images import versions
from dimmagen.sources import SOURCES, rules
from dimmagen.sources.candidate_files import CandidateFiles
from dimmagen.sources.candidates import Candidates
from dimmagen.sources.catalog import CATALOG_SCHEMA, CatalogRow
from dimmagen.sources.light_image import load_light_file
from dimmagen.sources.light_images import none_accepted, scanned_ref
from dimmagen.sources.mixhq_card import mixhq_card, mixhq_layout
from dimmagen.sources.mixhq_generations import (
    base_of,
    drop_unpublished,
    is_of_inputs,
    manifest_of,
    next_numbers,
    refuse_other_choices,
)
from dimmagen.sources.mixhq_packing import MixHQShard, Packing, light_sidecar, plan_packing
from dimmagen.sources.mixhq_reading import MIXHQ_MANIFEST, catalog_parts, has_mixhq_manifest, read_catalog
from dimmagen.sources.mixhq_verdicts import finished_tally, recorded_others
from dimmagen.sources.photo_selection import PhotoSelection
from dimmagen.sources.scan import Candidate
from dimmagen.sources.scan_store import KeptRanges
from dimmagen.sources.scene_hash import SAME_SCENE_BITS, SceneHashes
from dimmagen.sources.verdict_counts import VerdictCounts, tally

SAMPLES_PER_SHARD = 1000
_RANGES = "scan"  # subfolder of the state of a run


def describe_inputs(
    listing: CandidateFiles,
    scenes: SceneHashes | None,
    samples_per_shard: int,
    selection: PhotoSelection | None = None,
) -> dict:
    """Everything that decides a MixHQ, in a short form for the manifest: equal inputs give equal files.

    A source is described by the names and sizes of its candidates, which does not need their contents; a file
    that changes and keeps both is not noticed until it is read.

    Args:
        listing: from :func:`~dimmagen.sources.candidate_files.list_candidate_files`.
        scenes: excluded ones, or None.
        samples_per_shard: maximum number of light images per shard.
        selection: the user's choices.
    """
    selection = selection or PhotoSelection()
    listings: dict[str, hashlib._Hash] = {}
    for spec, entry in listing.files:
        line = json.dumps([entry.name, entry.size]).encode() + b"\n"
        listings.setdefault(spec.name, hashlib.sha256()).update(line)
    plugins = {
        name: f"{plugin.distribution} {plugin.version}"
        for name in listings
        if (plugin := SOURCES.plugin(name))
    }
    return {
        "rules_version": rules.RULES_VERSION,
        "samples_per_shard": samples_per_shard,
        "min_lightness": selection.min_lightness,
        **selection.describe(),
        "exclude": scenes.describe() if scenes else {"pictures": 0, "sha256": "", "bits": SAME_SCENE_BITS},
        "sources": {name: listing.hexdigest() for name, listing in listings.items()},
        **({"plugins": plugins} if plugins else {}),
    }


def finished_verdict_counts(out: str, inputs: dict, adds: bool = False) -> dict[str, VerdictCounts] | None:
    """The verdicts of a finished MixHQ that was made from the same inputs; None if there is work to do.

    Args:
        out: folder or fsspec URL.
        inputs: from :func:`describe_inputs`.
        adds: whether photos of other sources may be added to a finished MixHQ.

    Raises:
        UsageError: `out` holds something else, or a MixHQ of other inputs. Nothing is changed.
        DimmagenError: it has lost a shard or a part of its catalog, and has grown or is to grow: another one
            is made again.
    """
    names = _names_in(out)
    if not names:
        return None
    manifest = base_of(out)
    if manifest is None:
        return None  # a run that was stopped; write_mixhq compares the catalogs
    if not is_of_inputs(manifest, inputs):
        if not adds:
            raise _of_other_inputs(out, manifest["inputs"], inputs)
        refuse_other_choices(out, manifest, inputs)
        return None
    if lost := _lost_files(out, manifest):
        if adds or "generations" in manifest:
            raise DimmagenError(
                f"{out} is not whole: {lost[0]} is missing or cut off",
                "copy it again, or build it again into another `out`",
                code="damaged",
                path=out,
                shards=lost,
            )
        return None  # what is whole is kept
    _discard_ranges(out)  # of a run that was killed after its manifest
    remove_stale_lock(out)
    counts = finished_tally(out, manifest)
    if not {"README.md", LAYOUT} <= {*names}:
        with exclusive(out):
            publish_mixhq(out, manifest, counts)
    return counts


def _names_in(out: str) -> list[str]:
    """What a folder holds, which is nothing or a MixHQ, finished or not."""
    if storage.exists(out) and not storage.is_folder(out):
        raise UsageError(f"`out={out}` is a file", "choose a folder", code="no-room", path=out)
    names = [name for name in storage.list_names(out) if name != STATE and not storage.is_unfinished(name)]
    if names and "catalog" not in names and not has_mixhq_manifest(out):
        raise UsageError(
            f"`out={out}` holds something other than a MixHQ ({', '.join(names[:3])})",
            "choose another `out`",
            code="no-room",
            path=out,
        )
    return names


def _of_other_inputs(out: str, found: Mapping, inputs: Mapping) -> UsageError:
    changed = [name for name in sorted(inputs.keys() | found.keys()) if found.get(name) != inputs.get(name)]
    return UsageError(
        f"`out={out}` is a finished MixHQ of other inputs (changed: {', '.join(changed) or 'sources'})",
        "choose another `out`, give `add=True` to add the photos that it does not have, or delete it to "
        "build it again",
        code="other-settings",
        path=out,
        changed=changed,
    )


def _lost_files(out: str, manifest: Mapping) -> list[str]:
    """Names of the parts of the catalog that are missing, and of shards that are, or have another size."""
    parts = [name for name in catalog_parts(manifest) if not storage.exists(storage.join(out, name))]
    folder = storage.join(out, "shards")
    found = storage.find_files(folder) if storage.is_folder(folder) else []
    sizes = {f"shards/{name}": size for name, size, _ in found}
    shards = [one["name"] for one in manifest["shards"] if sizes.get(one["name"]) != one.get("bytes")]
    return [*parts, *shards]


def open_kept_ranges(out: str, rescan: bool = False) -> KeptRanges:
    """The finished ranges of the index pass of a stopped run; they are removed when the MixHQ is complete.

    Args:
        out: folder or fsspec URL.
        rescan: remove them now.

    Raises:
        UsageError: `out` cannot be written.
        DimmagenError: another run is writing to it.
    """
    with exclusive(out):  # said before hours of scanning, and not after them
        kept = KeptRanges(storage.join(out, STATE, _RANGES))
        if rescan:
            kept.discard()
    return kept


def forget_kept_ranges(out: str) -> None:
    """Remove what :func:`open_kept_ranges` keeps, where nothing is written after all."""
    with exclusive(out):
        _discard_ranges(out)


def _discard_ranges(out: str) -> None:
    folder = storage.join(out, STATE, _RANGES)
    with storage.discarding(folder):
        KeptRanges(folder).discard()


def write_mixhq(
    out: str,
    candidates: Candidates,
    inputs: dict,
    workers: int = 2,
    on_light: Callable[[], None] = lambda: None,
    others: Mapping[str, Mapping[str, int]] | None = None,
    base: Mapping | None = None,
) -> dict:
    """Publish the catalog, the shards, the card and the manifest.

    A stopped run is resumed: existing shards that hold what the catalog says are kept.

    Args:
        out: folder or fsspec URL; empty, or with a stopped run of the same inputs.
        candidates: all of them.
        inputs: from :func:`describe_inputs`.
        workers: number of threads that read and encode light images.
        on_light: called for each light image that is packed, or was already packed.
        others: number of files that are not candidates, by source and ending.
        base: manifest of the finished MixHQ in `out`, to which `candidates` are added as a generation: they
            are those of :meth:`.newcomers.Earlier.new_ones`. None for a new MixHQ.

    Returns:
        The manifest.

    Raises:
        DimmagenError: no candidate is accepted, `out` holds a stopped run of other inputs, a source has
            changed, `out` cannot be written, or another run is writing to it.
    """
    with exclusive(out):
        if base is not None and base != base_of(out):
            raise DimmagenError(
                f"{out} has changed since its photos were compared",
                "run the same command again",
                code="locked",
                path=out,
            )
        return _write(out, candidates, inputs, workers, on_light, others or {}, base)


def _write(
    out: str,
    candidates: Candidates,
    inputs: dict,
    workers: int,
    on_light: Callable[[], None],
    others: Mapping[str, Mapping[str, int]],
    base: Mapping | None,
) -> dict:
    for folder in ("", "catalog", "shards"):
        storage.remove_unfinished(storage.join(out, folder))
    number, first_shard = next_numbers(base)
    packing = plan_packing(candidates, inputs["samples_per_shard"], first_shard)
    if not packing.shards and base is None:
        _discard_ranges(out)
        raise none_accepted(candidates.rejected(), f"{len(candidates)} candidates")
    catalog = _write_catalog(out, packing, f"catalog/part-{number:05d}.parquet", base)
    records = [_write_shard(out, packing, shard, workers, on_light) for shard in packing.shards]
    tallies = tally(_all_rows(out, base, packing), {**_others_before(out, base), **others})
    manifest = manifest_of(
        base,
        inputs,
        {name: one.to_dict() for name, one in tallies.items()},
        versions.library_versions() | versions.step_versions(_steps(packing)),
        {**asdict(catalog), "rows": len(candidates)},
        [
            {**asdict(record), "samples": shard.stop - shard.start}
            for record, shard in zip(records, packing.shards, strict=True)
        ],
    )
    publish_mixhq(out, manifest, tallies)
    _discard_ranges(out)
    return manifest


def publish_mixhq(out: str, manifest: Mapping, tallies: dict[str, VerdictCounts]) -> None:
    """Write the layout, the card, and the manifest last."""
    refuse_gone(out)
    storage.atomic_write(storage.join(out, LAYOUT), mixhq_layout(manifest))
    storage.atomic_write(storage.join(out, "README.md"), mixhq_card(tallies, manifest).encode())
    data = json.dumps(manifest, indent=1).encode() + b"\n"
    storage.atomic_write(storage.join(out, MIXHQ_MANIFEST), data)


def _all_rows(out: str, base: Mapping | None, packing: Packing) -> Iterator[CatalogRow]:
    before = read_catalog(out, catalog_parts(base)) if base else iter(())
    return chain(before, packing.rows())


def _others_before(out: str, base: Mapping | None) -> dict[str, dict[str, int]]:
    return recorded_others(out, base.get("sources", {})) if base else {}


def _steps(packing: Packing) -> set[str]:
    return {step for row in packing.rows() for step in row.transform.split("+")}


def _write_catalog(out: str, packing: Packing, name: str, base: Mapping | None) -> FileRecord:
    path = storage.join(out, name)
    if storage.exists(path):
        pairs = zip_longest(read_catalog(out, [name]), packing.rows())
        if all(found == planned for found, planned in pairs):
            return FileRecord(name, *storage.size_and_sha256(path))
        if base is None:
            raise DimmagenError(
                f"{out} holds an unfinished MixHQ of other inputs",
                "choose another `out`, or delete it to build it again",
                code="other-settings",
                path=out,
            )
    if base is not None:
        drop_unpublished(out, base)
    written = write_rows(path, (row.to_dict() for row in packing.rows()), CATALOG_SCHEMA)
    return FileRecord(name, written.bytes, written.sha256)


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
            tar.add(f"{one.row.key}.json", light_sidecar(one.row))
            if tar.add(one.row.member, data) != one.row.offset:
                raise AssertionError(f"{one.row.member} is not where the catalog says")
            on_light()
        size, sha256 = tar.finish()
    return FileRecord(shard.name, size, sha256)


def _stored_light(one: Candidate) -> bytes:
    data = load_light_file(scanned_ref(one))
    if one.row.transform != "verbatim" and hashing.sha256(data) != one.row.light_sha256:
        raise DimmagenError(
            f"{one.row.name} of {one.row.source} does not decode to the same pixels as in the index pass",
            "run the command again; if the file has its old size and times, with `rescan=True`",
            code="source-changed",
            source=one.row.source,
            name=one.row.name,
        )
    return data


def _kept_shard(path: str, shard: MixHQShard, lights: Sequence[Candidate]) -> FileRecord | None:
    """The record of a shard from a stopped run; None if it does not hold what the catalog says."""
    size, sha256 = storage.size_and_sha256(path)
    if size != shard.bytes:
        return None
    with storage.open_binary(path) as file:
        for one in lights:
            if hashing.sha256(read_at(file, one.row.offset, one.row.light_bytes)) != one.row.light_sha256:
                return None
    return FileRecord(shard.name, size, sha256)
