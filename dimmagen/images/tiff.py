"""What the tags of a TIFF file say of its pixels that Pillow does not."""

from collections.abc import Mapping
from typing import Any

from PIL import Image

from dimmagen.images.other_kinds import RAW_FILE

_NEW_SUBFILE_TYPE, _IS_REDUCED, _DNG_VERSION = 254, 1, 50706
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _PLANES = 256, 257, 258, 259, 262, 277, 284
_SAMPLE_FORMAT, _SIGNED = 339, 2
_STRIPS, _STRIP_ROWS, _TILE_WIDTH, _TILE_HEIGHT, _TILES = 273, 278, 322, 323, 324
_UNCOMPRESSED, _MIN_IS_WHITE, _APART = 1, 0, 2


def tags_of(image: Image.Image) -> Mapping[int, Any]:
    """The tags of the first image of a TIFF file that Pillow has opened; empty for other formats."""
    return getattr(image, "tag_v2", {})


def raw_preview(tags: Mapping[int, Any]) -> str:
    """Why the first image of a TIFF file is not the photo; empty if it may be.

    RAW files (DNG, NEF, ARW ...) are TIFF files that begin with a small preview.

    Args:
        tags: of :func:`tags_of`.

    Returns:
        The end of a sentence that begins with the file's name.
    """
    if tags.get(_DNG_VERSION) is not None:
        return RAW_FILE
    kind = tags.get(_NEW_SUBFILE_TYPE, 0)
    is_reduced = isinstance(kind, int) and kind & _IS_REDUCED
    preview = "begins with a small preview, as RAW files do: develop it to PNG, TIFF or JPEG first"
    return preview if is_reduced else ""


def is_sixteen_bit(tags: Mapping[int, Any]) -> bool:
    """Whether samples have 16 bits: Pillow reads such colour as 8-bit RGB without reporting it."""
    bits = tags.get(_BITS, ())
    return 16 in (bits if isinstance(bits, tuple) else (bits,))


def is_twelve_bit(tags: Mapping[int, Any]) -> bool:
    """Whether gray samples have 12 bits, which Pillow gives as 16 without scaling them."""
    return tags.get(_BITS) in (12, (12,))


def is_misread(tags: Mapping[int, Any]) -> bool:
    """Whether Pillow (13.0) takes the bytes of 16-bit samples for pixels: of planes without compression."""
    is_plain = tags.get(_COMPRESSION, _UNCOMPRESSED) == _UNCOMPRESSED
    return is_plain and tags.get(_PLANES) == _APART and is_sixteen_bit(tags)


def is_signed(tags: Mapping[int, Any]) -> bool:
    """Whether samples are signed, as measurements are: Pillow takes those of 8 bits for unsigned ones."""
    kinds = tags.get(_SAMPLE_FORMAT, ())
    return _SIGNED in (kinds if isinstance(kinds, tuple) else (kinds,))


def lacks_strips(tags: Mapping[int, Any]) -> bool:
    """Whether a TIFF without compression has fewer strips or tiles than its pixels need.

    Pillow leaves the other pixels black. Of compressed ones libtiff reports it.
    """
    if not tags or tags.get(_COMPRESSION, _UNCOMPRESSED) != _UNCOMPRESSED:
        return False
    planes = tags.get(_SAMPLES, 1) if tags.get(_PLANES) == _APART else 1
    if _TILES in tags:
        columns = -(-tags[_WIDTH] // tags[_TILE_WIDTH])
        return _count(tags[_TILES]) < planes * columns * -(-tags[_HEIGHT] // tags[_TILE_HEIGHT])
    height = tags[_HEIGHT]
    return _count(tags.get(_STRIPS, ())) < planes * -(-height // tags.get(_STRIP_ROWS, height))


def _count(value: Any) -> int:
    return len(value) if isinstance(value, tuple) else 1


def is_white_zero(tags: Mapping[int, Any]) -> bool:
    """Whether the value 0 is white: Pillow inverts 8 bits then, and leaves 16 as they are."""
    return tags.get(_PHOTOMETRIC) == _MIN_IS_WHITE
