"""The effect of JPEG compression on a dark image, and the quality at which a camera's files were compressed.

A JPEG stores blocks of luma finely and of chroma coarsely, at half the resolution: compressed noise looks
different from noise that was never compressed. If the dark images of a camera are JPEGs, its profile
reproduces the compression.
"""

import io

import numpy as np
from PIL import Image

from dimmagen.images.pillow_settings import default_settings
from dimmagen.images.pillow_warnings import ignored_warnings

# Luminance table of the JPEG standard (Annex K.1), used at quality 50.
LUMA_TABLE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)


def through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    """Encode an image as JPEG (4:2:0) and decode it.

    Args:
        pixels: uint8 (H, W, 3), RGB.
        quality: 1 to 100, on the scale of the IJG library.

    Returns:
        uint8 (H, W, 3), RGB.
    """
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality, subsampling="4:2:0")
    with ignored_warnings(), default_settings(), Image.open(stream) as image:
        return np.asarray(image.convert("RGB"))


def jpeg_quality(data: bytes) -> int:
    """IJG quality of a JPEG file, from its luminance table; 0 for a file of another format.

    Many cameras use tables of their own; the result is the quality whose standard table has the same sum. Of
    the lowest qualities, whose steps are limited to 255, it is up to 10 too high.
    """
    if not data.startswith(b"\xff\xd8"):
        return 0
    with ignored_warnings(), default_settings(), Image.open(io.BytesIO(data)) as image:
        tables = getattr(image, "quantization", None)
    if not tables:
        return 0
    return quality_of_steps(sum(tables[0]), int(LUMA_TABLE.sum()))


def quality_of_steps(steps: float, at_50: float) -> int:
    """IJG quality, 1 to 100, at which steps have a sum that is `at_50` in the standard's table."""
    scale = 100 * steps / at_50  # percent of the standard's table
    quality = (200 - scale) / 2 if scale < 100 else 5000 / scale
    return int(np.clip(round(quality), 1, 100))
