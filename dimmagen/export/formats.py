"""Parts of a layout besides its folders: how images are stored, and the lists that some readers open.

Stores and lists both write and check, so that a layout names objects, and no code has to ask for their kind.
"""

import io
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import lmdb
from PIL import Image

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError
from dimmagen.dataset.reader import PairSet, Side
from dimmagen.export.lmdb import META, open_lmdb, write_lmdb
from dimmagen.images import codec

JPEG_QUALITY = 95
_AHEAD = 32  # images that are encoded before the LMDB writer needs them

Size = tuple[int, int]
"""(height, width), pixels."""
Place = tuple[str, str]
"""Folders of the dark and of the light images, relative to the root; the light folder may be empty (none)."""
Entries = Sequence[tuple[str, Callable[[], bytes]]]
"""File names, each with a function that reads the file."""


@dataclass(frozen=True, slots=True)
class NamedPair:
    """A pair's row in the data set, and its file name without extension."""

    name: str
    row: dict


@dataclass(frozen=True, slots=True)
class StoreWork:
    """The images of one split that a store writes into an export.

    Attributes:
        pairs: the data set.
        root: of the export.
        named: the pairs of the split, at least one.
        places: folders in which the reader expects the images; each holds the same images.
        paired: whether each dark image has a light image of the same name; otherwise each light image is
            stored once.
        pool: threads that read and encode.
        on_pair: called after each pair.
    """

    pairs: PairSet
    root: Path
    named: Sequence[NamedPair]
    places: Sequence[Place]
    paired: bool
    pool: ThreadPoolExecutor
    on_pair: Callable[[], None]


class Store(Protocol):
    """How the images of a folder are stored.

    Attributes:
        extension: of the image files, without the dot.
    """

    extension: str

    def write(self, work: StoreWork) -> None:
        """Write one split; files that exist already are kept."""
        ...

    def entries(self, folder: Path) -> AbstractContextManager[Entries]:
        """The images in one folder, to be checked; they can be read inside the `with` block.

        Raises:
            DimmagenError: the folder is not a store of this kind.
        """
        ...

    def faults(self, root: Path, folder: str, sizes: Mapping[str, Size]) -> Iterator[str]:
        """Faults other than those of the images themselves, whose sizes are given by file name."""
        ...


class FileStore:
    """Image files in folders; the variants of a light image share one file by hard links.

    Args:
        extension: `png`, or `jpg` for JPEG files of quality 95.
    """

    def __init__(self, extension: str) -> None:
        self.extension = extension

    def write(self, work: StoreWork) -> None:
        for place in work.places:
            for folder in filter(None, place):
                (work.root / folder).mkdir(parents=True, exist_ok=True)
                storage.remove_unfinished(work.root / folder)
        by_light: dict[str, list[NamedPair]] = {}
        for one in work.named:
            by_light.setdefault(one.row["light_key"], []).append(one)
        list(work.pool.map(partial(self._write_variants, work), by_light.values()))

    def _write_variants(self, work: StoreWork, variants: list[NamedPair]) -> None:
        dark_folder, light_folder = work.places[0]
        first: Path | None = None
        for one in variants:
            file = f"{one.name}.{self.extension}"
            dark = work.root / dark_folder / file
            _write(dark, partial(encode_image, work.pairs, one.row, "dark", self.extension))
            _link(dark, [work.root / folder / file for folder, _ in work.places[1:]])
            if light_folder and (work.paired or first is None):
                light = work.root / light_folder / file
                if first is None:
                    _write(light, partial(encode_image, work.pairs, one.row, "light", self.extension))
                    first = light
                _link(first, [work.root / folder / file for _, folder in work.places])
            work.on_pair()

    @contextmanager
    def entries(self, folder: Path) -> Iterator[Entries]:
        yield [(path.name, path.read_bytes) for path in image_files(folder)]

    def faults(self, root: Path, folder: str, sizes: Mapping[str, Size]) -> Iterator[str]:
        return iter(())


class LmdbStore:
    """One LMDB environment per folder, as BasicSR reads them, with its `meta_info.txt` inside."""

    extension = "png"

    def write(self, work: StoreWork) -> None:
        max_bytes = sum(one.row["width"] * one.row["height"] * 4 + 2**16 for one in work.named)
        sides: tuple[tuple[Side, str], ...] = (("dark", work.places[0][0]), ("light", work.places[0][1]))
        for side, folder in sides:
            if not (work.root / folder).exists():
                write_lmdb(work.root / folder, self._entries(work, side), max_bytes)

    def _entries(self, work: StoreWork, side: Side) -> Iterator[tuple[str, bytes, Size]]:
        """The entries in order of their keys, encoded in parallel."""
        for start in range(0, len(work.named), _AHEAD):
            part = work.named[start : start + _AHEAD]
            files = work.pool.map(lambda one: encode_image(work.pairs, one.row, side, self.extension), part)
            for one, data in zip(part, files, strict=True):
                yield one.name, data, (one.row["height"], one.row["width"])
                if side == "dark":
                    work.on_pair()

    @contextmanager
    def entries(self, folder: Path) -> Iterator[Entries]:
        try:
            with open_lmdb(folder) as (keys, read):
                yield [(f"{key}.{self.extension}", partial(read, key)) for key in keys]
        except lmdb.Error as error:
            raise DimmagenError(
                f"not an LMDB environment ({error})", code="wrong-format", path=str(folder)
            ) from error

    def faults(self, root: Path, folder: str, sizes: Mapping[str, Size]) -> Iterator[str]:
        expected = [f"{name} ({height},{width},3) 1" for name, (height, width) in sizes.items()]
        return list_faults(root, f"{folder}/{META}", expected)


