"""The first and the last frame of a clip, in the order and the position in which a player shows them."""

import io
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import av
import numpy as np
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation

from dimmagen.core.machine import is_machine_trouble
from dimmagen.images import codec
from dimmagen.images.codec import ImageError
from dimmagen.images.facts import UPRIGHT, Presentation
from dimmagen.images.jpeg_damage import state_of
from dimmagen.images.other_kinds import other_container, packed_or_missing

# Only video containers: a playlist with the name of a clip could refer to other files and addresses.
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi"
_TAIL_SECONDS = 1.0
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
_H264, _HEVC = "h264", "hevc"  # FFmpeg's names
_HOLE_BYTES = 512  # a sector of a disk
_HD_HEIGHT = 720
# Exact rounding, chroma interpolated to full width, and the same arithmetic on every processor.
_TO_RGB = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.BITEXACT
)
# Code points of ITU-T H.273, table 4: PyAV has no name for 6, whose matrix is that of 5. Of the others its
# conversion knows nothing, and would take BT.601.
_MATRICES = {**{space.value: space for space in Colorspace}, 6: Colorspace.ITU601}
_OTHER_MATRICES = {
    8: "YCgCo",
    10: "BT.2020 with constant luminance",
    11: "SMPTE ST 2085",
    12: "chromaticities",
    13: "chromaticities",
    14: "ICtCp",
    15: "IPT-C2",
    16: "YCgCo-Re",
    17: "YCgCo-Ro",
}
_RANGES = {ColorRange.MPEG.value: "limited", ColorRange.JPEG.value: "full"}
# The same as degrees clockwise, and whether it is mirrored left to right after that.
_ROTATIONS = {
    (False, False, False): (0, False),
    (False, True, False): (0, True),
    (False, False, True): (180, True),
    (False, True, True): (180, False),
    (True, False, False): (90, True),
    (True, True, False): (90, False),
    (True, False, True): (270, False),
    (True, True, True): (270, True),
}
_WIDE = {
    ColorPrimaries.BT2020.value: "BT.2020",
    ColorPrimaries.SMPTE431.value: "DCI-P3",
    ColorPrimaries.SMPTE432.value: "Display P3",
}
_HDR = {ColorTrc.SMPTE2084.value: "PQ", ColorTrc.ARIB_STD_B67.value: "HLG"}
# Gamma 2.8 is not among them: clips of PAL name it, and are shown as others.
_OTHER_TRANSFERS = {
    ColorTrc.LINEAR.value: "linear light",
    ColorTrc.LOG.value: "logarithmic",
    ColorTrc.LOG_SQRT.value: "logarithmic",
    ColorTrc.SMPTE428.value: "gamma 2.6",
}


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """A decoded frame.

    Attributes:
        pixels: uint8 (H, W, 3) RGB, upright and with square pixels.
        time: when it is shown, in units of the stream's time base; -1 if unknown.
        pixel_format: of the stream, such as `yuv420p`.
        shown: how the stored pixels were turned into these.
    """

    pixels: np.ndarray
    time: int
    pixel_format: str
    shown: Presentation = UPRIGHT


def first_frame(data: bytes) -> DecodedFrame:
    """The frame that is shown first. FFmpeg applies edit lists: frames outside of them are not shown.

    Args:
        data: bytes of a clip.

    Raises:
        ImageError: the file is not a clip, is truncated, too large, HDR, wide or interlaced, or has no frame.
    """
    with _clip(data), _opened(data) as container:
        stream = _shown_stream(container)
        frame, is_damaged = next(_frames(container, stream), (None, False))
        if frame is None:
            raise ImageError("unreadable", "the clip has no frame")
        _refuse_damaged(is_damaged)
        return _as_shown(frame, _pixel_aspect(stream))


def last_frame(data: bytes) -> DecodedFrame:
    """The frame that is shown last.

    With B-frames, the last frame in the file is not the last one shown, so the clip is always decoded to its
    end, and the frame with the latest presentation time is taken.

    Args:
        data: bytes of a clip.

    Raises:
        ImageError: the file is not a clip, is truncated, too large, HDR, wide or interlaced, or has no frame.
    """
    with _clip(data):
        frame = _decode_tail(data) or _decode_all(data)
        if frame is None:
            raise ImageError("unreadable", "the clip has no frame")
        return frame


class _Packet(NamedTuple):
    """Where a packet is: in which group, of a key frame and those behind it, and its number in the clip.

    Attributes:
        is_leading: whether its frame is shown before its key frame, and may refer to the group before.
    """

    group: int
    number: int
    is_leading: bool


