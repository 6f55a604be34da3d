"""Masks as PNG files of the names of the images."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from PIL import Image

from dimmagen.core import storage
from dimmagen.export.labels.base import LeftOut, image_faults, label_folder
from dimmagen.export.listings import Place
from dimmagen.export.sizes import Size
from dimmagen.export.stores import SplitWork
from dimmagen.images.pillow_settings import default_settings
from dimmagen.images.pillow_warnings import ignored_warnings

_FOLDERS = {"train": "masks/train", "val": "masks/val"}


class MaskFormat:
    """A PNG file for each image, with its name.

    Args:
        folders: of the masks of each split, relative to the root.
    """

    needs: tuple[str, ...] = ("masks",)
    note = (
        "`masks/train/*.png` has a mask of the same name for each image. Needs a data set that was\n"
        "made with `dimmagen dim --labels masks=DIR` ([dark COCO](../dark-coco.md)). Masks keep their\n"
        "bytes."
    )

    def __init__(self, folders: Mapping[str, str] = _FOLDERS) -> None:
        self._folders = folders

    def write(self, work: SplitWork, split: str, extension: str) -> LeftOut:
        folder = label_folder(work.root / self._folders[split])
        for one in work.named:
            storage.atomic_write(folder / f"{one.name}.png", work.pairs.labels(one.row))
        return {}

    def faults(self, root: Path, split: str, place: Place, sizes: Mapping[str, Size]) -> Iterator[str]:
        folder = self._folders[split]
        listed: dict[str, Size] = {}
        for name in storage.list_names(root / folder):
            path = root / folder / name
            if path.suffix != ".png":
                continue
            try:
                with (
                    ignored_warnings(),
                    default_settings(),
                    Image.open(path, formats=("PNG",)) as image,
                ):
                    image.load()
                    listed[name] = (image.height, image.width)
                    if len(image.getbands()) != 1:
                        yield f"{folder}/{name}: is {image.mode}, not of one channel"
            except Exception as error:  # Pillow raises almost any exception for a damaged file
                yield f"{folder}/{name}: cannot be read ({error})"
        yield from image_faults(folder, listed, sizes)
