"""Clips that are cut off, or of which a part is lost, give no frame that FFmpeg made up."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from skimage import data as photos

from dimmagen.images.codec import ImageError
from dimmagen.sources import SOURCES, video
from tests.made_clips import B_FRAMES, RATE, gray_clip, moving_photo


def test_a_truncated_clip_is_rejected_with_both_frames():
    whole = gray_clip(48, options=B_FRAMES)
    assert whole.index(b"moov") < whole.index(b"mdat") < len(whole) * 2 // 3
    with av.open(io.BytesIO(whole)) as container:
        offsets = sorted(packet.pos for packet in container.demux(video=0) if packet.size)
    # Cut between two frames, the rest decodes without an error: only the boxes show that it is not complete.
    cuts = [whole[:offset] for offset in (offsets[-1], offsets[-2], offsets[-1] + 5, 50)]
    for data in (*cuts, b"", b"not a clip at all" * 100):
        examined = SOURCES["inter4k"].examine(data)
        assert [(one.frame, one.verdict.rule) for one in examined] == [
            ("first", "unreadable"),
            ("last", "unreadable"),
        ]


@pytest.mark.parametrize(("container", "codec"), [("matroska", "libx264"), ("avi", "mpeg4")])
def test_a_clip_of_another_container_that_is_cut_between_two_frames_is_rejected(container, codec):
    """What is left decodes without an error, and its last frame is not that of the clip."""
    whole = gray_clip(48, container=container, codec=codec)
    with av.open(io.BytesIO(whole)) as clip:
        place = sorted(packet.pos for packet in clip.demux(video=0) if packet.size)[40]
    assert [one.frame for one in SOURCES["inter4k"].examine(whole) if one.verdict.accepted] == [
        "first",
        "last",
    ]
    for data in (whole[:place], whole[:-1000]):
        found = [(one.verdict.rule, one.verdict.reason) for one in SOURCES["inter4k"].examine(data)]
        assert found == [("unreadable", "the clip is cut off")] * 2


def test_a_stream_that_does_not_know_its_size_is_read():
    """As browsers record WebM: the size of the segment is all ones."""
    whole = gray_clip(8, container="matroska")
    place = whole.index(b"\x18\x53\x80\x67") + 4
    live = whole[:place] + b"\x01" + b"\xff" * 7 + whole[place + 8 :]
    assert whole[place] == 1
    assert all(one.verdict.accepted for one in SOURCES["inter4k"].examine(live))
    avi = gray_clip(8, container="avi", codec="mpeg4")
    for size in (0, len(avi), 2**31 - 1, 2**32 - 1):  # not ended, with the header, and of a stream
        never_ended = avi[:4] + size.to_bytes(4, "little") + avi[8:]
        assert all(one.verdict.accepted for one in SOURCES["inter4k"].examine(never_ended))


@pytest.mark.parametrize("behind", [b"GPS 52.1 4.3 2024-06-01\n", bytes(100), b"\n"])
def test_what_a_camera_appends_to_its_clips_is_no_cut(behind):
    """Dashcams' positions, which players ignore."""
    examined = SOURCES["inter4k"].examine(gray_clip(8) + behind)
    assert [one.verdict.reason for one in examined] == ["", ""]


