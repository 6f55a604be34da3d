"""The EXIF block of a photo, copied to another file byte for byte.

Pillow would write its tags again, which fails for tags that cameras write against the standard, and loses
text that is not ASCII.
"""

import struct

from PIL import Image

from dimmagen.images.orientation import EXIF_TAG

_PREFIX = b"Exif\0\0"
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_ENTRY_BYTES = 12
_AS_TEXT = "Raw profile type exif"


def exif_block(image: Image.Image) -> bytes:
    """The TIFF structure with the EXIF data of an image that Pillow has opened; empty if there is none.

    Args:
        image: of any format but TIFF, whose tags describe how its own pixels are stored.
    """
    block = image.info.get("exif")
    if block is None and isinstance(text := image.info.get(_AS_TEXT), str):  # in PNG files of ImageMagick
        try:
            block = bytes.fromhex("".join(text.split("\n")[3:]))
        except ValueError:
            block = b""
    return block.removeprefix(_PREFIX) if isinstance(block, bytes) else b""


def without_orientation(block: bytes) -> bytes:
    """An EXIF block for pixels that are upright, and without the link to a preview of other pixels.

    Every other tag keeps its bytes and its place, and with it what points there.

    Args:
        block: TIFF structure (CIPA DC-008, 4.5).

    Returns:
        Such a structure; empty if the given one is damaged, or holds nothing else.
    """
    order = _ORDERS.get(block[:4])
    if order is None or len(block) < 8:
        return b""
    (place,) = struct.unpack_from(f"{order}I", block, 4)
    if place + 2 > len(block):
        return b""
    (count,) = struct.unpack_from(f"{order}H", block, place)
    first, end = place + 2, place + 2 + count * _ENTRY_BYTES
    if end > len(block):
        return b""
    entries = [block[start : start + _ENTRY_BYTES] for start in range(first, end, _ENTRY_BYTES)]
    kept = [entry for entry in entries if struct.unpack_from(f"{order}H", entry)[0] != EXIF_TAG]
    if not kept:
        return b""
    directory = struct.pack(f"{order}H", len(kept)) + b"".join(kept)
    rest = block[end + 4 :]
    return block[:place] + directory.ljust(end - place + 4, b"\0") + rest
