"""Decoded images of any depth and mode to 8-bit sRGB."""

import numpy as np
from PIL import Image

from dimmagen.images import color, tiff
from dimmagen.images.facts import ImageError

_TRANSPARENT = "some pixels are transparent: what is behind them is unknown"
_COPIED_PIXELS = 2**23  # per band: the array of a large image must not be in memory twice


def as_array(rgb: Image.Image) -> np.ndarray:
    """uint8 (H, W, 3), copied in bands."""
    width, height = rgb.size
    band = max(1, _COPIED_PIXELS // width)
    if band >= height:
        return np.array(rgb)
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, band):
        bottom = min(top + band, height)
        pixels[top:bottom] = np.asarray(rgb.crop((0, top, width, bottom)))
    return pixels


def to_rgb(image: Image.Image, profile: bytes) -> tuple[Image.Image, list[str]]:
    """The 8-bit sRGB image, and the names of the conversions.

    Args:
        image: decoded.
        profile: ICC profile of its colours; empty for sRGB.

    Raises:
        ImageError: it is transparent, or of a mode that is not converted.
    """
    image, step = _in_eight_bits(image)
    mode = image.mode
    if color.needs_conversion(profile, mode):
        rgb, by_profile = color.to_srgb(image, profile), True
    else:
        rgb = image if mode == "RGB" else image.convert("RGB")
        by_profile = color.needs_conversion(profile, "RGB") and mode == "L"
        if by_profile:  # gray values with the profile of an RGB space
            rgb = color.to_srgb(rgb, profile)
    return rgb, [*([step] if step else []), *(["icc"] if by_profile else [])]


def _in_eight_bits(image: Image.Image) -> tuple[Image.Image, str]:
    """The image in one of the modes RGB, L and CMYK, and the name of the conversion to RGB from there."""
    if image.mode == "P":
        raise ImageError("palette", "a palette of at most 256 colours is not a photo")
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        return _high_bytes(image), "gray"
    if image.mode in ("RGBA", "LA") or "transparency" in image.info:
        image = image.convert("RGBA")
        if np.asarray(image.getchannel("A")).min() < 255:
            raise ImageError("transparent", _TRANSPARENT)
        return image.convert("RGB"), "opaque"
    if image.mode == "RGB":
        return image, ""
    if image.mode in ("L", "CMYK"):
        return image, "gray" if image.mode == "L" else "cmyk"
    raise ImageError("mode", f"pictures of Pillow's mode {image.mode} are not photos in 8 or 16 bits")


def _high_bytes(image: Image.Image) -> Image.Image:
    """8-bit gray of 12 or 16 bits, which Pillow would clip."""
    samples, tags = np.asarray(image), tiff.tags_of(image)
    if np.any(samples == image.info.get("transparency", -1)):
        raise ImageError("transparent", _TRANSPARENT)
    high_byte = (samples.astype(np.uint16) >> (4 if tiff.is_twelve_bit(tags) else 8)).astype(np.uint8)
    return Image.fromarray(255 - high_byte if tiff.is_white_zero(tags) else high_byte)
