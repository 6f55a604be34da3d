"""The camera that took a photo, as its file names it."""

import io

from PIL import Image

from dimmagen.core.text import one_line
from dimmagen.images.pillow_settings import default_settings
from dimmagen.images.pillow_warnings import ignored_warnings
from dimmagen.images.png_metadata import metadata_first

_MAKER, _MODEL = 271, 272  # EXIF
_LONGEST = 64


def camera_name(data: bytes) -> str:
    """Maker and model of the camera by the EXIF data of an image file; empty without them.

    Args:
        data: bytes of a file that was decoded without an error.

    Returns:
        One line of at most 64 characters.
    """
    try:
        stream = io.BytesIO(metadata_first(data))
        with ignored_warnings(), default_settings(), Image.open(stream) as image:
            exif = Image.Image.getexif(image)  # that of PNG would decode the whole image
            maker, model = (str(exif.get(tag, "")).strip(" \0") for tag in (_MAKER, _MODEL))
    except Exception:  # EXIF data of strangers raises anything
        return ""
    name = model if model.lower().startswith(maker.lower()) else f"{maker} {model}"
    return one_line(name.strip())[:_LONGEST]
