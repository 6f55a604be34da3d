"""Checking a folder in some layout: its files are paired as that reader pairs them, and every one decoded.

Works on any folder, ours or not: nothing but the files themselves is asked.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import lmdb

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.export.layouts import Layout, Place
from dimmagen.export.lmdb import META, open_lmdb
from dimmagen.export.writing import refuse_misleading
from dimmagen.images import codec

Size = tuple[int, int]


@dataclass(slots=True)
class ExportCheck:
    """Pairs found in each place, by its dark folder, and every fault."""

    pairs: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def check_export(layout: Layout, root: Path, workers: int = 1) -> ExportCheck:
    """Pair the files below `root` by the layout's rule.

    Faults are: a picture without its partner, partners of different sizes, files that are no 8-bit RGB
    pictures or of another type, a picture that is too small, a list that does not name exactly the files, a
    path that misleads the reader, and no training pair at all.

    Raises:
        UsageError: there is no such folder.
    """
    if not root.is_dir():
        raise UsageError(f"{root} is no folder", "give the folder of an export")
    check = ExportCheck()
    if layout.by_replacing:
        try:
            refuse_misleading(root)
        except UsageError as error:
            check.faults.append(error.what)
    with ThreadPoolExecutor(workers) as pool:
        for place in layout.train:
            _check_place(check, layout, root, place, pool, needed=True)
        for place in layout.validation:
            _check_place(check, layout, root, place, pool, needed=False)
    if layout.listing == "file-list":
        check.faults += _file_list_faults(root, "train.txt", layout.train[0])
        if (root / layout.validation[0][0]).is_dir():
            check.faults += _file_list_faults(root, "val.txt", layout.validation[0])
    return check


def _check_place(
    check: ExportCheck, layout: Layout, root: Path, place: Place, pool: ThreadPoolExecutor, needed: bool
) -> None:
    dark_folder, light_folder = place
    if not needed and not (root / dark_folder).exists() and not (root / light_folder).exists():
        return
    sides = [_sizes(check, layout, root, folder, pool) for folder in filter(None, place)]
    check.pairs[dark_folder] = len(sides[0])
    if not all(sides):
        check.faults.append(f"{' and '.join(filter(None, place))}: no pictures")
    for folder, sizes in zip(place, sides, strict=False):
        for name, size in sizes.items():
            if min(size) <= layout.larger_than:
                check.faults.append(
                    f"{folder}/{name}: {size[1]}x{size[0]} is not larger than {layout.larger_than} pixels"
                )
    if layout.paired:
        check.faults += _pairing_faults(place, sides[0], sides[1])
    if layout.listing == "meta-info":
        expected = [f"{name} ({height},{width},3)" for name, (height, width) in sorted(sides[0].items())]
        check.faults += _list_faults(root, str(Path(dark_folder).parent / "meta_info.txt"), expected)


def _pairing_faults(place: Place, dark: dict[str, Size], light: dict[str, Size]) -> Iterator[str]:
    """Readers take the n-th of both sorted lists, or the same name: both agree when the names are equal."""
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
    """(height, width) of every picture in a folder or LMDB, by file name; what is no picture is a fault."""
    if layout.store != "lmdb":
        files = [(path.name, path.read_bytes) for path in _files(root / folder)]
        return _measure_all(check, folder, files, layout.store, pool)
    try:
        with open_lmdb(root / folder) as (keys, read):
            entries = [(f"{key}.png", partial(read, key)) for key in keys]
            sizes = _measure_all(check, folder, entries, "png", pool)
    except lmdb.Error as error:
        check.faults.append(f"{folder}: no LMDB environment ({error})")
        return {}
    expected = [f"{name} ({height},{width},3) 1" for name, (height, width) in sizes.items()]
    check.faults += _list_faults(root, f"{folder}/{META}", expected)
    return sizes


def _measure_all(
    check: ExportCheck,
    folder: str,
    files: Sequence[tuple[str, Callable[[], bytes]]],
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
    """(height, width) of one picture, or what is wrong with it."""
    if not name.isascii() or not name.endswith(f".{extension}"):
        return f"is no .{extension} file with a plain ASCII name"
    try:
        pixels, facts = codec.decode_rgb8(read())
    except DimmagenError as error:
        return error.what
    if facts.mode != "RGB":
        return f"is {facts.mode}, not 8-bit RGB"
    return pixels.shape[0], pixels.shape[1]


def _files(folder: Path) -> list[Path]:
    """Every file of a folder, sorted, but for lists and our own notes."""
    if not folder.is_dir():
        return []
    files = sorted(
        path for path in folder.iterdir() if path.is_file() and not storage.is_unfinished(path.name)
    )
    return [path for path in files if path.suffix not in (".json", ".txt")]


def _list_faults(root: Path, name: str, expected: list[str]) -> Iterator[str]:
    """A list must name the files, in their order, and nothing else."""
    try:
        lines = (root / name).read_text(encoding="ascii", errors="replace").splitlines()
    except FileNotFoundError:
        yield f"{name}: is missing"
        return
    for number, (line, wanted) in enumerate(zip(lines, expected, strict=False), 1):
        if line != wanted:
            yield f"{name}, line {number}: {line!r}, but the files say {wanted!r}"
            return
    if len(lines) != len(expected):
        yield f"{name}: {len(lines)} lines for {len(expected)} files"


def _file_list_faults(root: Path, name: str, place: Place) -> Iterator[str]:
    """DiffLL opens each line, and the line with `low` replaced by `high`."""
    expected = [f"{place[0]}/{file.name}" for file in _files(root / place[0])]
    yield from _list_faults(root, name, expected)
    for line in expected:
        if not (root / line.replace("low", "high")).is_file():
            yield f"{name}: {line} has no {line.replace('low', 'high')}"
