"""Writing one export: plan the split, write each picture once, link it where it is wanted again.

Every file appears complete or not at all, and `export.json` last: its presence means complete. A stopped
export goes on where it was when the same command is run again.
"""

import io
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from PIL import Image

from dimmagen.core import storage
from dimmagen.core.errors import UsageError
from dimmagen.core.lock import STATE, exclusive
from dimmagen.dataset.reader import PairSet, Side
from dimmagen.export.layouts import Layout, Place
from dimmagen.export.lmdb import write_lmdb
from dimmagen.export.split import Split, find_scenes, split_pairs
from dimmagen.images import codec
from dimmagen.sources import SOURCES

DONE, BEGUN = "export.json", ".export-begun.json"
JPEG_QUALITY = 95
_TROUBLING_WORDS = ("low", "high", "normal")

SplitName = Literal["train", "validation"]


@dataclass(frozen=True, slots=True)
class ExportProgress:
    """Called as the work goes on: with the number of photos to look at and pairs to write, then for each."""

    begin: Callable[[int, int], None] = lambda photos, pairs: None
    photo: Callable[[], None] = lambda: None
    pair: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Named:
    """A pair and its file name without extension."""

    name: str
    row: dict


def export_pairs(
    pairs: PairSet,
    layout: Layout,
    to: Path,
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
        to: folder to make, or to go on with.
        count: exactly so many training pairs; None takes all.
        validation: validation pairs, each of another photo, their scenes kept out of training; None: what
            the layout is used to, at most a tenth of the photos.
        workers: threads.
        progress: told of photos and pairs.

    Returns:
        What was written where, and what was left out.

    Raises:
        UsageError: not enough pairs; `to` holds something else, or its path would mislead a reader.
        DimmagenError: the data set is damaged, the disk full, or another run is writing to `to`.
    """
    progress = progress or ExportProgress()
    if layout.by_replacing:
        refuse_misleading(to)
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
    with exclusive(str(to), "--to"), ThreadPoolExecutor(workers) as pool:
        if _begin(to, plan):
            return split
        for rows_of_split, places in ((split.train, layout.train), (split.validation, layout.validation)):
            named = [Named(f"{number:05d}", row) for number, row in enumerate(rows_of_split, 1)]
            if named and layout.store == "lmdb":
                _write_environments(pairs, to, named, places[0], pool, progress)
            elif named:
                _write_folders(pairs, to, named, layout, places, pool, progress)
        _write_lists(to, layout, split)
        _finish(to, plan, split)
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


def _begin(to: Path, plan: dict) -> bool:
    """Note the plan; True when exactly this export is complete already."""
    storage.remove_unfinished(to)
    done = to / DONE
    for note in (done, to / BEGUN):
        if note.is_file():
            before = _plan_of(note)
            if before != plan:
                raise UsageError(f"{to} holds another export ({before})", "choose another --to")
            break
    else:
        if to.is_dir() and any(place.name != STATE for place in to.iterdir()):
            raise UsageError(f"{to} is not empty and no export", "choose a new or an empty folder for --to")
        storage.atomic_write(to / BEGUN, json.dumps({"plan": plan}).encode())
    if done.is_file():
        (to / BEGUN).unlink(missing_ok=True)  # a run was killed in between
        return True
    return False


def _plan_of(note: Path) -> dict | None:
    """The plan that an export has noted; None where the note is damaged."""
    try:
        return storage.read_json(note).get("plan")
    except ValueError:
        return None


def _finish(to: Path, plan: dict, split: Split) -> None:
    """Publish what came from where; the terms of the sources go with the pictures."""
    entries = [
        {"split": name, "file": f"{number:05d}", **{field: row[field] for field in ("key", "source", "name")}}
        for name, rows in (("train", split.train), ("validation", split.validation))
        for number, row in enumerate(rows, 1)
    ]
    sources = sorted({entry["source"] for entry in entries})
    note = {
        "plan": plan,
        "terms": {source: SOURCES[source].terms for source in sources},
        "left_out": split.left_out,
        "pairs": entries,
    }
    storage.atomic_write(to / DONE, json.dumps(note, indent=1).encode() + b"\n")
    (to / BEGUN).unlink(missing_ok=True)


def _write_folders(
    pairs: PairSet,
    to: Path,
    named: Sequence[Named],
    layout: Layout,
    places: Sequence[Place],
    pool: ThreadPoolExecutor,
    progress: ExportProgress,
) -> None:
    """Write the pictures of one split; the variants of a photo share one light file by hard links."""
    for place in places:
        for folder in filter(None, place):
            (to / folder).mkdir(parents=True, exist_ok=True)
            storage.remove_unfinished(to / folder)
    by_photo: dict[str, list[Named]] = {}
    for one in named:
        by_photo.setdefault(one.row["light_key"], []).append(one)

    def write_photo(group: list[Named]) -> None:
        dark_folder, light_folder = places[0]
        first: Path | None = None
        for one in group:
            file = f"{one.name}.{layout.store}"
            dark = to / dark_folder / file
            _write(dark, partial(_image, pairs, one.row, "dark", layout.store))
            _link(dark, [to / folder / file for folder, _ in places[1:]])
            if light_folder and (layout.paired or first is None):
                light = to / light_folder / file
                if first is None:
                    _write(light, partial(_image, pairs, one.row, "light", layout.store))
                    first = light
                _link(first, [to / folder / file for _, folder in places])
            progress.pair()

    list(pool.map(write_photo, by_photo.values()))


def _write(path: Path, make: Callable[[], bytes]) -> None:
    if not path.exists():
        storage.atomic_write(path, make())


def _link(file: Path, others: Iterable[Path]) -> None:
    """The same file under other names; a copy where the file system has no hard links."""
    for other in others:
        if other.exists():
            continue
        try:
            os.link(file, other)
        except FileExistsError:
            pass
        except OSError:
            unfinished = other.with_name(f".{other.name}.{os.getpid()}.tmp")
            shutil.copyfile(file, unfinished)
            os.replace(unfinished, other)


def _image(pairs: PairSet, row: dict, side: Side, store: str) -> bytes:
    """A picture file in the layout's type; PNG bytes stay as they are."""
    data = pairs.data(row, side)
    if store != "jpg" and row[f"{side}_member"].endswith(".png"):
        return data
    pixels, _ = codec.decode_rgb8(data)
    if store != "jpg":
        return codec.encode_png(pixels)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=JPEG_QUALITY, subsampling="4:4:4")
    return stream.getvalue()


