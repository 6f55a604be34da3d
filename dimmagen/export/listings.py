"""The lists that some readers open for the file names of a split.

A listing both writes and checks, so that a layout names an object, and no code has to ask for its kind.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dimmagen.core import storage
from dimmagen.export.sizes import Size

Place = tuple[str, str]
"""Folders of the dark and of the light images, relative to the root; either may be empty (none)."""


class Listing(Protocol):
    """A text file from which a reader takes the file names of a split. Subclasses define what is in it."""

    @abstractmethod
    def file(self, split: str, place: Place) -> str:
        """Path of the list relative to the root; empty if there is none. Arguments as for :meth:`write`."""
        ...

    @abstractmethod
    def write(self, root: Path, split: str, place: Place, sizes: Mapping[str, Size]) -> None:
        """Write the list of one split.

        Args:
            root: of the export.
            split: `train`, `val` or `test`.
            place: the first one of the split.
            sizes: of the dark images by file name, in the order of the list; there may be millions, which are
                made while they are iterated.
        """
        ...

    @abstractmethod
    def faults(self, root: Path, split: str, place: Place, sizes: Mapping[str, Size]) -> Iterator[str]:
        """Differences between the list of a split and its files; arguments as for :meth:`write`."""
        ...


class NoListing(Listing):
    """For readers that list the folders themselves."""

    def file(self, split: str, place: Place) -> str:
        return ""

    def write(self, root: Path, split: str, place: Place, sizes: Mapping[str, Size]) -> None: ...

    def faults(self, root: Path, split: str, place: Place, sizes: Mapping[str, Size]) -> Iterator[str]:
        return iter(())


class MetaInfo(Listing):
    """BasicSR's `meta_info.txt` next to the folders of a split: lines like `00001.png (400,600,3)`."""

    def write(self, root: Path, split: str, place: Place, sizes: Mapping[str, Size]) -> None:
        _write_lines(root / self.file(split, place), self._lines(sizes.items()))

    def faults(self, root: Path, split: str, place: Place, sizes: Mapping[str, Size]) -> Iterator[str]:
        lines = self._lines((name, sizes[name]) for name in numbered(sizes))
        return list_faults(root, self.file(split, place), [*lines])

    def file(self, split: str, place: Place) -> str:
        return (Path(place[0]).parent / "meta_info.txt").as_posix()

    @staticmethod
    def _lines(files: Iterable[tuple[str, Size]]) -> Iterator[str]:
        return (f"{name} ({height},{width},3)" for name, (height, width) in files)


class FileList(Listing):
    """DiffLL's `<name>/<split>/<name>_<split>.txt`: one dark path per line, relative to the list's folder.

    The reader replaces `low` by `high` in it.
    """

    def file(self, split: str, place: Place) -> str:
        folder = Path(place[0]).parent
        return (folder / f"{folder.parent.name}_{split}.txt").as_posix()

    def write(self, root: Path, split: str, place: Place, sizes: Mapping[str, Size]) -> None:
        _write_lines(root / self.file(split, place), self._lines(place, sizes))

    def faults(self, root: Path, split: str, place: Place, sizes: Mapping[str, Size]) -> Iterator[str]:
        name = self.file(split, place)
        lines = [*self._lines(place, numbered(file.name for file in image_files(root / place[0])))]
        yield from list_faults(root, name, lines)
        folder = Path(name).parent
        for line in lines:
            light = (folder / line.replace("low", "high")).as_posix()
            if not (root / light).is_file():
                yield f"{name}: {line} has no {light}"

    @staticmethod
    def _lines(place: Place, names: Iterable[str]) -> Iterator[str]:
        return (f"{Path(place[0]).name}/{name}" for name in names)


@dataclass(frozen=True, slots=True)
class PairList:
    """LightenDiffusion's lists: the path of a dark and of a light image in each line.

    The reader opens the paths as they stand, from the folder in which it is started.

    Attributes:
        root: of the export, as the reader sees it from there.
        files: name of the list of each split, in the root of the export.
    """

    root: str
    files: Mapping[str, str]

    def file(self, split: str, place: Place) -> str:
        return self.files[split]

    def write(self, root: Path, split: str, place: Place, sizes: Mapping[str, Size]) -> None:
        _write_lines(root / self.file(split, place), self._lines(place, sizes))

    def faults(self, root: Path, split: str, place: Place, sizes: Mapping[str, Size]) -> Iterator[str]:
        return list_faults(root, self.file(split, place), [*self._lines(place, numbered(sizes))])

    def _lines(self, place: Place, names: Iterable[str]) -> Iterator[str]:
        dark, light = (f"{self.root}/{folder}" for folder in place)
        return (f"{dark}/{name} {light}/{name}" for name in names)


NO_LISTING, META_INFO, FILE_LIST = NoListing(), MetaInfo(), FileList()
PAIR_LIST = PairList("data", {"train": "unpaired_train.txt", "val": "LOLv1_val.txt"})


def image_files(folder: Path) -> list[Path]:
    """Every file and broken link of a folder, sorted, except lists (`.txt`) and notes (`.json`)."""
    names = [name for name in storage.list_names(folder) if not storage.is_unfinished(name)]
    files = [folder / name for name in names if not storage.is_folder(folder / name)]
    return [path for path in files if path.suffix not in (".json", ".txt")]


def numbered(names: Iterable[str]) -> list[str]:
    """File names in the order of an export's numbers: 100000 follows 99999. Others are sorted by letters."""
    ordered = sorted(names)
    numbers = {name: name.split(".")[0] for name in ordered}
    if all(number.isdigit() and len(number) >= 5 for number in numbers.values()):
        ordered.sort(key=lambda name: len(numbers[name]))
    return ordered


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


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    storage.remove_abandoned(path.parent, [path.name])
    with storage.atomic_writer(path) as file:
        for line in lines:
            file.write(f"{line}\n".encode())
