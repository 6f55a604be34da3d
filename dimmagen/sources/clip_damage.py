"""What tells that a clip was cut or damaged, where FFmpeg would take what is left for the whole of it."""

from collections.abc import Iterator

import av

from dimmagen.images.codec import ImageError
from dimmagen.images.jpeg_damage import state_of

# Boxes of an MP4 whose loss is one of frames, or of what says where these are.
_MP4_BOXES = (
    b"mdat",
    b"moov",
    b"moof",
    b"mfra",
    b"sidx",
    b"uuid",
    b"free",
    b"skip",
    b"wide",
    b"udta",
    b"meta",
)
_UNKNOWN_SIZE = 2**31 - 1
# Writers count the header as well, or leave out the byte that makes a size even.
_RIFF_SLACK = 16
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
H264, _HEVC = "h264", "hevc"  # FFmpeg's names
_HOLE_BYTES = 512  # a sector of a disk


def refuse_truncated(data: bytes) -> None:
    """Refuse a clip that is longer by its container; FFmpeg would take what is left for the whole clip."""
    if data[4:8] == b"ftyp":
        is_cut = _is_cut_mp4(data)
    elif data.startswith(b"RIFF"):
        is_cut = _is_cut_avi(data)
    else:
        is_cut = data.startswith(_EBML) and _is_cut_matroska(data)
    if is_cut:
        raise ImageError("unreadable", "the clip is cut off")


def _is_cut_mp4(data: bytes) -> bool:
    """By the sizes of the boxes (ISO/IEC 14496-12, 4.2); what some cameras append is none of them."""
    place = 0
    while place + 8 <= len(data):
        size, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        if size == 1:
            size = int.from_bytes(data[place + 8 : place + 16], "big")
        if size == 0:  # until the end of the file
            return False
        if size < 8 or place + size > len(data):
            return place == 0 or kind in _MP4_BOXES
        place += size
    return False


def _is_cut_avi(data: bytes) -> bool:
    """By the sizes of its lists, of which large clips have several."""
    place = 0
    while data.startswith(b"RIFF", place):
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        if size >= _UNKNOWN_SIZE:  # of a writer that never came to an end; others leave 0
            return False
        place += 8 + size + size % 2
    return place > len(data) + _RIFF_SLACK


def _is_cut_matroska(data: bytes) -> bool:
    """By the size of the segment (RFC 8794, 6.2; RFC 9559, 5.1), which live streams do not know."""
    header, place = _ebml_size(data, len(_EBML))
    if header is None or not data.startswith(_SEGMENT, place + header):
        return False
    segment, place = _ebml_size(data, place + header + len(_SEGMENT))
    return segment is not None and place + segment > len(data)


def _ebml_size(data: bytes, place: int) -> tuple[int | None, int]:
    """The size of an element's content and where that begins; None for an unknown size."""
    first = data[place] if place < len(data) else 0
    width = 9 - first.bit_length()
    if width > 8:
        return None, place
    size = int.from_bytes(data[place : place + width], "big") & (1 << 7 * width) - 1
    return (None if size == (1 << 7 * width) - 1 else size), place + width


def has_hole(coded: bytes, codec: av.VideoCodecContext) -> bool:
    """Whether coded pixels have what their codec cannot write: a decoder need not notice it.

    H.264 and HEVC never have three zeros in a row in a unit (ITU-T H.264 and H.265, 7.4.1). Behind a unit
    some writers leave them as padding. In their place may have been its end: FFmpeg tells if it is missing in
    H.264, but not in HEVC.
    """
    if codec.name == H264:
        units = _units(coded, bytes(codec.extradata or b""))
        return any(bytes(_HOLE_BYTES) in unit.rstrip(b"\0") for unit in units)
    if codec.name == _HEVC:
        return bytes(_HOLE_BYTES) in coded
    return codec.name == "mjpeg" and state_of(coded).damage != ""


def _units(coded: bytes, extradata: bytes) -> Iterator[bytes]:
    """The units of a packet of H.264: by lengths (ISO/IEC 14496-15, 5.2.4), or else start codes (annex B)."""
    if extradata[:1] != b"\1" or len(extradata) < 5:
        yield from coded.split(b"\0\0\1")
        return
    place, width = 0, (extradata[4] & 3) + 1
    while place < len(coded):
        end = place + width + int.from_bytes(coded[place : place + width], "big")
        yield coded[place + width : end]
        place = end