@contextmanager
def _clip(data: bytes) -> Iterator[None]:
    """Turn every error about a clip inside the block into an ImageError."""
    try:
        _refuse_truncated(data)
        yield
    except ImageError:
        raise
    except Exception as error:  # damaged clips, like damaged images, fail in many ways
        # Of FFmpeg's numbers only this one: a damaged clip may end with EIO, which is not a disk's then.
        if isinstance(error, MemoryError) or (
            is_machine_trouble(error) and not isinstance(error, av.FFmpegError)
        ):
            raise
        fault = f"cannot be decoded: {getattr(error, 'strerror', None) or type(error).__name__}"
        reason = packed_or_missing(data) or other_container(data) or fault
        raise ImageError("unreadable", reason) from error


def _opened(data: bytes) -> av.container.InputContainer:
    container = av.open(io.BytesIO(data), "r", options={"format_whitelist": _CONTAINERS, "enable_drefs": "0"})
    if not container.streams.video:
        container.close()
        raise ImageError("unreadable", "the clip has no video stream")
    stream = _shown_stream(container)
    width = max(1, round(stream.width * _pixel_aspect(stream)))
    if width * stream.height > codec.MAX_PIXELS:
        container.close()
        size = f"{width}x{stream.height}"
        raise ImageError("too-large", f"{size} is more than {codec.MAX_PIXELS} pixels")
    return container


def _shown_stream(container: av.container.InputContainer) -> av.VideoStream:
    """The stream that a player shows: a cover image may come before it."""
    best = container.streams.best("video")
    return best if isinstance(best, av.VideoStream) else container.streams.video[0]