def with_hole(clip, index, size):
    """The clip with zeros in its packet of this number."""
    with av.open(io.BytesIO(clip)) as container:
        packet = next(one for number, one in enumerate(container.demux(video=0)) if number == index)
        start, length = packet.pos, packet.size
    hole = start + length // 2
    assert length // 2 > size + 200
    return clip[:hole] + bytes(size) + clip[hole + size :]


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mjpeg"])
def test_the_frames_that_a_lost_piece_of_a_clip_reaches_are_rejected(codec):
    """FFmpeg makes something up in their place, and mostly says nothing."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        options = (
            {"x265-params": "log-level=none:bframes=0:qp=12"}
            if codec == "libx265"
            else {"bf": "0", "qp": "8"}
        )
        stream = output.add_stream(codec, rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.gop_size = 4
        for index in range(7):
            pixels = photos.astronaut()[40 * index : 40 * index + 240, :320]
            frame = av.VideoFrame.from_ndarray(pixels.copy(), "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    clip = file.getvalue()
    first, last = video.first_frame(clip), video.last_frame(clip)
    in_front, behind = with_hole(clip, 0, 600), with_hole(clip, 6, 600)
    for read, damaged in ((video.first_frame, in_front), (video.last_frame, behind)):
        with pytest.raises(ImageError, match="damaged"):
            read(damaged)
    np.testing.assert_array_equal(video.last_frame(in_front).pixels, last.pixels)
    np.testing.assert_array_equal(video.first_frame(behind).pixels, first.pixels)


def changed_packets(clip, change, file_format="mp4"):
    """The clip with other bytes in its packets: `change(number, bytes)`."""
    file = io.BytesIO()
    with av.open(io.BytesIO(clip)) as source, av.open(file, "w", format=file_format) as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(one for one in source.demux(video=0) if one.size):
            new = av.Packet(change(number, bytes(packet)))
            new.pts, new.dts, new.time_base = packet.pts, packet.dts, packet.time_base
            new.is_keyframe, new.stream, new.duration = packet.is_keyframe, stream, packet.duration
            output.mux(new)
    return file.getvalue()


def last_unit(packet):
    """Where the last unit of a packet begins, behind its length, and that length."""
    place = 0
    while True:
        length = int.from_bytes(packet[place : place + 4], "big")
        place += 4 + length
        if place >= len(packet):
            return place - length, length


def padded(number, packet):
    start, length = last_unit(packet)
    return packet[: start - 4] + (length + 2048).to_bytes(4, "big") + packet[start:] + bytes(2048)


def without_end(number, packet):
    return packet if number else packet[:-2048] + bytes(2048)


def with_foreign_bytes(number, packet):
    foreign = np.random.default_rng(0).bytes(2048)
    return packet if number else packet[:-6000] + foreign + packet[-3952:]


@pytest.mark.parametrize("file_format", ["mp4", "matroska"])
@pytest.mark.parametrize("options", [{}, {"coder": "0"}, {"x264-params": "slices=4"}])
def test_zeros_behind_the_units_of_h264_are_no_damage_and_a_lost_end_is(options, file_format):
    clip = moving_photo(5, 400, 320, bf="0", qp="8", **options)
    filled = changed_packets(clip, padded, file_format)
    for read in (video.first_frame, video.last_frame):
        np.testing.assert_array_equal(read(filled).pixels, read(clip).pixels)
    for change in (without_end, with_foreign_bytes):
        with pytest.raises(ImageError, match="damaged"):
            video.first_frame(changed_packets(clip, change, file_format))


def decoded(clip):
    """Pixels and damage of every frame, by its time."""
    with video._opened(clip) as container:
        frames = video._frames(container, video._shown_stream(container))
        return {frame.pts: (frame.to_ndarray(format="rgb24"), is_damaged) for frame, is_damaged in frames}


@pytest.mark.parametrize("params", ["open-gop=0", "open-gop=1"])
@pytest.mark.parametrize("packet", [0, 5, 6])
def test_a_frame_that_comes_out_of_the_decoder_later_is_the_damaged_one(params, packet):
    """Behind the first key frame, a frame of the third packet, and the second key frame."""
    clip = moving_photo(14, 400, 320, **{"g": "6", "bf": "3", "qp": "8", "x264-params": params})
    whole, damaged = decoded(clip), decoded(with_hole(clip, packet, 600))
    wrong = {time for time, (pixels, _) in damaged.items() if not np.array_equal(pixels, whole[time][0])}
    told = {time for time, (_, is_damaged) in damaged.items() if is_damaged}
    assert wrong
    assert told == wrong
