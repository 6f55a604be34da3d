"""One light image: what says which it is and where it is stored, and how any process reads it."""

import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dimmagen.core import hashing
from dimmagen.core.errors import DimmagenError, Ways
from dimmagen.images import codec
from dimmagen.sources import SOURCES
from dimmagen.sources.archives import read_entry
from dimmagen.sources.photo_selection import apply_size_steps


@dataclass(frozen=True, slots=True)
class LightImageRef:
    """One accepted light image.

    Attributes:
        key: unique in the data set, ASCII, without a dot: `<source>-<16 hex of the candidate's SHA-256>`,
            followed by `-first` or `-last` for frames of a clip. It depends on the content only, so it is the
            same from a folder, an archive or MixHQ.
        source: name of a source, such as `coco` or `folder`.
        name: the candidate's name inside its source (POSIX path, relative).
        sha256: of the candidate's original bytes (for a frame: of the clip's bytes), hex.
        transform: how the light image is made from the candidate: `verbatim` (the bytes are unchanged), or a
            documented name such as `eoi`, `exif`, `reduce512`, `frame-x0.3`.
        extension: of the light image as stored: `jpg`, `png` or `webp`.
        width, height: of the light image, pixels.
        locator: JSON text for :func:`load_light_image`; the only attribute that depends on where the image is
            stored.
    """

    key: str
    source: str
    name: str
    sha256: str
    transform: str
    extension: str
    width: int
    height: int
    locator: str


@dataclass(frozen=True)
class LightImage:
    """A light image in memory.

    Derived values are computed on first use, once for all variants.

    Attributes:
        ref: its reference.
        data: bytes of the stored file.
        pixels: uint8 (H, W, 3) RGB.
    """

    ref: LightImageRef
    data: bytes
    pixels: np.ndarray
    known_sha256: str = ""  # where it was computed already

    @cached_property
    def sha256(self) -> str:
        """Hash of the stored file, hex."""
        return self.known_sha256 or hashing.sha256(self.data)

    @cached_property
    def pixel_sha256(self) -> str:
        """See :func:`dimmagen.images.codec.pixel_sha256`."""
        return codec.pixel_sha256(self.pixels)

    @cached_property
    def lightness(self) -> float:
        """See :func:`dimmagen.images.codec.lightness`."""
        return codec.lightness(self.pixels)


def load_light_image(ref: LightImageRef) -> LightImage:
    """Read one light image; the reference alone is enough, in any process.

    Raises:
        DimmagenError: the image is missing, or has changed since it was indexed.
    """
    data, locator = _candidates_file(ref)
    if locator["stored"]:
        return LightImage(ref, data, codec.decode_rgb8(data)[0], locator["sha256"])
    pixels = light_pixels(ref, data, locator["frame"])
    kept = codec.kept_file(data, ref.transform)
    sha256 = locator["sha256"] if kept is data else ""
    return LightImage(ref, kept or codec.encode_png(pixels), pixels, sha256)


def load_light_file(ref: LightImageRef) -> bytes:
    """The file of one light image, as :func:`load_light_image` has it, decoded only where a rule changed it.

    Raises:
        DimmagenError: the image is missing, or has changed since it was indexed.
    """
    data, locator = _candidates_file(ref)
    kept = data if locator["stored"] else codec.kept_file(data, ref.transform)
    return kept or codec.encode_png(light_pixels(ref, data, locator["frame"]))


def _candidates_file(ref: LightImageRef) -> tuple[bytes, dict]:
    """The bytes that were indexed, and the locator, whose `sha256` is theirs."""
    locator = json.loads(ref.locator)
    data = read_entry(locator)
    if hashing.sha256(data) != locator["sha256"]:
        raise DimmagenError(
            f"{ref.name} of {ref.source} has changed since it was indexed",
            Ways.of("run the command again", "if its size and times are the old ones, with `rescan=True`"),
            code="source-changed",
            source=ref.source,
            name=ref.name,
        )
    return data, locator


def light_pixels(ref: LightImageRef, data: bytes, frame: str) -> np.ndarray:
    """The light image made from its candidate's file again, uint8 (H, W, 3).

    Args:
        ref: of which the source and the transform are used.
        data: bytes of the candidate's file.
        frame: `first` or `last` of a clip; empty for a photo.
    """
    return apply_size_steps(SOURCES[ref.source].light(data, frame), ref.transform.split("+"))
