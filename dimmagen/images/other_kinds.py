"""What a file is that has the name of an image or an archive and is none, or of a kind that is not read."""

_EMPTY = "is empty: it has 0 bytes"
_LFS = "is a pointer of Git LFS in the place of a file: fetch the files with `git lfs pull`"
_PAGE = "is a web page or the message of a server: its download failed"
RAW_FILE = "is a RAW file: develop it to PNG, TIFF or JPEG first"
_CLIP = "is a clip: the source inter4k takes its first and last frame"
_PACKED = (
    (b"version https://git-lfs", _LFS),
    (b"\x1f\x8b", "is a file packed with gzip: unpack it first"),
    (b"BZh", "is a file packed with bzip2: unpack it first"),
    (b"\xfd7zXZ\0", "is a file packed with xz: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "is a file packed with Zstandard: unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive: unpack it first"),
    (b"Rar!\x1a\x07", "is a RAR archive: unpack it first"),
)
_BY_BEGINNING = (
    (b"\xff\x0a", "is a JPEG XL file: convert it to PNG or JPEG first"),
    (b"\0\0\0\x0cJXL ", "is a JPEG XL file: convert it to PNG or JPEG first"),
    (b"\0\0\0\x0cjP  ", "is a JPEG 2000 file: convert it to PNG or JPEG first"),
    (b"\xff\x4f\xff\x51", "is a JPEG 2000 file: convert it to PNG or JPEG first"),
    (b"8BPS", "is a Photoshop file: convert it to PNG or JPEG first"),
    (b"v/1\x01", "is an OpenEXR file: convert it to PNG or JPEG first"),
    (b"#?RADIANCE", "is a Radiance HDR file: convert it to PNG or JPEG first"),
    (b"FUJIFILMCCD-RAW", RAW_FILE),
    (b"IIRO", RAW_FILE),
    (b"IIRS", RAW_FILE),
    (b"IIU\0", RAW_FILE),
    (b"II\x1a\0\0\0HEAPCCDR", RAW_FILE),
    (b"FOVb", RAW_FILE),
    (b"\0MRM", RAW_FILE),
    (b"%PDF", "is a PDF file: convert it to PNG or JPEG first"),
    (b"PK\x03\x04", "is a zip file: give it as a source by its own name"),
    (b"II*\0", "is a TIFF of a kind that Pillow does not read: convert it to 8 or 16 bits per sample first"),
    (b"MM\0*", "is a TIFF of a kind that Pillow does not read: convert it to 8 or 16 bits per sample first"),
)
_CLIP_BRANDS = (b"isom", b"iso2", b"mp41", b"mp42", b"avc1", b"qt  ", b"M4V ", b"3gp4", b"3gp5")
_CONTAINERS = (
    (b"FLV\1", "a Flash clip (FLV)"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media clip (ASF)"),
    (b"\0\0\1\xba", "an MPEG program stream"),
    (b"OggS", "an Ogg clip"),
    (b"\x06\x0e\x2b\x34", "an MXF clip"),
)
_TS_SYNC, _TS_PACKETS = b"G", ((0, 188), (4, 192))  # where a packet begins, and its bytes: TS and M2TS
_PLAYLIST = "is a playlist in the place of a clip: download what it names"
_BEGINNING_BYTES = 512
_NOT_FRAMES = (0xC4, 0xC8, 0xCC)  # markers of JPEG among those of frames: tables, and one that is reserved


def other_kind(data: bytes) -> str:
    """What a file is that is not an image of a known kind; empty if its first bytes do not show it.

    Args:
        data: bytes of a file that no decoder recognised.

    Returns:
        The end of a sentence that begins with the file's name.
    """
    if reason := packed_or_missing(data):
        return reason
    beginning = data[:_BEGINNING_BYTES]
    if beginning[4:8] == b"ftyp":
        return RAW_FILE if beginning[8:12] == b"crx " else _CLIP if beginning[8:12] in _CLIP_BRANDS else ""
    for start, reason in _BY_BEGINNING:
        if beginning.startswith(start):
            return reason
    if (precision := _jpeg_precision(data)) not in (0, 8):
        return f"is a JPEG of {precision} bits per sample: convert it to 8 bits first"
    return ""


def other_container(data: bytes) -> str:
    """What a clip is whose container is none of those that are read, whatever its name is; empty for others.

    Args:
        data: bytes of a file with the name of a clip.

    Returns:
        As :func:`other_kind`.
    """
    if data.startswith(b"#EXTM3U"):
        return _PLAYLIST
    is_stream = any(
        all(data[at : at + 1] == _TS_SYNC for at in range(first, first + 3 * size, size))
        for first, size in _TS_PACKETS
    )
    what = "an MPEG transport stream" if is_stream else ""
    what = what or next((name for start, name in _CONTAINERS if data.startswith(start)), "")
    return f"is {what}: convert it to MP4 first (ffmpeg -i CLIP -c copy CLIP.mp4)" if what else ""


def packed_or_missing(data: bytes) -> str:
    """What hides a file of any kind, if its first bytes show that: it is packed, empty, or another came.

    Args:
        data: its bytes, or the first ones.

    Returns:
        As :func:`other_kind`.
    """
    if not data:
        return _EMPTY
    if not any(data[:_BEGINNING_BYTES]):
        return "begins with zeros only: its content was never written"
    for start, reason in _PACKED:
        if data.startswith(start):
            return reason
    text = data[:_BEGINNING_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if b"<svg" in text:
        return "is an SVG drawing: convert it to PNG first"
    return _PAGE if text.startswith((b"<!doctype html", b"<html", b"<?xml", b'{"')) else ""


def _jpeg_precision(data: bytes) -> int:
    """Bits per sample in the frame header of a JPEG; 0 for another file, or one that is cut before it."""
    place = 2
    while data.startswith(b"\xff\xd8") and data[place : place + 1] == b"\xff" and place + 4 < len(data):
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4])
        if 0xC0 <= marker <= 0xCF and marker not in _NOT_FRAMES:
            return data[place + 4]
        place += 2 + length
    return 0