class Listing(Protocol):
    """A text file from which a reader takes the file names of a split."""

    def write(self, root: Path, split: str, place: Place, sizes: Mapping[str, Size]) -> None:
        """Write the list of one split.

        Args:
            root: of the export.
            split: `train` or `val`.
            place: the first one of the split.
            sizes: of the dark images by file name, in the order of the list.
        """
        ...

    def faults(self, root: Path, split: str, place: Place, sizes: Mapping[str, Size]) -> Iterator[str]:
        """Differences between the list of a split and its files; arguments as for :meth:`write`."""
        ...


class NoListing:
    """For readers that list the folders themselves."""

    def write(self, root: Path, split: str, place: Place, sizes: Mapping[str, Size]) -> None: ...

    def faults(self, root: Path, split: str, place: Place, sizes: Mapping[str, Size]) -> Iterator[str]:
        return iter(())


class MetaInfo:
    """BasicSR's `meta_info.txt` next to the folders of a split: lines like `00001.png (400,600,3)`."""

    def write(self, root: Path, split: str, place: Place, sizes: Mapping[str, Size]) -> None:
        lines = "".join(f"{line}\n" for line in self._lines(sizes))
        storage.atomic_write(root / self._file(place), lines.encode())

    def faults(self, root: Path, split: str, place: Place, sizes: Mapping[str, Size]) -> Iterator[str]:
        return list_faults(root, self._file(place), self._lines(dict(sorted(sizes.items()))))

    @staticmethod
    def _file(place: Place) -> str:
        return str(Path(place[0]).parent / "meta_info.txt")

    @staticmethod
    def _lines(sizes: Mapping[str, Size]) -> list[str]:
        return [f"{name} ({height},{width},3)" for name, (height, width) in sizes.items()]


class FileList:
    """DiffLL's `train.txt` and `val.txt` in the root: one dark path per line.

    The reader replaces `low` by `high` in it.
    """

    def write(self, root: Path, split: str, place: Place, sizes: Mapping[str, Size]) -> None:
        lines = "".join(f"{place[0]}/{name}\n" for name in sizes)
        storage.atomic_write(root / f"{split}.txt", lines.encode())

    def faults(self, root: Path, split: str, place: Place, sizes: Mapping[str, Size]) -> Iterator[str]:
        name = f"{split}.txt"
        expected = [f"{place[0]}/{file.name}" for file in image_files(root / place[0])]
        yield from list_faults(root, name, expected)
        for line in expected:
            if not (root / line.replace("low", "high")).is_file():
                yield f"{name}: {line} has no {line.replace('low', 'high')}"


PNG, JPEG, LMDB = FileStore("png"), FileStore("jpg"), LmdbStore()
NO_LISTING, META_INFO, FILE_LIST = NoListing(), MetaInfo(), FileList()


def encode_image(pairs: PairSet, row: dict, side: Side, extension: str) -> bytes:
    """The bytes of one exported image file.

    Args:
        pairs: the data set.
        row: of the pair.
        side: `dark` or `light`.
        extension: `jpg` for JPEG, otherwise PNG; images that are stored as PNG keep their bytes.
    """
    data = pairs.data(row, side)
    if extension != "jpg" and row[f"{side}_member"].endswith(".png"):
        return data
    pixels, _ = codec.decode_rgb8(data)
    if extension != "jpg":
        return codec.encode_png(pixels)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=JPEG_QUALITY, subsampling="4:4:4")
    return stream.getvalue()


def image_files(folder: Path) -> list[Path]:
    """Every file and broken link of a folder, sorted, except lists (`.txt`) and notes (`.json`)."""
    names = [name for name in storage.list_names(folder) if not storage.is_unfinished(name)]
    files = [folder / name for name in names if not storage.is_folder(folder / name)]
    return [path for path in files if path.suffix not in (".json", ".txt")]


def list_faults(root: Path, name: str, expected: Sequence[str]) -> Iterator[str]:
    """The first difference between a list and its expected lines.

    Args:
        root: of the export.
        name: of the list, relative to the root.
        expected: lines in their order.
    """
    try:
        lines = (root / name).read_text(encoding="ascii", errors="replace").splitlines()
    except FileNotFoundError:
        yield f"{name}: is missing"
        return
    for number, (line, correct) in enumerate(zip(lines, expected, strict=False), 1):
        if line != correct:
            yield f"{name}, line {number}: {line!r}, but the files give {correct!r}"
            return
    if len(lines) != len(expected):
        yield f"{name}: {len(lines)} lines for {len(expected)} files"


def _write(path: Path, make: Callable[[], bytes]) -> None:
    """Write a file unless it exists."""
    if not path.exists():
        storage.atomic_write(path, make())


def _link(file: Path, others: Iterable[Path]) -> None:
    """Link a file under other names; copy it if the file system has no hard links."""
    for other in others:
        if other.exists():
            continue
        try:
            os.link(file, other)
        except FileExistsError:
            pass
        except OSError:
            unfinished = other.with_name(storage.unfinished_name(other.name))
            shutil.copyfile(file, unfinished)
            os.replace(unfinished, other)
