"""Frames of clips as a player shows them: upright, with square pixels, in sRGB."""

import struct
from dataclasses import dataclass
from enum import Enum

import av
import numpy as np
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation

from dimmagen.images.codec import ImageError
from dimmagen.images.facts import UPRIGHT, Presentation

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


def time_of(frame: av.VideoFrame) -> int:
    return frame.pts if frame.pts is not None else -1


def pixel_aspect_of(stream: av.VideoStream) -> float:
    """Width of a pixel divided by its height, by which the width is scaled; the height stays."""
    return float(stream.sample_aspect_ratio or 1)


def as_shown(frame: av.VideoFrame, pixel_aspect: float = 1.0) -> DecodedFrame:
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
        time_of(frame),
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