def _write_environments(
    pairs: PairSet,
    to: Path,
    named: Sequence[Named],
    place: Place,
    pool: ThreadPoolExecutor,
    progress: ExportProgress,
) -> None:
    most_bytes = sum(one.row["width"] * one.row["height"] * 4 + 2**16 for one in named)
    sides: tuple[tuple[Side, str], ...] = (("dark", place[0]), ("light", place[1]))
    for side, folder in sides:
        if not (to / folder).exists():
            entries = _entries(pairs, named, side, pool)
            write_lmdb(to / folder, _counted(entries, progress if side == "dark" else None), most_bytes)


def _entries(
    pairs: PairSet, named: Sequence[Named], side: Side, pool: ThreadPoolExecutor
) -> Iterator[tuple[str, bytes, tuple[int, int]]]:
    """Entries in order, a few pictures ahead of the writer."""
    ahead = 32
    for start in range(0, len(named), ahead):
        part = named[start : start + ahead]
        files = pool.map(lambda one: _image(pairs, one.row, side, "lmdb"), part)
        for one, data in zip(part, files, strict=True):
            yield one.name, data, (one.row["height"], one.row["width"])


def _counted(entries: Iterable, progress: ExportProgress | None) -> Iterator:
    for entry in entries:
        yield entry
        if progress is not None:
            progress.pair()


def _write_lists(to: Path, layout: Layout, split: Split) -> None:
    """The text files that some readers take their pairs from."""
    for rows, places, name in (
        (split.train, layout.train, "train"),
        (split.validation, layout.validation, "val"),
    ):
        if not rows:
            continue
        files = [(f"{number:05d}.png", row) for number, row in enumerate(rows, 1)]
        if layout.listing == "meta-info":
            lines = [f"{file} ({row['height']},{row['width']},3)\n" for file, row in files]
            storage.atomic_write(to / Path(places[0][0]).parent / "meta_info.txt", "".join(lines).encode())
        elif layout.listing == "file-list":
            lines = [f"{places[0][0]}/{file}\n" for file, _ in files]
            storage.atomic_write(to / f"{name}.txt", "".join(lines).encode())
