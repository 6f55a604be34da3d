"""What storing as JPEG does to a dark picture, and how strongly a camera's files were compressed.

A JPEG keeps luma finely and chroma coarsely at half the resolution, in blocks: noise that went through one
looks unlike noise that did not. A camera whose dark pictures are JPEGs gets the same from its profile.
"""

import io

import numpy as np
from PIL import Image

from dimmagen.images.codec import ignored_warnings

_LUMA_STEPS_AT_50 = 3686  # sum of the luminance table of the JPEG standard (Annex K.1), used at quality 50


def through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    """Encode and decode: uint8 (H, W, 3) RGB -> the same; quality 1..100 as the IJG library counts it."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality, subsampling="4:2:0")
    return np.asarray(Image.open(stream).convert("RGB"))


def jpeg_quality(data: bytes) -> int:
    """IJG quality of a JPEG file, from its luminance table; 0 for a file of another format.

    Cameras have tables of their own; the answer is the quality whose table sums to the same.
    """
    with ignored_warnings(), Image.open(io.BytesIO(data)) as image:
        tables = getattr(image, "quantization", None)
    if not tables:
        return 0
    scale = 100 * sum(tables[0]) / _LUMA_STEPS_AT_50  # percent of the standard's table
    quality = (200 - scale) / 2 if scale < 100 else 5000 / scale
    return int(np.clip(round(quality), 1, 100))
