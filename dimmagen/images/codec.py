"""Untrusted image files to 8-bit RGB arrays, and arrays to image files (PNG: :mod:`.png`).

The rules for what is converted and what is rejected are documented in docs/sources-and-rules.md.
"""

import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from dimmagen.core.errors import DimmagenError
from dimmagen.core.machine import is_machine_trouble
from dimmagen.images import color, heif, ppm, tiff
from dimmagen.images.eight_bits import as_array, to_rgb
from dimmagen.images.excess import excess_of
from dimmagen.images.exif import exif_block, without_orientation
from dimmagen.images.facts import ImageError, ImageFacts, Metadata, Presentation
from dimmagen.images.jpeg_damage import END_MARKER, JpegState, lacks_end, state_of
from dimmagen.images.orientation import UPRIGHT, Orientation, orientation_of, stored_turn
from dimmagen.images.other_kinds import other_kind
from dimmagen.images.pillow_settings import default_settings
from dimmagen.images.pillow_warnings import ignored_warnings
from dimmagen.images.png import PNG_SIGNATURE, encode_mask_png, encode_png
from dimmagen.images.png_damage import png_damage
from dimmagen.images.png_metadata import is_refused_by_pillow, metadata_first
from dimmagen.images.unfinished import unfinished

__all__ = [
    "FORMATS", "IMAGE_EXTENSIONS", "JPEG_QUALITY", "MAX_BYTES", "MAX_PIXELS", "ImageError", "ImageFacts",
    "Metadata", "decode_rgb8", "encode_jpeg", "encode_mask_png", "encode_png", "encode_webp", "lightness",
    "pixel_sha256", "read_facts", "read_metadata", "read_orientation", "resize",
]  # fmt: skip

MAX_PIXELS = 120_000_000
# Pillow decodes WebP with 16 bytes per pixel, AVIF and HEIF with as many at most, other formats with 4: all
# stay below 1 GiB with the array.
_MAX_MODERN_PIXELS = 50_000_000
_MODERN_FORMATS = ("WEBP", "AVIF", "HEIF")
MAX_BYTES = 512 * 2**20
JPEG_QUALITY = 95  # of light images and exports that are stored as JPEG

# Only these readers of Pillow are used: its rarer ones are not meant for untrusted files. MPO files of phones
# are opened as JPEG. HEIF is opened as well, where its package is installed.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM", "GIF", "AVIF")
IMAGE_EXTENSIONS = (
    *(".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".gif"),
    *(".avif", ".heic", ".heif"),
)
_KEPT_EXTENSION = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "WEBP": "webp"}
# Steps of a transform: the image is stored as PNG. Named where the version of a library of its own decides.
_STORED_AGAIN = {"AVIF": "avif", "HEIF": "heif"}
_ENDED = "eoi"  # a transform: the EOI marker, which ends a JPEG, is added
_EXIF_IFD, _EXIF_COLOR_SPACE, _UNCALIBRATED, _ADOBE_RGB = 0x8769, 0xA001, 0xFFFF, 2
_INTEROPERABILITY_IFD, _INTEROPERABILITY_INDEX = 0xA005, 1
# Pillow imports what reads the common formats when it opens the first image, which may be in several threads.
Image.preinit()
_ADDRESS = re.compile(r"<[^>]* at 0x[0-9a-f]+>")


def decode_rgb8(
    data: bytes, *, color_managed: bool = False, is_whole: bool = False
) -> tuple[np.ndarray, ImageFacts]:
    """Decode one image file.

    The EXIF orientation is applied, gray becomes three equal channels, CMYK becomes RGB by the formula of
    Pillow, (1 - ink)(1 - key), 16-bit samples keep their high byte, and an alpha channel that is opaque
    everywhere is dropped.

    Args:
        data: bytes of the file.
        color_managed: whether colours are converted to sRGB by the image's ICC profile, as it must be for a
            photo from anywhere (:mod:`dimmagen.images.color`). Images that dimmagen has stored are sRGB.
        is_whole: whether these bytes were decoded before: that nothing is missing is not proven again.

    Returns:
        uint8 (H, W, 3) RGB pixels, and the facts.

    Raises:
        ImageError: the image is damaged, too large, animated, transparent, or of an unsupported mode; if
            colours are converted, also an HDR image, or one whose colours cannot be converted.
    """
    if is_whole or not color_managed:
        state = JpegState("", lacks_end=color_managed and lacks_end(data))
    elif damage := (state := state_of(data)).damage or png_damage(data):  # of a file from anywhere
        raise ImageError("unreadable", damage)
    with _open_image(data + END_MARKER if state.lacks_end else data) as image:
        facts = _facts(image, data)  # rejects decompression bombs before they are decompressed
        profile = _icc_profile(image) if color_managed else b""
        if color_managed:
            _refuse_color(data, profile)
        stored = ppm.high_bytes(image, data) if ppm.is_sixteen_bit_color(image) else None
        if stored is None:
            image.load()
        orientation = orientation_of(image)
        rgb, colour_steps = to_rgb(stored or image, profile)
        pixels = as_array(rgb)
    del image, stored, rgb  # frees their memory before the rotated copy is made
    if orientation != UPRIGHT:
        pixels = np.ascontiguousarray(orientation.apply(pixels))
    is_kept = facts.format in _KEPT_EXTENSION and not is_refused_by_pillow(data)
    steps = [
        *(["exif"] if facts.shown.rotation or facts.shown.mirrored else []),
        *([f"{bits}bit" for bits in (12, 16) if str(bits) in facts.mode]),
        *colour_steps,
        *([] if is_kept else [_STORED_AGAIN.get(facts.format, "lossless")]),
    ]
    transform = "+".join(steps) or (_ENDED if state.lacks_end else "verbatim")
    extension = _KEPT_EXTENSION[facts.format] if transform in (_ENDED, "verbatim") else "png"
    height, width, _ = pixels.shape
    return pixels, replace(facts, width=width, height=height, transform=transform, extension=extension)


