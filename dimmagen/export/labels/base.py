"""What all formats of labels share: the protocol, the data set's labels, and the images that labels name."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from dimmagen.core import storage
from dimmagen.dataset.reader import PairSet
from dimmagen.export.listings import Place
from dimmagen.export.rows import NamedPair
from dimmagen.export.sizes import Size
from dimmagen.export.stores import SplitWork

BOXES: tuple[str, ...] = ("coco", "yolo", "voc")
"""The formats of labels in a data set that have boxes."""

LeftOut = dict[str, int]
"""How many objects or images are not in the export, by the reason."""


class LabelFormat(Protocol):
    """How the labels of a layout are stored.

    Attributes:
        needs: formats of labels in a data set that can be written so.
        note: for the layout's page.
    """

    needs: tuple[str, ...]
    note: str

    def write(self, work: SplitWork, split: str, extension: str) -> LeftOut:
        """Write the labels of one split.

        Args:
            work: the split.
            split: its name: `train`, `val` or `test`.
            extension: of the files of the dark images, without the dot.
        """
        ...

    def faults(self, root: Path, split: str, place: Place, sizes: Mapping[str, Size]) -> Iterator[str]:
        """What a reader would stumble over.

        Args:
            root: of the export.
            split: `train` or `val`.
            place: its folder of dark images, and an empty name.
            sizes: (height, width) of its dark images by file name.
        """
        ...


def label_folder(folder: Path) -> Path:
    """A folder for labels, made if need be, without the temporary files of a killed run."""
    folder.mkdir(parents=True, exist_ok=True)
    storage.remove_unfinished(folder)
    return folder


def categories_of(pairs: PairSet) -> list[dict[str, Any]]:
    """The categories of a data set's labels, by their number."""
    return sorted(pairs.manifest.settings["labels"]["categories"], key=lambda one: one["id"])


def documents(work: SplitWork) -> Iterator[tuple[NamedPair, dict[str, Any]]]:
    """Each pair of a split with its labels as the data set has them."""
    return ((one, storage.parse_json(work.pairs.labels(one.row))) for one in work.named)


def image_faults(name: str, listed: Mapping[str, Size], sizes: Mapping[str, Size]) -> Iterator[str]:
    """Differences between the images that labels name, with their sizes, and the files."""
    for file in sorted(listed.keys() - sizes.keys()):
        yield f"{name}: names {file}, which is not there"
    for file in sorted(sizes.keys() - listed.keys()):
        yield f"{name}: does not name {file}"
    for file in sorted(sizes.keys() & listed.keys()):
        if listed[file] != sizes[file]:
            (height, width), (labelled_height, labelled_width) = sizes[file], listed[file]
            yield f"{name}: {file} is {width}x{height}, not {labelled_width}x{labelled_height}"
