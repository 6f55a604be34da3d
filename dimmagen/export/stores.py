"""How the images of a layout are stored: as files in folders, or in LMDB.

A store both writes and checks, so that a layout names an object, and no code has to ask for its kind.
"""

import shutil
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, cast

import lmdb
import numpy as np

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError
from dimmagen.dataset.reader import PairSet, Side
from dimmagen.export.listings import Place, image_files, list_faults, numbered
from dimmagen.export.lmdb import META, open_lmdb, write_lmdb
from dimmagen.export.publishing import STAGE, begin_folder, publish
from dimmagen.export.sizes import Size, cut
from dimmagen.images import codec

_AHEAD = 32  # images that are encoded before the LMDB writer needs them

Entries = Sequence[tuple[str, Callable[[], bytes]]]
"""File names, each with a function that returns the image as the bytes of an image file, such as PNG."""


@dataclass(frozen=True, slots=True)
class NamedPair:
    """One pair of an export.

    Attributes:
        name: of its files, without extension.
        row: of the pair in the data set.
        size: of the exported images; smaller than those of the data set if they are cut.
    """

    name: str
    row: dict
    size: Size


@dataclass(frozen=True, slots=True)
class SplitWork:
    """One split of an export that is to be written.

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
    """How the images of a folder are stored. Subclasses write and list them.

    Attributes:
        extension: of the names that lists and checks show, without the dot.
    """

    extension: str

    @abstractmethod
    def write(self, work: SplitWork) -> None:
        """Write one split; files that exist already are kept."""
        ...

    @abstractmethod
    def entries(self, folder: Path) -> AbstractContextManager[Entries]:
        """The images in one folder, to be checked; they can be read inside the `with` block.

        Their names end in :attr:`extension`. What is not an image file, such as an array, is returned as one.

        Raises:
            DimmagenError: the folder is not a store of this kind.
        """
        ...

    def faults(self, root: Path, folder: str, sizes: Mapping[str, Size]) -> Iterator[str]:
        """Faults other than those of the images themselves, whose sizes are given by file name."""
        return iter(())


class FileStore(Store):
    """Image files in folders; the variants of a light image share one file by hard links.

    Args:
        extension: `png`, or `jpg` for JPEG files of quality 95.
    """

    def __init__(self, extension: str) -> None:
        self.extension = extension

    def write(self, work: SplitWork) -> None:
        groups: dict[str, list[NamedPair]] = {}  # the variants of each light image
        for one in work.named:
            groups.setdefault(one.row["light_key"], []).append(one)
        dark = {self._file(one): self._file(one) for one in work.named}
        light = {
            self._file(one): self._file(variants[0])
            for variants in groups.values()
            for one in (variants if work.paired else variants[:1])
        }
        sides = [
            _SideFiles(work.root, [place[0] for place in work.places], dark),
            _SideFiles(work.root, [place[1] for place in work.places], light),
        ]
        needed = [side.begin() for side in sides]
        list(work.pool.map(partial(self._make_variants, work, sides, needed), groups.values()))
        for side in sides:
            side.publish()

    def _make_variants(
        self, work: SplitWork, sides: list["_SideFiles"], needed: list[set[str]], variants: list[NamedPair]
    ) -> None:
        """Make the files of one light image and its dark images in the stage, unless they are there."""
        for one in variants:
            for name, side, files in zip(("dark", "light"), sides, needed, strict=True):
                file = self._file(one)
                if file in files and not (side.stage / file).exists():
                    data = encode_image(work.pairs, one, cast(Side, name), self.extension)
                    storage.atomic_write(side.stage / file, data)
            work.on_pair()

    def _file(self, one: NamedPair) -> str:
        return f"{one.name}.{self.extension}"

    @contextmanager
    def entries(self, folder: Path) -> Iterator[Entries]:
        yield [(path.name, path.read_bytes) for path in image_files(folder)]


@dataclass(frozen=True, slots=True)
class _SideFiles:
    """The files of one side of a split, from the stage into the folders of the layout.

    Attributes:
        root: of the export.
        folders: that hold the files; empty names are none.
        files: the file in the stage for each file name; variants of a light image share one.
    """

    root: Path
    folders: Sequence[str]
    files: Mapping[str, str]

    @property
    def stage(self) -> Path:
        return self.root / STAGE / next(iter(self._targets()), self.root).relative_to(self.root)

    def _targets(self) -> list[Path]:
        return [self.root / folder for folder in dict.fromkeys(self.folders) if folder]

    def begin(self) -> set[str]:
        """Prepare the folders; the files that are needed in the stage, because a name is not published."""
        names = sorted(self.files)
        for target in self._targets():
            begin_folder(target, names)
        if self._targets():
            storage.remove_unfinished(self.stage)
        return {
            self.files[name] for target in self._targets() for name in names if not (target / name).exists()
        }

    def publish(self) -> None:
        """Give all files their names, in the order of the names, folder by folder."""
        last_use = {self.files[name]: name for name in sorted(self.files)}
        for target in (targets := self._targets()):
            for name in sorted(self.files):
                file = self.files[name]
                keep = target != targets[-1] or last_use[file] != name
                publish(self.stage / file, target / name, keep=keep)
            storage.sync_folder(target)
        if targets:
            shutil.rmtree(self.stage, ignore_errors=True)


class LmdbStore(Store):
    """One LMDB environment per folder, as BasicSR reads them, with its `meta_info.txt` inside."""

    extension = "png"

    def write(self, work: SplitWork) -> None:
        max_bytes = sum(one.size[0] * one.size[1] * 4 + 2**16 for one in work.named)
        sides: tuple[tuple[Side, str], ...] = (("dark", work.places[0][0]), ("light", work.places[0][1]))
        for side, folder in sides:
            if not (work.root / folder).exists():
                write_lmdb(work.root / folder, self._entries(work, side), max_bytes)

    def _entries(self, work: SplitWork, side: Side) -> Iterator[tuple[str, bytes, Size]]:
        """The entries in order of their keys, encoded in parallel."""
        for start in range(0, len(work.named), _AHEAD):
            part = work.named[start : start + _AHEAD]
            files = work.pool.map(lambda one: encode_image(work.pairs, one, side, self.extension), part)
            for one, data in zip(part, files, strict=True):
                yield one.name, data, one.size
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
        images = [(name, *sizes[name]) for name in numbered(sizes)]
        expected = [f"{name} ({height},{width},3) 1" for name, height, width in images]
        return list_faults(root, f"{folder}/{META}", expected)


PNG, JPEG, LMDB = FileStore("png"), FileStore("jpg"), LmdbStore()


def encode_image(pairs: PairSet, one: NamedPair, side: Side, extension: str) -> bytes:
    """The bytes of one exported image file.

    Args:
        pairs: the data set.
        one: the pair; if its size is not that of its row, the central window is cut out.
        side: `dark` or `light`.
        extension: `jpg` for JPEG, otherwise PNG; whole images that are stored as PNG keep their bytes.
    """
    whole = one.size == (one.row["height"], one.row["width"])
    if whole and extension != "jpg" and one.row[f"{side}_member"].endswith(".png"):
        return pairs.data(one.row, side)
    pixels = exported_pixels(pairs, one, side)
    return codec.encode_jpeg(pixels) if extension == "jpg" else codec.encode_png(pixels)


def exported_pixels(pairs: PairSet, one: NamedPair, side: Side) -> np.ndarray:
    """The pixels of one exported image, uint8 (H, W, 3); arguments as for :func:`encode_image`."""
    return np.ascontiguousarray(cut(codec.decode_rgb8(pairs.data(one.row, side))[0], one.size))