def kept_file(data: bytes, transform: str) -> bytes | None:
    """The file of a light image that keeps the file of its photo; None for one that is stored as PNG.

    Args:
        data: bytes of the photo's file.
        transform: of the light image.

    Returns:
        The same bytes for `verbatim`; for `eoi` with the marker that other decoders refuse a JPEG without.
    """
    if transform == "verbatim":
        return data
    return data + END_MARKER if transform == _ENDED else None


def read_facts(data: bytes) -> ImageFacts:
    """The facts in the header of an image file, without decoding it; `transform` and `extension` are empty.

    Raises:
        ImageError: the file is not an image, too large, animated, HDR, or its colours cannot be converted.
    """
    with _open_image(data) as image:
        facts = _facts(image, data)
        _refuse_color(data, _icc_profile(image))
        if orientation_of(image).is_transposed and image.format != "TIFF":  # whose size Pillow turns itself
            facts = replace(facts, width=facts.height, height=facts.width)
        return facts


def read_orientation(data: bytes) -> Orientation:
    """How an image file is made upright.

    Raises:
        ImageError: the file is not an image.
    """
    with _open_image(data) as image:
        return orientation_of(image)


@contextmanager
def _open_image(data: bytes) -> Iterator[Image.Image]:
    """The image opened with Pillow; any error inside the block that the bytes cause becomes an ImageError."""
    if len(data) > MAX_BYTES:
        raise ImageError("too-large", f"{len(data)} bytes are more than {MAX_BYTES}")
    if reason := excess_of(data):
        raise ImageError("too-large", reason)
    if reason := unfinished(data):
        raise ImageError("unreadable", reason)
    try:
        with ignored_warnings(), default_settings(), _opened(data) as image:
            yield image
    except DimmagenError:
        raise
    except UnidentifiedImageError as error:
        if data[4:12] in (b"ftypavif", b"ftypavis") and not features.check("avif"):
            raise ImageError(
                "format", "is an AVIF picture, which this build of Pillow cannot read"
            ) from error
        unknown = f"is not an image of a known kind ({', '.join((*FORMATS, 'HEIF'))})"
        raise ImageError("unreadable", other_kind(data) or unknown) from error
    except heif.NoReaderError as error:
        raise ImageError("format", str(error)) from error
    except Image.DecompressionBombError as error:
        raise ImageError("too-large", f"more than {MAX_PIXELS} pixels") from error
    # Pillow raises almost any exception for a damaged file: struct.error, SyntaxError, KeyError ...
    except Exception as error:
        if is_machine_trouble(error):
            raise
        raise ImageError("unreadable", f"cannot be decoded: {_one_line(error)}") from error


def _opened(data: bytes) -> Image.Image:
    if heif.is_heif(data):
        return heif.open_heif(data)
    return Image.open(io.BytesIO(metadata_first(data)), formats=FORMATS)


def _icc_profile(image: Image.Image) -> bytes:
    return image.info.get("icc_profile") or (color.adobe_rgb_profile() if _is_adobe_rgb(image) else b"")


def _is_adobe_rgb(image: Image.Image) -> bool:
    """Whether the EXIF data name Adobe RGB as cameras do: DCF's optional space (CIPA DC-008, 4.6.6)."""
    if image.format not in ("JPEG", "MPO"):
        return False
    try:
        exif = Image.Image.getexif(image)
        space = exif.get_ifd(_EXIF_IFD).get(_EXIF_COLOR_SPACE)
        index = _interoperability_of(exif).get(_INTEROPERABILITY_INDEX, "")
    except Exception as error:  # Pillow raises almost any for damaged tags, and the pixels may be whole
        if is_machine_trouble(error):
            raise
        return False
    name = index.decode("ascii", "replace") if isinstance(index, bytes) else str(index)
    return space == _ADOBE_RGB or (space == _UNCALIBRATED and name.rstrip("\0 ") == "R03")


def _interoperability_of(exif: Image.Exif) -> Mapping[int, object]:
    """The tags of the Interoperability IFD; none where there is no such IFD."""
    try:
        return exif.get_ifd(_INTEROPERABILITY_IFD)
    except KeyError:  # Pillow 11 and 12 look for it where it is not
        return {}


