"""Writing one export: plan the split, write each picture once, link it where it is wanted again.

Every file appears complete or not at all, and `export.json` last: its presence means complete. A stopped
export goes on where it was when the same command is run again.
"""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dimmagen.core import storage
from dimmagen.core.errors import UsageError
from dimmagen.core.lock import STATE, exclusive
from dimmagen.dataset.reader import PairSet
from dimmagen.export.formats import NamedPair, StoreWork
from dimmagen.export.layouts import Layout
from dimmagen.export.split import Split, find_scenes, split_pairs
from dimmagen.sources import terms_of

DONE, BEGUN = "export.json", ".export-begun.json"
_TROUBLING_WORDS = ("low", "high", "normal")

SplitName = Literal["train", "validation"]


@dataclass(frozen=True, slots=True)
class ExportProgress:
    """Called as the work goes on: with the number of photos to look at and pairs to write, then for each."""

    begin: Callable[[int, int], None] = lambda photos, pairs: None
    photo: Callable[[], None] = lambda: None
    pair: Callable[[], None] = lambda: None


def export_pairs(
    pairs: PairSet,
    layout: Layout,
    out: Path,
    *,
    count: int | None = None,
    validation: int | None = None,
    workers: int = 1,
    progress: ExportProgress | None = None,
) -> Split:
    """Write a data set in a layout of other trainers.

    Args:
        pairs: a finished data set.
        layout: one of :data:`dimmagen.export.layouts.LAYOUTS`.
        out: folder to make, or to go on with.
        count: exactly so many training pairs; None takes all.
        validation: validation pairs, each of another photo, their scenes kept out of training; None: what
            the layout is used to, at most a tenth of the photos.
        workers: threads.
        progress: told of photos and pairs.

    Returns:
        What was written where, and what was left out.

    Raises:
        UsageError: not enough pairs; `out` holds something else, or its path would mislead a reader.
        DimmagenError: the data set is damaged, the disk full, or another run is writing to `out`.
    """
    progress = progress or ExportProgress()
    if layout.by_replacing:
        refuse_misleading(out)
    photos = len(set(pairs.table["light_key"].to_pylist()))
    if validation is None:
        validation = min(layout.validation_size, max(1, photos // 10))
    validation = validation if layout.validation else 0
    progress.begin(photos if validation else 0, len(pairs))
    rows = pairs.rows()
    if validation:
        scenes = find_scenes(pairs, workers, progress.photo)
    else:
        scenes = {row["light_key"]: row["light_key"] for row in rows}
    split = split_pairs(rows, scenes, validation, count, layout.larger_than)
    plan = {
        "layout": layout.name,
        "data_set": pairs.manifest.root_hash,
        "count": count,
        "validation": validation,
    }
    with exclusive(str(out)), ThreadPoolExecutor(workers) as pool:
        if _begin(out, plan):
            return split
        for name, rows_of_split, places in (
            ("train", split.train, layout.train),
            ("val", split.validation, layout.validation),
        ):
            if rows_of_split:
                named = [NamedPair(f"{number:05d}", row) for number, row in enumerate(rows_of_split, 1)]
                layout.store.write(StoreWork(pairs, out, named, places, layout.paired, pool, progress.pair))
                sizes = {
                    f"{one.name}.{layout.store.extension}": (one.row["height"], one.row["width"])
                    for one in named
                }
                layout.listing.write(out, name, places[0], sizes)
        _finish(out, plan, split, pairs.manifest.settings)
    return split


def refuse_misleading(root: Path) -> None:
    """Readers that replace `low` by `high` in whole paths are lost where the root's own path holds it."""
    path = str(root.absolute()).lower()
    for word in _TROUBLING_WORDS:
        if word in path:
            raise UsageError(
                f"the path {root.absolute()} holds the word {word!r}, which readers of this layout replace",
                "choose a folder whose whole path has none of " + ", ".join(_TROUBLING_WORDS),
            )


def _begin(out: Path, plan: dict) -> bool:
    """Note the plan; True when exactly this export is complete already."""
    storage.remove_unfinished(out)
    done = out / DONE
    for note in (done, out / BEGUN):
        if note.is_file():
            before = _plan_of(note)
            if before != plan:
                raise UsageError(f"{out} holds another export ({before})", "choose another `out` folder")
            break
    else:
        if out.is_dir() and any(place.name != STATE for place in out.iterdir()):
            raise UsageError(f"{out} is not empty and no export", "choose a new or an empty folder for `out`")
        storage.atomic_write(out / BEGUN, json.dumps({"plan": plan}).encode())
    if done.is_file():
        (out / BEGUN).unlink(missing_ok=True)  # a run was killed in between
        return True
    return False


def _plan_of(note: Path) -> dict | None:
    """The plan that an export has noted; None where the note is damaged."""
    try:
        return storage.read_json(note).get("plan")
    except ValueError:
        return None


def _finish(out: Path, plan: dict, split: Split, settings: Mapping) -> None:
    """Publish what came from where; the terms of the sources go with the pictures."""
    entries = [
        {"split": name, "file": f"{number:05d}", **{field: row[field] for field in ("key", "source", "name")}}
        for name, rows in (("train", split.train), ("validation", split.validation))
        for number, row in enumerate(rows, 1)
    ]
    sources = sorted({entry["source"] for entry in entries})
    note = {
        "plan": plan,
        "terms": {source: terms_of(source, settings) for source in sources},
        "left_out": split.left_out,
        "pairs": entries,
    }
    storage.atomic_write(out / DONE, json.dumps(note, indent=1).encode() + b"\n")
    (out / BEGUN).unlink(missing_ok=True)
