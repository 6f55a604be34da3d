"""The first and the last frame of a clip, in the order and the position in which a player shows them."""

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import av

from dimmagen.core.machine import is_machine_trouble
from dimmagen.images import codec
from dimmagen.images.codec import ImageError
from dimmagen.images.other_kinds import other_container, packed_or_missing
from dimmagen.sources.clip_damage import H264, has_hole, refuse_truncated
from dimmagen.sources.clip_frames import DecodedFrame, as_shown, pixel_aspect_of, time_of

# Only video containers: a playlist with the name of a clip could refer to other files and addresses.
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi"
_TAIL_SECONDS = 1.0


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
        return as_shown(frame, pixel_aspect_of(stream))


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
        refuse_truncated(data)
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
    width = max(1, round(stream.width * pixel_aspect_of(stream)))
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
    if stream.codec_context.name == H264:  # with threads for slices it does not look for damage
        stream.codec_context.thread_type = "NONE"
    packets: dict[int, _Packet] = {}  # by the time of their frame
    damaged_from: dict[int, int] = {}  # in a group, the number of its first damaged packet
    group, start = 0, 0
    own = _Packet(0, 0, False)
    for number, packet in enumerate(container.demux(stream)):
        if packet.is_keyframe:
            group, start = group + 1, packet.pts or 0
        if has_hole(bytes(packet), stream.codec_context):
            damaged_from.setdefault(group, number)
        own = _Packet(group, number, packet.pts is not None and packet.pts < start)
        if packet.pts is not None:
            packets[packet.pts] = own
        for frame in packet.decode():
            if isinstance(frame, av.VideoFrame):
                its = packets.pop(time_of(frame), own)
                if frame.is_corrupt:
                    damaged_from[its.group] = min(its.number, damaged_from.get(its.group, its.number))
                is_damaged = damaged_from.get(its.group, math.inf) <= its.number
                yield frame, is_damaged or (its.is_leading and its.group - 1 in damaged_from)


def _refuse_damaged(is_damaged: bool) -> None:
    if is_damaged:
        raise ImageError("unreadable", "the clip is damaged where the frame is: a part of it is made up")


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
    latest = max(_frames(container, stream), key=lambda found: time_of(found[0]), default=None)
    if latest is None:
        return None
    frame, is_damaged = latest
    _refuse_damaged(is_damaged)
    return as_shown(frame, pixel_aspect_of(stream))