def _refuse_color(data: bytes, profile: bytes) -> None:
    if refusal := color.unsupported_color(data, profile):
        raise ImageError(*refusal)


def _facts(image: Image.Image, data: bytes) -> ImageFacts:
    width, height = image.size
    file_format = image.format or ""
    largest = _MAX_MODERN_PIXELS if file_format in _MODERN_FORMATS else MAX_PIXELS
    if width * height > largest:
        raise ImageError("too-large", f"{width}x{height} is more than {largest} pixels")
    if reason := tiff.raw_preview(tiff.tags_of(image)):
        raise ImageError("format", reason)
    if tiff.lacks_strips(tiff.tags_of(image)):
        raise ImageError("unreadable", "is damaged: it has fewer strips or tiles than its pixels need")
    if tiff.is_signed(tiff.tags_of(image)):
        raise ImageError("mode", "has signed samples, as measurements and no photos have")
    if tiff.is_misread(tiff.tags_of(image)):
        raise ImageError(
            "mode", "is an uncompressed TIFF of 16 bits with its channels apart: save it interleaved"
        )
    # The MPO file of a phone holds a preview or a second view after the photo: the first image is the photo.
    # HEIF says which of its images is the photo.
    if file_format in ("TIFF", "GIF"):  # counting would read the whole file
        count = "more than one picture" if getattr(image, "is_animated", False) else ""
    else:
        frames = getattr(image, "n_frames", 1)
        count = f"{frames} pictures, not one" if frames > 1 and file_format not in ("MPO", "HEIF") else ""
    if count:
        raise ImageError("animated", f"holds {count}")
    mode = _stored_mode(image, data)
    rotation, mirrored = stored_turn(image)
    return ImageFacts(
        width,
        height,
        file_format,
        mode,
        "",
        "",
        Presentation(rotation, mirrored),
        icc_profile=color.profile_description(_icc_profile(image)),
    )


def _stored_mode(image: Image.Image, data: bytes) -> str:
    """Pillow's mode, with the bits of samples of more than 8."""
    tags = tiff.tags_of(image)
    if tiff.is_twelve_bit(tags):
        return "I;12"
    is_sixteen_bit_ppm = ppm.is_sixteen_bit_color(image) or (image.mode == "I" and image.format == "PPM")
    if is_sixteen_bit_ppm or _is_sixteen_bit_png(data) or tiff.is_sixteen_bit(tags):
        return image.mode if "16" in image.mode else f"{image.mode};16"
    return image.mode


def _is_sixteen_bit_png(data: bytes) -> bool:
    """Whether the header declares 16 bits: Pillow reads 16-bit colour as 8-bit RGB without reporting it."""
    return data.startswith(PNG_SIGNATURE) and data[24:25] == b"\x10"


def _one_line(error: Exception) -> str:
    """An error as a reason for the catalog: without memory addresses, to be the same for the same file."""
    text = " ".join(_ADDRESS.sub("", str(error)).split())
    return text[:200] or type(error).__name__


def read_metadata(data: bytes) -> Metadata:
    """The metadata that fit the pixels of :func:`decode_rgb8`, colour managed: they are upright, and sRGB.

    Where the colours were converted, the profile is that of sRGB; of an image without a profile it is empty.
    The tags of a TIFF file are left out, because they describe how its own pixels are stored.

    Args:
        data: bytes of an image file.

    Raises:
        ImageError: the image is damaged or of an unknown kind.
    """
    with _open_image(data) as image:
        profile = _icc_profile(image)
        if profile and (color.needs_conversion(profile, "RGB") or color.profile_space(profile) != "RGB"):
            profile = color.srgb_profile()
        exif = b"" if image.format == "TIFF" else without_orientation(exif_block(image))
        return Metadata(profile, exif)


def resize(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resample uint8 (H, W, 3) with the Lanczos filter of Pillow, which antialiases when it reduces."""
    image = Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS, reducing_gap=None)
    return np.array(image)


def pixel_sha256(pixels: np.ndarray) -> str:
    """SHA-256 (hex) of the decoded RGB pixels, row by row: equal for equal images in any file format."""
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()


def lightness(pixels: np.ndarray) -> float:
    """Mean of all pixels and channels of a uint8 image in [0, 1], 6 decimals (exact integer sum)."""
    fits = 255 * pixels[:1].size < 2**32  # of a row of a photo; four times faster than 64 bits
    rows = pixels.sum(axis=(1, 2), dtype=np.uint32 if fits else np.uint64)
    return round(int(rows.sum(dtype=np.int64)) / (255 * pixels.size), 6)


def encode_jpeg(pixels: np.ndarray) -> bytes:
    """Encode uint8 (H, W, 3) RGB as JPEG of quality 95 with full colour resolution (4:4:4).

    The pixels change; the bytes depend on the version of libjpeg in Pillow.
    """
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()


def encode_webp(pixels: np.ndarray) -> bytes:
    """Encode uint8 (H, W, 3) RGB as lossless WebP; the bytes depend on the version of libwebp."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, quality=0, method=0, exact=True)
    return buffer.getvalue()
