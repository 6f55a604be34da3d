"""Writing one export: plan the split, write each image once, and link it where it is needed again.

Every file appears complete or not at all, and `export.json` is written last: its presence means that the
export is complete. A stopped export is resumed when the same command is run again.
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
from dimmagen.export.labels import refuse_other_labels
from dimmagen.export.layouts import Layout
from dimmagen.export.split import Split, find_scenes, split_pairs
from dimmagen.sources import terms_of

DONE, BEGUN = "export.json", ".export-begun.json"
_REPLACED_WORDS = ("low", "high", "normal")

SplitName = Literal["train", "validation"]


@dataclass(frozen=True, slots=True)
class ExportProgress:
    """Functions that are notified of the progress.

    Attributes:
        begin: called once, with the number of light images to compare and of pairs to write.
        light_image: called after each light image.
        pair: called after each pair.
    """

    begin: Callable[[int, int], None] = lambda light_images, pairs: None
    light_image: Callable[[], None] = lambda: None
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
    """Write a data set in a layout that other trainers read.

    Args:
        pairs: a finished data set.
        layout: one of :data:`dimmagen.export.layouts.LAYOUTS`.
        out: folder to create, or whose export is resumed.
        count: exact number of training pairs; None takes all.
        validation: number of validation pairs, each of another light image; their scenes are kept out of
            training. None takes the layout's default, but at most a tenth of the light images.
        workers: number of threads.
        progress: notified of light images and pairs.

    Returns:
        The pairs of both splits, and what was left out.

    Raises:
        UsageError: there are not enough pairs, `out` holds something else, or its path would mislead a
            reader.
        DimmagenError: the data set is damaged, the disk is full, or another run is writing to `out`.
    """
    progress = progress or ExportProgress()
    if layout.by_replacing:
        refuse_misleading(out)
    refuse_other_labels(pairs, layout.name, layout.labels)
    light_images = len(set(pairs.table["light_key"].to_pylist()))
    if validation is None:
        validation = min(layout.validation_size, max(1, light_images // 10))
    validation = validation if layout.validation else 0
    progress.begin(light_images if validation else 0, len(pairs))
    rows = pairs.rows()
    if validation:
        scenes = find_scenes(pairs, workers, progress.light_image)
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
                named = [
                    NamedPair(layout.names.format(split=name, number=number), row)
                    for number, row in enumerate(rows_of_split, 1)
                ]
                layout.store.write(StoreWork(pairs, out, named, places, layout.paired, pool, progress.pair))
                sizes = {
                    f"{one.name}.{layout.store.extension}": (one.row["height"], one.row["width"])
                    for one in named
                }
                layout.listing.write(out, name, places[0], sizes)
                missing = layout.labels.write(out, name, places[0], pairs, named, layout.store.extension)
                for reason, number in missing.items():
                    split.left_out[reason] = split.left_out.get(reason, 0) + number
        _finish(out, plan, split, pairs.manifest.settings, layout)
    return split


def refuse_misleading(root: Path) -> None:
    """Refuse a folder whose own path contains a word that readers replace, such as `low` by `high`.

    Raises:
        UsageError: it does; the readers would look for light images in another folder.
    """
    path = str(root.absolute()).lower()
    for word in _REPLACED_WORDS:
        if word in path:
            raise UsageError(
                f"the path {root.absolute()} holds the word {word!r}, which readers of this layout replace",
                "choose a folder whose whole path contains none of " + ", ".join(_REPLACED_WORDS),
                code="invalid-name",
                path=str(root.absolute()),
                word=word,
            )


def _begin(out: Path, plan: dict) -> bool:
    """Record the plan; True if exactly this export is already complete."""
    storage.remove_unfinished(out)
    done = out / DONE
    for note in (done, out / BEGUN):
        if note.is_file():
            before = _plan_of(note)
            if before != plan:
                raise UsageError(
                    f"{out} holds another export ({before})",
                    "choose another `out`",
                    code="other-settings",
                    path=str(out),
                )
            break
    else:
        if out.is_dir() and any(path.name != STATE for path in out.iterdir()):
            raise UsageError(
                f"{out} is not empty, and is not an export",
                "choose a new or an empty folder for `out`",
                code="no-room",
                path=str(out),
            )
        storage.atomic_write(out / BEGUN, json.dumps({"plan": plan}).encode())
    if done.is_file():
        (out / BEGUN).unlink(missing_ok=True)  # a run was killed between the two
        return True
    return False


def _plan_of(note: Path) -> dict | None:
    """The plan in a note of an export; None if the note is damaged."""
    try:
        return storage.read_json(note).get("plan")
    except ValueError:
        return None


def _finish(out: Path, plan: dict, split: Split, settings: Mapping, layout: Layout) -> None:
    """Publish `export.json`: the origin of every pair, and the terms of the sources."""
    entries = [
        {
            "split": name,
            "file": layout.names.format(split=short, number=number),
            **{field: row[field] for field in ("key", "source", "name")},
        }
        for name, short, rows in (("train", "train", split.train), ("validation", "val", split.validation))
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
