"""Masks: one PNG for each image, of one channel (8 or 16 bits, or a palette), of the image's size."""

import io
import json
from collections.abc import Iterator

import numpy as np
from PIL import Image

from dimmagen.core import hashing
from dimmagen.core.errors import UsageError
from dimmagen.images.codec import encode_mask_png
from dimmagen.images.pillow_settings import default_settings
from dimmagen.images.pillow_warnings import ignored_warnings
from dimmagen.images.png_damage import png_damage
from dimmagen.images.png_metadata import metadata_first
from dimmagen.sources.labels.annotations import broken
from dimmagen.sources.labels.files import LabelFiles
from dimmagen.sources.labels.geometry import Move
from dimmagen.sources.labels.records import MASK_MEMBER, LabelledLight, LabelRecord, LabelSource

_MODES = ("L", "P", "1", "I;16")


class MaskLabels(LabelSource):
    """The masks of a folder.

    Args, Raises: as for :class:`.LabelFiles`.
    """

    format = "masks"
    member = MASK_MEMBER

    def __init__(self, path: str) -> None:
        self.files = LabelFiles(path, (".png",))

    def names(self) -> Iterator[str]:
        return self.files.names()

    def size(self, name: str) -> tuple[int, int]:
        """(width, height) of a mask, from its header.

        Raises:
            DimmagenError: it is not such a PNG.
        """
        return _opened(self.files.data(name), f"{self.files.path}: {name}").size

    def record(self, name: str | None, light: LabelledLight) -> LabelRecord:
        if name is None:
            raise UsageError(
                f"{light.ref.name} has no mask in {self.files.path}",
                "give a mask for each image: no value is right for all that is not labelled",
                code="missing-path",
                parameter="labels",
                name=light.ref.name,
            )
        move = light.move(self.size(name))
        content = {
            "locator": self.files.locator(name),
            "sha256": hashing.sha256(self.files.data(name)),
            "move": move.record(),
            "where": f"{self.files.path}: {name}",
        }
        what = json.dumps([content["sha256"], content["move"]])
        return LabelRecord(json.dumps(content).encode(), hashing.sha256(what.encode()), objects=1)


def moved_mask(data: bytes, move: Move, where: str) -> bytes:
    """A mask in the light image; its bytes are kept if every pixel stays.

    Raises:
        DimmagenError: it is not such a PNG.
    """
    image = _opened(data, where)
    if move.stays:
        return data
    try:
        with ignored_warnings(), default_settings():
            pixels = move.mask(np.asarray(image))
    except Exception as error:  # Pillow raises almost any exception for a damaged file
        raise broken(where, f"it cannot be decoded ({error})") from error
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * 255
    palette = bytes(image.getpalette() or []) if image.mode == "P" else b""
    return encode_mask_png(pixels.astype(np.uint16 if pixels.dtype.itemsize > 1 else np.uint8), palette)


def _opened(data: bytes, where: str) -> Image.Image:
    if damage := png_damage(data):
        raise broken(where, f"it {damage}")
    try:
        with ignored_warnings(), default_settings():
            image = Image.open(io.BytesIO(metadata_first(data)), formats=("PNG",))
    except Exception as error:  # as above
        raise broken(where, f"it is not a PNG ({error})") from error
    if image.mode not in _MODES:
        raise broken(where, f"it is a PNG of mode {image.mode}, not of one channel")
    return image
