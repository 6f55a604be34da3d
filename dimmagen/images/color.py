"""Colour spaces of images: conversion to sRGB by ICC profiles, and which colours cannot be converted.

Networks and the metrics of this field take RGB values for sRGB. A photo whose profile names another space
(Adobe RGB, Display P3, a scanner's CMYK) is therefore converted, by littlecms through Pillow: relative
colorimetric, with black point compensation.
"""

import io
import struct
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

_SPACE = slice(16, 20)  # of the header: the colour space of the data (ICC.1, 7.2.6)
_DATE = slice(24, 36)  # of the header: when the profile was made (ICC.1, 7.2.8)
_MODE_OF_SPACE = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
# Profiles of sRGB itself differ by rounding: converting such a photo would change nothing that can be seen,
# and it would no longer have its own bytes.
_SAME_LEVELS = 1
_PROBES = 18  # levels per channel
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Code points of ITU-T H.273, tables 2 and 3.
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
_OTHER_TRANSFERS = {
    5: "gamma 2.8",
    8: "linear light",
    9: "logarithmic",
    10: "logarithmic",
}  # all else is near sRGB
_WIDE_PRIMARIES = {9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
# PNG, third edition, 11.3.2: the exponent of encoding, and x and y of white, red, green, blue, times 100,000.
# Frames of BT.709 clips have 50994 by FFmpeg, and are taken for sRGB as the clips are.
_SRGB_GAMMA, _SAME_GAMMA = 45455, 6000
_SRGB_CHROMATICITIES = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
_SAME_CHROMATICITY = 1500
# Columns: XYZ of the primaries of Adobe RGB (1998), adapted to D50; its gamma is 563 / 256.
_ADOBE_PRIMARIES = (
    (0.60974, 0.31111, 0.01947),
    (0.20528, 0.62567, 0.06087),
    (0.14919, 0.06322, 0.74457),
)
_ADOBE_GAMMA, _D50 = 563, (0.9642, 1.0, 0.8249)


def profile_space(profile: bytes) -> str:
    """The Pillow mode whose values a profile describes: `RGB`, `L`, `CMYK`; empty for others and for none."""
    return _MODE_OF_SPACE.get(profile[_SPACE], "")


@lru_cache(16)
def profile_description(profile: bytes) -> str:
    """A profile's own name in printable ASCII; empty for none, `unreadable` for a damaged one."""
    if not profile:
        return ""
    try:
        text = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError, ValueError):
        return "unreadable"
    shown = "".join(one if " " <= one <= "~" else "?" for one in " ".join(text.split()))
    return shown[:80] or "unnamed"


def needs_conversion(profile: bytes, mode: str) -> bool:
    """Whether pixels of a mode have other colours by the profile than the same values have in sRGB.

    Args:
        profile: ICC profile; empty for none.
        mode: Pillow's mode of the pixels: `RGB`, `L` or `CMYK`.
    """
    return _transform(profile, mode) is not None


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert an image to 8-bit sRGB.

    Args:
        image: mode `RGB`, `L` or `CMYK`; an RGB image is changed in place.
        profile: for which :func:`needs_conversion` is true.

    Returns:
        Mode `RGB`.
    """
    transform = _transform(profile, image.mode)
    assert transform is not None
    if image.mode == "RGB":
        ImageCms.applyTransform(image, transform, inPlace=True)
        return image
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None
    return converted


@lru_cache(16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transform to sRGB; None if there is no usable profile of this mode, or if it changes nothing."""
    if not profile or profile_space(profile) != mode:
        return None
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None  # as every viewer does with a damaged profile
    probes = _probes(mode)
    if probes is None:
        return transform
    converted = ImageCms.applyTransform(probes, transform)
    assert converted is not None
    change = np.asarray(converted).astype(int) - np.asarray(probes.convert("RGB"))
    return transform if np.abs(change).max() > _SAME_LEVELS else None


def _probes(mode: str) -> Image.Image | None:
    """Colours that span a mode; None for CMYK, which is never sRGB."""
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    if mode == "RGB":
        levels = np.linspace(0, 255, _PROBES).astype(np.uint8)
        return Image.fromarray(np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3))
    return None


