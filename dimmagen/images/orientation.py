"""Which way up an image is, by its EXIF orientation (CIPA DC-008, 4.6.4)."""

from typing import NamedTuple

import numpy as np
from PIL import Image

from dimmagen.core.machine import is_machine_trouble

EXIF_TAG = 0x0112


class Orientation(NamedTuple):
    """How the stored pixels of an image are made upright.

    Attributes:
        is_transposed: whether rows and columns change places first.
        down, across: steps of rows and of columns after that, 1 or -1.
    """

    is_transposed: bool
    down: int
    across: int

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """A view of (H, W, ...) pixels that is upright."""
        turned = pixels.swapaxes(0, 1) if self.is_transposed else pixels
        return turned[:: self.down, :: self.across]


UPRIGHT = Orientation(False, 1, 1)
_BY_TAG = {
    1: UPRIGHT,
    2: Orientation(False, 1, -1),
    3: Orientation(False, -1, -1),
    4: Orientation(False, -1, 1),
    5: Orientation(True, 1, 1),
    6: Orientation(True, 1, -1),
    7: Orientation(True, -1, -1),
    8: Orientation(True, -1, 1),
}
# The same as degrees clockwise, and whether it is mirrored left to right after that.
_TURNS = {
    1: (0, False),
    2: (0, True),
    3: (180, False),
    4: (180, True),
    5: (90, True),
    6: (90, False),
    7: (270, True),
    8: (270, False),
}


def orientation_of(image: Image.Image) -> Orientation:
    """How an image that Pillow has opened is made upright."""
    return _BY_TAG[_tag_of(image)]


def stored_turn(image: Image.Image) -> tuple[int, bool]:
    """Degrees clockwise by which an image is turned to be upright, and whether it is mirrored after that."""
    return _TURNS[_tag_of(image)]


def _tag_of(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none."""
    try:
        if image.format == "AVIF":
            # Its own properties count alone (ISO/IEC 23000-22, 7.3.6.7). Pillow adds them to the EXIF data,
            # and where there are none takes what an earlier file has left in the XMP data.
            exif = Image.Exif()
            exif.load(image.info.get("exif", b""))
        else:  # the getexif of PNG images would decode the whole image to search for a chunk after it
            exif = Image.Image.getexif(image)
        value = exif.get(EXIF_TAG, 1)
    except Exception as error:  # Pillow raises almost any for damaged tags, and the pixels may be whole
        if is_machine_trouble(error):
            raise
        return 1
    return value if value in _TURNS else 1
