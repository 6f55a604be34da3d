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
from typing import Any, Protocol, cast

import lmdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError
from dimmagen.dataset.reader import PairSet
from dimmagen.export.listings import Place, image_files, list_faults, numbered
from dimmagen.export.lmdb import META, open_lmdb, write_lmdb
from dimmagen.export.publishing import STAGE, begin_folder, publish
from dimmagen.export.rows import NamedPair, NamedPairs
from dimmagen.export.sizes import Size, cut
from dimmagen.images import codec
from dimmagen.images.pair_names import Side

_GROUPS_AHEAD = 1024  # light images with their variants that threads are given at a time
_NAMES_AT_ONCE = 4096
_AHEAD = 32  # images that are encoded before the LMDB writer needs them

Entries = Sequence[tuple[str, Callable[[], bytes]]]
"""File names, each with a function that returns the image as the bytes of an image file, such as PNG."""


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
    named: NamedPairs
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
        order, spans = _by_light(work.named.lights)
        every = np.arange(len(work.named))
        _, index, place = np.unique(work.named.lights, return_index=True, return_inverse=True)
        first = index[place]  # variant of the light image of each pair
        name = partial(self._file, work.named)
        sides = [
            _SideFiles(work.root, [place[0] for place in work.places], name, every, every),
            _SideFiles(
                work.root,
                [place[1] for place in work.places],
                name,
                every if work.paired else np.flatnonzero(first == every),
                first,
            ),
        ]
        needed = [side.begin() for side in sides]
        make = partial(self._make_variants, work, sides, needed)
        for start in range(0, len(spans), _GROUPS_AHEAD):
            part = spans[start : start + _GROUPS_AHEAD].tolist()
            list(work.pool.map(make, [order[begin:end] for begin, end in part]))
        for side in sides:
            side.publish()

    def _make_variants(
        self, work: SplitWork, sides: list["_SideFiles"], needed: list[np.ndarray], variants: np.ndarray
    ) -> None:
        """Make the files of one light image and its dark images in the stage, unless they are there."""
        for index in variants.tolist():
            for side, files, is_needed in zip(("dark", "light"), sides, needed, strict=True):
                path = files.stage / self._file(work.named, index)
                if is_needed[index] and not path.exists():
                    one = work.named[index]
                    data = encode_image(work.pairs, one, cast(Side, side), self.extension)
                    storage.atomic_write(path, data)
            work.on_pair()

    def _file(self, named: NamedPairs, index: int) -> str:
        return f"{named.name(index)}.{self.extension}"

    @contextmanager
    def entries(self, folder: Path) -> Iterator[Entries]:
        yield [(path.name, path.read_bytes) for path in image_files(folder)]


def _by_light(lights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pairs by light image; the light images as they come first.

    Args:
        lights: int64 (N,), the light image of each pair.

    Returns:
        Indices of pairs (N,), and where the variants of each light image begin and end there (images, 2).
    """
    order = np.argsort(lights, kind="stable")
    bounds = np.flatnonzero(np.diff(lights[order], prepend=-1, append=-1))
    spans = np.stack([bounds[:-1], bounds[1:]], axis=1)
    return order, spans[np.argsort(order[spans[:, 0]])]


class _Names(Sequence[str]):
    """File names in an order, made when they are asked for."""

    def __init__(self, name: Callable[[int], str], order: np.ndarray) -> None:
        self._name, self._order = name, order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return _Names(self._name, self._order[place])
        return self._name(self._order[place])


class _SideFiles:
    """The files of one side of a split, from the stage into the folders of the layout.

    Args:
        root: of the export.
        folders: that hold the files; empty names are none.
        name: the file name of a pair, by its index.
        indices: of the pairs that have a file of this side.
        made: (all pairs,), the pair whose file in the stage is that of each: variants of a light image share
            one.
    """

    def __init__(
        self,
        root: Path,
        folders: Sequence[str],
        name: Callable[[int], str],
        indices: np.ndarray,
        made: np.ndarray,
    ) -> None:
        self._targets = [root / folder for folder in dict.fromkeys(folders) if folder]
        self.stage = root / STAGE / next(iter(self._targets), root).relative_to(root)
        self._name, self._made = name, made
        parts = range(0, len(indices), _NAMES_AT_ONCE)
        names = [pa.array(map(name, indices[start : start + _NAMES_AT_ONCE].tolist())) for start in parts]
        self._order = indices[pc.sort_indices(pa.chunked_array(names)).to_numpy()]  # by name

    def begin(self) -> np.ndarray:
        """Prepare the folders; which files are needed in the stage, because a name is not published."""
        for target in self._targets:
            begin_folder(target, _Names(self._name, self._order))
        if self._targets:
            storage.remove_unfinished(self.stage)
        is_needed = np.zeros(len(self._made), bool)
        for target in self._targets:
            for index in self._order:
                if not (target / self._name(index)).exists():
                    is_needed[self._made[index]] = True
        return is_needed

    def publish(self) -> None:
        """Give all files their names, in the order of the names, folder by folder."""
        last_use = np.empty_like(self._made)
        last_use[self._made[self._order]] = self._order
        for target in self._targets:
            for index in self._order:
                file = self._made[index]
                keep = target != self._targets[-1] or last_use[file] != index
                publish(self.stage / self._name(file), target / self._name(index), keep=keep)
            storage.sync_folder(target)
        if self._targets:
            shutil.rmtree(self.stage, ignore_errors=True)


class LmdbStore(Store):
    """One LMDB environment per folder, as BasicSR reads them, with its `meta_info.txt` inside."""

    extension = "png"

    def write(self, work: SplitWork) -> None:
        max_bytes = int(work.named.sizes.prod(axis=1).sum() * 4) + len(work.named) * 2**16
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