@lru_cache(1)
def srgb_profile() -> bytes:
    """A profile of sRGB, to tag converted images with; its bytes do not depend on the date."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[_DATE] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    return bytes(profile)


def unsupported_color(data: bytes, profile: bytes) -> tuple[str, str] | None:
    """The rule and the reason that reject an image whose colours cannot be converted to sRGB; None otherwise.

    These are images with an HDR transfer function, and images of another colour space that say so by code
    points or numbers alone.

    Args:
        data: bytes of the image file.
        profile: its ICC profile; empty for none.
    """
    primaries, transfer = _code_points(data, profile)
    if transfer in _HDR_TRANSFERS:
        return "hdr", f"has the transfer function {_HDR_TRANSFERS[transfer]}: convert it to SDR first"
    if primaries in _WIDE_PRIMARIES and not profile:
        name = _WIDE_PRIMARIES[primaries]
        return "color-space", f"has colours of {name} and no ICC profile: convert it to sRGB first"
    if transfer in _OTHER_TRANSFERS and not profile:
        name = _OTHER_TRANSFERS[transfer]
        return "color-space", f"has the transfer function {name} and no ICC profile: convert it to sRGB first"
    if data.startswith(_PNG_SIGNATURE) and _png_chunks(data).get(b"cICP", b"")[3:] == b"\0":
        return "color-space", "has samples of limited range (cICP), as video: convert it to full range first"
    if not profile and data.startswith(_PNG_SIGNATURE) and (what := _not_srgb_by_numbers(_png_chunks(data))):
        return "color-space", f"has {what} and no ICC profile: convert it to sRGB first"
    return None


def _not_srgb_by_numbers(chunks: Mapping[bytes, bytes]) -> str:
    """What the chunks `gAMA` and `cHRM` of a PNG say that is not sRGB; empty if it is, or nonsense."""
    if b"sRGB" in chunks or b"cICP" in chunks:  # which take precedence
        return ""
    gamma, numbers = chunks.get(b"gAMA", b""), chunks.get(b"cHRM", b"")
    exponent = int.from_bytes(gamma, "big") if len(gamma) == 4 else 0
    if 0 < exponent <= 10 * _SRGB_GAMMA and abs(exponent - _SRGB_GAMMA) > _SAME_GAMMA:
        return f"a gamma of {exponent / 100000:g} (gAMA)"
    if len(numbers) == 32:
        found = struct.unpack(">8I", numbers)
        off = max(abs(one - other) for one, other in zip(found, _SRGB_CHROMATICITIES, strict=True))
        if off > _SAME_CHROMATICITY and all(0 < one < 100000 for one in found):
            return "other primaries than sRGB's (cHRM)"
    return ""


@lru_cache(1)
def adobe_rgb_profile() -> bytes:
    """A profile of Adobe RGB (1998), for photos that name it in their EXIF data alone (ICC.1:2010)."""

    def fixed(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    name = b"Adobe RGB, by EXIF\0"
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, _ADOBE_GAMMA) + bytes(2)
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(78 + 3),
        b"wtpt": b"XYZ \0\0\0\0" + fixed(*_D50),
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    for tag, primary in zip((b"rXYZ", b"gXYZ", b"bXYZ"), _ADOBE_PRIMARIES, strict=True):
        tags[tag] = b"XYZ \0\0\0\0" + fixed(*primary)
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for tag, content in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(content))
        body += content
    header = struct.pack(">I4sI4s4s4s", start + len(body), b"", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    return (
        header
        + struct.pack(">6H4s28s", 2000, 1, 1, 0, 0, 0, b"acsp", b"")
        + fixed(*_D50)
        + bytes(48)
        + (table + body)
    )


def _code_points(data: bytes, profile: bytes) -> tuple[int, int]:
    """Colour primaries and transfer function by ITU-T H.273; 2 means unspecified."""
    if profile:
        return _of_profile(profile)
    if data.startswith(_PNG_SIGNATURE):
        return _of_png(data)
    if data[4:8] == b"ftyp":  # AVIF, HEIC
        place = data.find(b"colrnclx", 0, 2**16)
        if place >= 0 and len(data) >= place + 12:
            primaries, transfer = struct.unpack_from(">HH", data, place + 8)
            return primaries, transfer
    return 2, 2


def _of_profile(profile: bytes) -> tuple[int, int]:
    """From the tag `cicp` (ICC.1:2022, 9.2.17)."""
    if len(profile) >= 132:
        count = min(int.from_bytes(profile[128:132], "big"), 200)
        for place in range(132, min(132 + 12 * count, len(profile) - 11), 12):
            if profile[place : place + 4] == b"cicp":
                start = int.from_bytes(profile[place + 4 : place + 8], "big") + 8
                if start + 2 <= len(profile):
                    return profile[start], profile[start + 1]
    return 2, 2


def _of_png(data: bytes) -> tuple[int, int]:
    """From the chunk `cICP` (PNG, third edition, 11.3.2.6), which precedes the pixels."""
    content = _png_chunks(data).get(b"cICP", b"")
    return (content[0], content[1]) if len(content) == 4 else (2, 2)


def _png_chunks(data: bytes) -> dict[bytes, bytes]:
    """The chunks before the pixels of a PNG file that name its colours in at most 32 bytes."""
    place, chunks = len(_PNG_SIGNATURE), {}
    while place + 12 <= len(data):
        size, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        if kind == b"IDAT":
            break
        if kind in (b"cICP", b"sRGB", b"gAMA", b"cHRM") and size <= 32:
            chunks[kind] = data[place + 8 : place + 8 + size]
        place += 12 + size
    return chunks
