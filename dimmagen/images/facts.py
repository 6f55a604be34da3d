"""What is known of an image file besides its pixels, and the error of one that cannot be decoded."""

from collections.abc import Iterable
from dataclasses import dataclass

from dimmagen.core.errors import DimmagenError

INSTALL = "pip install"  # a reason with these words says what to do, as does one that ends with `first`


class ImageError(DimmagenError):
    """An image that cannot be converted to 8-bit RGB.

    Attributes:
        rule: short name of the rule that rejects it: `unreadable`, `format`, `too-large`, `animated`,
            `palette`, `transparent`, `mode`, `hdr`, `color-space` or `interlaced`.
        reason: one sentence for the catalog.
    """

    code = "unreadable-image"

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule
        self.reason = reason


def remedy(reasons: Iterable[str], otherwise: str) -> str:
    """What to do about images that cannot be decoded; empty where every reason says so itself.

    Args:
        reasons: those of :class:`ImageError`.
        otherwise: what else is to be done.
    """
    return "" if all(INSTALL in reason or reason.endswith(" first") for reason in reasons) else otherwise


@dataclass(frozen=True, slots=True)
class Presentation:
    """How the stored pixels of a photo or clip are to be shown.

    Attributes:
        rotation: degrees clockwise by which they are turned to be upright: 0, 90, 180 or 270.
        mirrored: whether they are mirrored left to right, after that.
        pixel_aspect: width of a stored pixel divided by its height.
        transfer, range, matrix: of a clip, as it names them (PyAV's names; the range is `limited` or
            `full`); empty if it does not, and for photos.
    """

    rotation: int = 0
    mirrored: bool = False
    pixel_aspect: float = 1.0
    transfer: str = ""
    range: str = ""
    matrix: str = ""


UPRIGHT = Presentation()


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Properties of an image file before its conversion to 8-bit RGB.

    Attributes:
        width, height: of the upright image, in pixels.
        format: the name of the format in Pillow, such as `JPEG`.
        mode: the mode in Pillow as stored, with the bits of samples of more than 8 (`RGB;16`, `I;12`).
        transform: `verbatim`, or the names of the conversions, joined by `+`.
        extension: of the light image as stored: `jpg`, `png` or `webp`.
        shown: how the stored pixels are to be shown.
        icc_profile: description of the ICC profile; empty for none.
    """

    width: int
    height: int
    format: str
    mode: str
    transform: str
    extension: str
    shown: Presentation = UPRIGHT
    icc_profile: str = ""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What belongs to the pixels of an image and is not in them.

    Attributes:
        icc_profile: the colour space of the RGB values as an ICC profile; empty if the image names none.
        exif: a TIFF structure as in PNG's eXIf chunk, without an orientation; empty if there is none.
    """

    icc_profile: bytes = b""
    exif: bytes = b""
