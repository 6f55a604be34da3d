"""Checking a folder in some layout: its files are paired as the reader pairs them, and every file is decoded.

This works for any folder, ours or not: only the files themselves count.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UnavailableError, UsageError
from dimmagen.export.layouts import Layout
from dimmagen.export.listings import Place, image_files
from dimmagen.export.reader import Pairing, Reader
from dimmagen.export.readers import readers_of
from dimmagen.export.sizes import Size, SizeRule
from dimmagen.export.stores import Entries
from dimmagen.export.writing import refuse_misleading
from dimmagen.images import codec


@dataclass(slots=True)
class ExportCheck:
    """What a check found.

    Attributes:
        pairs: number of dark images by their folder.
        faults: one sentence each, beginning with the path below the root.
        notes: one sentence for each reader of the layout for which the folder would not do, though it does
            for the layout as such.
    """

    pairs: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check_export(
    layout: Layout, root: Path, workers: int = 1, reader: Reader | None = None, *, in_repository: bool = False
) -> ExportCheck:
    """Pair the files below a folder by the layout's rule.

    Faults are: an image without its partner, partners of different sizes, files that are not 8-bit RGB images
    or are of another type, an image that is too small, a list that does not name exactly the files, a path
    that misleads the reader, and a missing training split. With a reader also: sizes that it cannot take,
    fewer pairs than it reads, and folders that are listed in different orders, if it pairs by these.

    Args:
        layout: one of :data:`dimmagen.export.layouts.LAYOUTS`.
        root: of the export.
        workers: number of threads.
        reader: one of :data:`dimmagen.export.readers.READERS` that reads the layout.
        in_repository: whether `root` lies where the reader expects it in its repository.

    Raises:
        UsageError: there is no such folder.
    """
    if not root.is_dir():
        raise UsageError(
            f"{root} is not a folder", "give the folder of an export", code="missing-path", path=str(root)
        )
    if require := getattr(layout.labels, "require_packages", None):  # most formats need none
        require()
    check = ExportCheck()
    try:
        if reader is None and layout.by_replacing:
            refuse_misleading(root)
        elif reader and not in_repository:
            refuse_misleading(root, reader.replaces, exactly=True)
    except UsageError as error:
        check.faults.append(error.what)
    with ThreadPoolExecutor(workers) as pool:
        for split, places in layout.splits.items():
            rule = SizeRule() if reader is None else reader.train if split == "train" else reader.validation
            for number, place in enumerate(places):
                sizes = _check_place(check, layout, root, place, pool, needed=split == "train")
                if number == 0 and sizes is not None:
                    check.faults += layout.listing.faults(root, split, place, sizes)
                    check.faults += layout.labels.faults(root, split, place, sizes)
                    shown = next(filter(None, place))
                    check.faults += rule.faults((f"{shown}/{name}", size) for name, size in sizes.items())
    trained = check.pairs.get(layout.train[0][0] or layout.train[0][1], 0)
    if reader and trained < reader.epoch:
        check.faults.append(
            f"{layout.train[0][0]}: {trained} pairs, and {reader.title} reads {reader.epoch} in every epoch"
        )
    _check_orders(check, layout, root, reader)
    return check


def _check_orders(check: ExportCheck, layout: Layout, root: Path, reader: Reader | None) -> None:
    """Compare the orders in which the training folders are listed, for readers that pair by them."""
    by_listing = [one for one in readers_of(layout.name) if one.pairing is Pairing.LISTING]
    concerned = by_listing if reader is None else [one for one in by_listing if one is reader]
    for place in layout.train if concerned else ():
        orders = [_listed(root / folder) for folder in place]
        wrong = sum(dark != light for dark, light in zip(*orders, strict=False))
        if wrong:
            said = (
                f"{place[0]}: {concerned[0].title} pairs files as the file system lists them, and {wrong} "
                f"of {len(orders[0])} would get the partner of another; export to this place, do not copy"
            )
            (check.faults if reader else check.notes).append(said)


def _listed(folder: Path) -> list[str]:
    """Names of the image files of a folder in the order of the file system."""
    images = {path.name for path in image_files(folder)}
    return [name for name in os.listdir(folder) if name in images] if images else []


def _check_place(
    check: ExportCheck, layout: Layout, root: Path, place: Place, pool: ThreadPoolExecutor, needed: bool
) -> dict[str, Size] | None:
    """The sizes of the dark images by file name, or of the light ones if there are only these.

    None if the folders do not exist and are not needed.
    """
    folders = [folder for folder in place if folder]
    if not needed and not any(storage.exists(root / folder) for folder in folders):
        return None
    sides = [_sizes(check, layout, root, folder, pool) for folder in folders]
    check.pairs[folders[0]] = len(sides[0])
    if not all(sides):
        check.faults.append(f"{' and '.join(folders)}: no images")
    for folder, sizes in zip(folders, sides, strict=True):
        for name, size in sizes.items():
            if min(size) <= layout.larger_than:
                check.faults.append(
                    f"{folder}/{name}: {size[1]}x{size[0]} is not larger than {layout.larger_than} pixels"
                )
    if layout.paired:
        check.faults += _pairing_faults(place, sides[0], sides[1])
    return sides[0]


def _pairing_faults(place: Place, dark: dict[str, Size], light: dict[str, Size]) -> Iterator[str]:
    """Readers pair the n-th files of both sorted lists, or equal names: both agree if the names are equal."""
    dark_folder, light_folder = place
    for name in sorted(dark.keys() - light.keys()):
        yield f"{dark_folder}/{name}: no {light_folder}/{name}"
    for name in sorted(light.keys() - dark.keys()):
        yield f"{light_folder}/{name}: no {dark_folder}/{name}"
    for name in sorted(dark.keys() & light.keys()):
        if dark[name] != light[name]:
            (height, width), (light_height, light_width) = dark[name], light[name]
            yield f"{dark_folder}/{name}: {width}x{height}, its partner {light_width}x{light_height}"


def _sizes(
    check: ExportCheck, layout: Layout, root: Path, folder: str, pool: ThreadPoolExecutor
) -> dict[str, Size]:
    """(height, width) of every image in a folder or LMDB, by file name; anything else is a fault."""
    try:
        with layout.store.entries(root / folder) as entries:
            sizes = _measure_all(check, folder, entries, layout.store.extension, pool)
    except UnavailableError:
        raise
    except DimmagenError as error:
        check.faults.append(f"{folder}: {error.what}")
        return {}
    check.faults += layout.store.faults(root, folder, sizes)
    return sizes


def _measure_all(
    check: ExportCheck,
    folder: str,
    files: Entries,
    extension: str,
    pool: ThreadPoolExecutor,
) -> dict[str, Size]:
    sizes: dict[str, Size] = {}
    for (name, _), result in zip(
        files, pool.map(lambda file: _measure(file[0], file[1], extension), files), strict=True
    ):
        if isinstance(result, str):
            check.faults.append(f"{folder}/{name}: {result}")
        else:
            sizes[name] = result
    return sizes


def _measure(name: str, read: Callable[[], bytes], extension: str) -> Size | str:
    """(height, width) of one image, or what is wrong with it."""
    if not name.isascii() or not name.endswith(f".{extension}"):
        return f"is not a .{extension} file with an ASCII name"
    try:
        pixels, facts = codec.decode_rgb8(read())
    except UnavailableError:
        raise
    except FileNotFoundError:
        return "is a broken link"
    except DimmagenError as error:
        return error.what
    if facts.mode != "RGB":
        return f"is {facts.mode}, not 8-bit RGB"
    return pixels.shape[0], pixels.shape[1]
