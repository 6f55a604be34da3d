"""16-bit colour of PPM files, which Pillow rounds to 8 bits, one sample after another."""

import numpy as np
from PIL import Image

_HIGHEST = 65535


def is_sixteen_bit_color(image: Image.Image) -> bool:
    """Whether an image that Pillow has opened, and not read, is a binary PPM file (P6) of 16 bits."""
    tiles = image.tile if image.format == "PPM" and hasattr(image, "tile") else []
    return len(tiles) == 1 and tuple(tiles[0][0::3]) == ("ppm", ("RGB", _HIGHEST))


def high_bytes(image: Image.Image, data: bytes) -> Image.Image | None:
    """The image with the high byte of each sample, as those of other formats of 16 bits.

    Args:
        image: for which :func:`is_sixteen_bit_color` is true.
        data: bytes of its file.

    Returns:
        None if the file ends before its last pixel.
    """
    width, height = image.size
    start, size = image.tile[0][2], 6 * width * height  # type: ignore[attr-defined]
    if len(data) < start + size:
        return None
    samples = np.frombuffer(data, np.uint8, size, start)[::2]  # the high byte comes first
    return Image.fromarray(samples.reshape(height, width, 3))
