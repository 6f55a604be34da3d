"""Metadata of PNG files that stand behind the pixels, where Pillow finds them after it has decoded these.

ImageMagick and ExifTool write EXIF data there, and with them the orientation of a phone's photo.
"""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KEYWORDS = (b"XML:com.adobe.xmp", b"Raw profile type")
_HEADER_END = 8 + 25  # the signature and IHDR
_MAX_MOVED = 16


def metadata_first(data: bytes) -> bytes:
    """A PNG file with its EXIF and XMP data before its pixels; other files as they are.

    Args:
        data: bytes of an image file, whose number of chunks is limited (:mod:`dimmagen.images.excess`).
    """
    if not data.startswith(_SIGNATURE):
        return data
    place, start, is_behind = len(_SIGNATURE), _HEADER_END, False
    moved: list[bytes] = []
    others: list[bytes] = []
    while place + 12 <= len(data) and len(moved) < _MAX_MOVED:
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        if end > len(data):
            break
        kind = data[place + 4 : place + 8]
        is_behind = is_behind or kind == b"IDAT"
        if is_behind and (kind == b"eXIf" or (kind[1:] == b"TXt" and data.startswith(_KEYWORDS, place + 8))):
            moved.append(data[place:end])
            others.append(data[start:place])
            start = end
        if kind == b"IEND":
            break
        place = end
    return b"".join([data[:_HEADER_END], *moved, *others, data[start:]]) if moved else data
