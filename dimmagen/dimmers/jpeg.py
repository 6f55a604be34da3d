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

_LUMA_STEPS_AT_50 = 3686  # sum of the luminance table of the JPEG standard (Annex K.1), used at quality 50


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
    with ignored_warnings(), default_settings(), Image.open(io.BytesIO(data)) as image:
        tables = getattr(image, "quantization", None)
    if not tables:
        return 0
    scale = 100 * sum(tables[0]) / _LUMA_STEPS_AT_50  # percent of the standard's table
    quality = (200 - scale) / 2 if scale < 100 else 5000 / scale
    return int(np.clip(round(quality), 1, 100))