def _frames(
    container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[tuple[av.VideoFrame, bool]]:
    """The frames, each with whether it is damaged, or may be by others since the last key frame.

    FFmpeg makes up the lost parts of a frame, and the frames behind it show them. A frame comes out of the
    decoder some packets after its own, from which it is known by its time.
    """
    if stream.codec_context.name == _H264:  # with threads for slices it does not look for damage
        stream.codec_context.thread_type = "NONE"
    packets: dict[int, _Packet] = {}  # by the time of their frame
    damaged_from: dict[int, int] = {}  # in a group, the number of its first damaged packet
    group, start = 0, 0
    own = _Packet(0, 0, False)
    for number, packet in enumerate(container.demux(stream)):
        if packet.is_keyframe:
            group, start = group + 1, packet.pts or 0
        if _has_hole(bytes(packet), stream.codec_context):
            damaged_from.setdefault(group, number)
        own = _Packet(group, number, packet.pts is not None and packet.pts < start)
        if packet.pts is not None:
            packets[packet.pts] = own
        for frame in packet.decode():
            if isinstance(frame, av.VideoFrame):
                its = packets.pop(_time(frame), own)
                if frame.is_corrupt:
                    damaged_from[its.group] = min(its.number, damaged_from.get(its.group, its.number))
                is_damaged = damaged_from.get(its.group, math.inf) <= its.number
                yield frame, is_damaged or (its.is_leading and its.group - 1 in damaged_from)


def _has_hole(coded: bytes, codec: av.VideoCodecContext) -> bool:
    """Whether coded pixels have what their codec cannot write: a decoder need not notice it.

    H.264 and HEVC never have three zeros in a row in a unit (ITU-T H.264 and H.265, 7.4.1). Behind a unit
    some writers leave them as padding. In their place may have been its end: FFmpeg tells if it is missing in
    H.264, but not in HEVC.
    """
    if codec.name == _H264:
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


def _refuse_damaged(is_damaged: bool) -> None:
    if is_damaged:
        raise ImageError("unreadable", "the clip is damaged where the frame is: a part of it is made up")


def _time(frame: av.VideoFrame) -> int:
    return frame.pts if frame.pts is not None else -1


def _pixel_aspect(stream: av.VideoStream) -> float:
    """Width of a pixel divided by its height, by which the width is scaled; the height stays."""
    return float(stream.sample_aspect_ratio or 1)


def _decode_tail(data: bytes) -> DecodedFrame | None:
    """The last frame shown, by a seek to the last second; None if that is not possible."""
    with _opened(data) as container:
        stream = _shown_stream(container)
        if not stream.duration or not stream.time_base:
            return None
        tail = (stream.start_time or 0) + stream.duration - int(_TAIL_SECONDS / stream.time_base)
        try:
            container.seek(max(tail, 0), stream=stream, backward=True)
            return _latest(container)
        except av.FFmpegError:
            return None


def _decode_all(data: bytes) -> DecodedFrame | None:
    with _opened(data) as container:
        return _latest(container)


def _latest(container: av.container.InputContainer) -> DecodedFrame | None:
    stream = _shown_stream(container)
    latest = max(_frames(container, stream), key=lambda found: _time(found[0]), default=None)
    if latest is None:
        return None
    frame, is_damaged = latest
    _refuse_damaged(is_damaged)
    return _as_shown(frame, _pixel_aspect(stream))


def _as_shown(frame: av.VideoFrame, pixel_aspect: float = 1.0) -> DecodedFrame:
    """RGB by the matrix and the range that the clip names, upright, with square pixels.

    Without a matrix: BT.709 from 720 lines upwards, otherwise BT.601.
    """
    _refuse_unsupported(frame)
    guess = Colorspace.ITU709 if frame.height >= _HD_HEIGHT else Colorspace.ITU601
    rgb = frame.reformat(
        width=max(1, round(frame.width * pixel_aspect)),
        format="rgb24",
        src_colorspace=_MATRICES.get(int(frame.colorspace), guess),
        interpolation=_TO_RGB,
    )
    # PyAV's stubs take a name here, PyAV its own enumeration.
    matrix = frame.side_data.get(SideDataType.DISPLAYMATRIX)  # type: ignore[call-overload]
    turn = _turn_of(matrix)
    return DecodedFrame(
        _upright(rgb.to_ndarray(), *turn),
        _time(frame),
        frame.format.name,
        Presentation(
            *_ROTATIONS[turn],
            round(pixel_aspect, 6),
            _named(ColorTrc, frame.color_trc),
            _RANGES.get(int(frame.color_range), ""),
            _named(Colorspace, _MATRICES.get(int(frame.colorspace), frame.colorspace)),
        ),
    )


def _refuse_unsupported(frame: av.VideoFrame) -> None:
    """Refuse what cannot be shown as an sRGB picture of one moment."""
    if transfer := _HDR.get(int(frame.color_trc)):
        raise ImageError("hdr", f"has the transfer function {transfer}; convert it to SDR first")
    if frame.interlaced_frame:  # two moments: what moves has combs, which are learned as texture
        raise ImageError("interlaced", "is interlaced; deinterlace it first (ffmpeg -vf bwdif)")
    matrix = "" if frame.format.is_rgb else _OTHER_MATRICES.get(int(frame.colorspace), "")
    for found, what in (
        (_WIDE.get(int(frame.color_primaries)), "colours of"),
        (_OTHER_TRANSFERS.get(int(frame.color_trc)), "the transfer function"),
        (matrix, "the matrix"),
    ):
        if found:
            raise ImageError("color-space", f"has {what} {found}; convert it to BT.709 first")


def _named(kind: type[Enum], value: int | Enum) -> str:
    """PyAV's name of a code point in lower case, such as `itu709`; empty if the clip names none."""
    value = value.value if isinstance(value, Enum) else int(value)
    name = next((one.name.lower() for one in kind if one.value == value), "")
    return "" if name == "unspecified" else name


def _turn_of(matrix: SideData | None) -> tuple[bool, bool, bool]:
    """How a clip's display matrix turns and mirrors a frame, to the nearest right angle: whether to transpose
    it, then whether to reverse its columns and its rows.

    The matrix [a b u; c d v; x y w] (ISO/IEC 14496-12, 8.3.2) puts the pixel (p, q), p to the right and q
    down, at (a p + c q, b p + d q).
    """
    if matrix is None:
        return False, False, False
    a, b, _, c, d = struct.unpack("=5i", bytes(matrix)[:20])
    is_transposed = abs(b) + abs(c) > abs(a) + abs(d)
    if is_transposed:
        a, d = c, b
    return is_transposed, a < 0, d < 0


def _upright(pixels: np.ndarray, is_transposed: bool, across: bool, down: bool) -> np.ndarray:
    """Turn and mirror (H, W, C) as :func:`_turn_of` says."""
    pixels = pixels.transpose(1, 0, 2) if is_transposed else pixels
    pixels = pixels[:, ::-1] if across else pixels
    pixels = pixels[::-1] if down else pixels
    return np.ascontiguousarray(pixels)


def _refuse_truncated(data: bytes) -> None:
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
