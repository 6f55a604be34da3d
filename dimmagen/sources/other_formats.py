"""Images and clips that a source does not read: they are rejected by name, with what to do about it."""

from collections import Counter
from collections.abc import Collection, Iterable

from dimmagen.images.codec import IMAGE_EXTENSIONS

_CLIPS = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".3gp", ".3g2", ".mts", ".m2ts", ".mpg", ".mpeg"),
    *(".m2v", ".wmv", ".asf", ".flv", ".f4v", ".ogv", ".vob", ".mxf"),
)
_RAW = (
    *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".k25", ".kdc"),
    *(".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2"),
    *(".srf", ".srw", ".x3f"),
)
# Of Windows, of downloads, and of cameras with two lenses.
_RENAMED_JPEGS = (".jfif", ".jfi", ".jif", ".jpe", ".pjpeg", ".pjp", ".jpg_large", ".jpeg_large", ".mpo")
_IMAGES = {
    ".jxl": "JPEG XL",
    ".jp2": "JPEG 2000",
    ".j2k": "JPEG 2000",
    ".jpf": "JPEG 2000",
    ".jpx": "JPEG 2000",
    ".jxr": "JPEG XR",
    ".wdp": "JPEG XR",
    ".avifs": "AVIF sequence",
    ".psd": "Photoshop",
    ".exr": "OpenEXR",
    ".hdr": "Radiance HDR",
    ".heics": "HEIC sequence",
    ".heifs": "HEIF sequence",
    ".hif": "HEIF",
    ".tga": "Targa",
    ".pgm": "PGM",
    ".pnm": "PNM",
}


def other_format(name: str, extensions: Collection[str]) -> str:
    """Why an image or clip is not read by a source; empty if it is a candidate, or no image at all.

    Args:
        name: of the file.
        extensions: of the source's candidates.

    Returns:
        A reason for the catalog.
    """
    lower = name.lower()
    if lower.endswith(tuple(extensions)):
        return ""
    ending = ending_of(lower)
    if ending in _CLIPS:
        if any(one in _CLIPS for one in extensions):
            return "is a clip of a format that this source does not take: convert it to MP4 first"
        return "is a clip: the source inter4k takes its first and last frame"
    if ending in _RAW:
        return "is a RAW file: develop it to PNG, TIFF or JPEG first"
    if ending in _RENAMED_JPEGS:
        return f"is a JPEG file with the ending {ending}: rename it to .jpg"
    if ending in _IMAGES:
        return f"is a {_IMAGES[ending]} file: convert it to PNG or JPEG first"
    if ending in IMAGE_EXTENSIONS:
        return "is a picture of a format that this source does not take"
    return ""


def counted_others(names: Iterable[str]) -> str:
    """How many of some files are images or clips that are not read, by their endings.

    Example:
        >>> counted_others(["a.jpg", "a.NEF", "b.nef", "c.jxl", "notes.txt"])
        '2 .nef, 1 .jxl'
    """
    endings = Counter(ending_of(name) for name in names if other_format(name, IMAGE_EXTENSIONS))
    return ", ".join(f"{count} {ending}" for ending, count in endings.most_common())


def ending_of(name: str) -> str:
    """The ending of a file name in lower case with its dot, or `no ending`."""
    base = name.rsplit("/", 1)[-1].lower()
    stem, dot, ending = base.rpartition(".")
    return f".{ending}" if dot and stem and ending else "no ending"
