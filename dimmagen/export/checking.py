"""Checking a folder in some layout: its files are paired as the reader pairs them, and every file is decoded.

This works for any folder, ours or not: only the files themselves count.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.export.formats import Entries, Place, Size
from dimmagen.export.layouts import Layout
from dimmagen.export.writing import refuse_misleading
from dimmagen.images import codec


@dataclass(slots=True)
class ExportCheck:
    """What a check found.

    Attributes:
        pairs: number of dark images by their folder.
        faults: one sentence each, beginning with the path below the root.
    """

    pairs: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def check_export(layout: Layout, root: Path, workers: int = 1) -> ExportCheck:
    """Pair the files below a folder by the layout's rule.

    Faults are: an image without its partner, partners of different sizes, files that are not 8-bit RGB images
    or are of another type, an image that is too small, a list that does not name exactly the files, a path
    that misleads the reader, and a missing training split.

    Args:
        layout: one of :data:`dimmagen.export.layouts.LAYOUTS`.
        root: of the export.
        workers: number of threads.

    Raises:
        UsageError: there is no such folder.
    """
    if not root.is_dir():
        raise UsageError(
            f"{root} is not a folder", "give the folder of an export", code="missing-path", path=str(root)
        )
    check = ExportCheck()
    if layout.by_replacing:
        try:
            refuse_misleading(root)
        except UsageError as error:
            check.faults.append(error.what)
    with ThreadPoolExecutor(workers) as pool:
        for number, place in enumerate(layout.train):
            sizes = _check_place(check, layout, root, place, pool, needed=True)
            if number == 0:
                check.faults += layout.listing.faults(root, "train", place, sizes or {})
                check.faults += layout.labels.faults(root, "train", place, sizes or {})
        for number, place in enumerate(layout.validation):
            sizes = _check_place(check, layout, root, place, pool, needed=False)
            if number == 0 and sizes is not None:
                check.faults += layout.listing.faults(root, "val", place, sizes)
                check.faults += layout.labels.faults(root, "val", place, sizes)
    return check


def _check_place(
    check: ExportCheck, layout: Layout, root: Path, place: Place, pool: ThreadPoolExecutor, needed: bool
) -> dict[str, Size] | None:
    """The sizes of the dark images by file name; None if the folders do not exist and are not needed."""
    dark_folder, light_folder = place
    if not needed and not (root / dark_folder).exists() and not (root / light_folder).exists():
        return None
    sides = [_sizes(check, layout, root, folder, pool) for folder in filter(None, place)]
    check.pairs[dark_folder] = len(sides[0])
    if not all(sides):
        check.faults.append(f"{' and '.join(filter(None, place))}: no images")
    for folder, sizes in zip(place, sides, strict=False):
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
    except DimmagenError as error:
        return error.what
    if facts.mode != "RGB":
        return f"is {facts.mode}, not 8-bit RGB"
    return pixels.shape[0], pixels.shape[1]
