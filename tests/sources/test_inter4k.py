"""The first and the last frame of clips, as a player shows them, and Inter4K as a source of them."""

import io
import struct
import sys
from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from PIL import Image

from dimmagen.api import build_mixhq
from dimmagen.core.errors import UsageError
from dimmagen.images.codec import ImageError
from dimmagen.sources import SOURCES, clip_frames, video
from tests.made_clips import B_FRAMES, RATE, frame_level, gray_clip, moving_photo


def index_of(frame):
    return round((float(frame.pixels.mean()) - 20) / 4)


def make_quarters(**tags):
    """A clip whose quarters are red, green, blue and white, in reading order; `tags` go to the encoder."""
    pixels = np.zeros((96, 160, 3), np.uint8)
    for row, column, color in zip((0, 0, 1, 1), (0, 1, 0, 1), (RED, GREEN, BLUE, WHITE), strict=True):
        pixels[48 * row : 48 * row + 48, 80 * column : 80 * column + 80] = color
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=RATE, options={"qp": "4"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for tag, value in tags.items():
            setattr(stream.codec_context, tag, value)
        value_range = tags.get("color_range", ColorRange.MPEG)
        for index in range(2):
            rgb = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame = rgb.reformat(
                format="yuv420p", dst_colorspace=Colorspace.ITU601, dst_color_range=value_range
            )
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


RED, GREEN, BLUE, WHITE = (200, 20, 20), (20, 180, 20), (20, 20, 220), (230, 230, 230)


def colors_of_quarters(pixels):
    height, width, _ = pixels.shape
    centers = [
        pixels[height * row // 4, width * column // 4].astype(int) for row in (1, 3) for column in (1, 3)
    ]
    known = {"red": RED, "green": GREEN, "blue": BLUE, "white": WHITE}
    named = [min(known, key=lambda name: np.abs(center - known[name]).max()) for center in centers]
    for center, name in zip(centers, named, strict=True):
        np.testing.assert_allclose(center, known[name], atol=4)
    return " ".join(named)


def with_display_matrix(data, a, b, c, d):
    """The same MP4 whose track is shown turned or mirrored (ISO/IEC 14496-12, 8.3.2)."""
    place = data.index(b"tkhd") + 44
    one = 1 << 16
    matrix = struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    return data[:place] + matrix + data[place + len(matrix) :]


@pytest.mark.parametrize(
    ("matrix", "size", "shown", "turn"),
    [
        ((1, 0, 0, 1), (160, 96), "red green blue white", (0, False)),
        # A phone held upright: a quarter clockwise.
        ((0, 1, -1, 0), (96, 160), "blue red white green", (90, False)),
        ((-1, 0, 0, -1), (160, 96), "white blue green red", (180, False)),
        ((0, -1, 1, 0), (96, 160), "green white red blue", (270, False)),
        ((-1, 0, 0, 1), (160, 96), "green red white blue", (0, True)),  # a front camera: mirrored
        ((0, 1, 1, 0), (96, 160), "red blue green white", (90, True)),
        ((1, 0, 0, -1), (160, 96), "blue white red green", (180, True)),
        ((0, -1, -1, 0), (96, 160), "white green blue red", (270, True)),
    ],
)
def test_a_clip_is_turned_and_mirrored_as_a_player_does(matrix, size, shown, turn):
    data = with_display_matrix(make_quarters(), *matrix)
    for frame in (video.first_frame(data), video.last_frame(data)):
        assert (frame.pixels.shape[1::-1], colors_of_quarters(frame.pixels)) == (size, shown)
        assert (frame.shown.rotation, frame.shown.mirrored) == turn


def test_pixels_that_are_not_square_are_made_square():
    data = make_quarters(sample_aspect_ratio=Fraction(3, 2))
    frame = video.last_frame(data)
    assert (frame.pixels.shape, colors_of_quarters(frame.pixels)) == ((96, 240, 3), "red green blue white")
    assert frame.shown.pixel_aspect == 1.5


def test_what_a_clip_names_is_in_the_facts():
    tags = {"color_range": ColorRange.JPEG, "color_trc": ColorTrc.BT709.value, "colorspace": 5}
    examined = SOURCES["inter4k"].examine(make_quarters(**tags))
    facts = examined[0].facts.shown
    assert (facts.transfer, facts.range, facts.matrix) == ("bt709", "full", "itu601")
    named_by_6 = SOURCES["inter4k"].examine(make_quarters(colorspace=6))[0].facts.shown
    assert named_by_6.matrix == "itu601"
    plain = SOURCES["inter4k"].examine(make_quarters())[0].facts.shown
    assert (plain.transfer, plain.matrix) == ("", "")


def test_the_range_that_a_clip_names_is_used():
    full = make_quarters(color_range=ColorRange.JPEG)
    assert colors_of_quarters(video.first_frame(full).pixels) == "red green blue white"


@pytest.mark.parametrize(("transfer", "name"), [(ColorTrc.SMPTE2084, "PQ"), (ColorTrc.ARIB_STD_B67, "HLG")])
def test_hdr_clips_are_rejected_by_name(transfer, name):
    examined = SOURCES["inter4k"].examine(make_quarters(color_trc=transfer.value))
    assert [one.verdict.rule for one in examined] == ["hdr", "hdr"]
    assert name in examined[0].verdict.reason


@pytest.mark.parametrize(("flags", "is_rejected"), [("+ildct+ilme", True), ("+global_header", False)])
def test_interlaced_clips_are_rejected(flags, is_rejected):
    """1080i of a camcorder or a broadcast: moving edges are combs, which would be light images."""
    examined = SOURCES["inter4k"].examine(moving_photo(8, 400, 320, flags=flags))
    assert [one.verdict.rule for one in examined] == (["interlaced"] * 2 if is_rejected else ["", ""])
    if is_rejected:
        assert examined[0].verdict.reason == "is interlaced; deinterlace it first (ffmpeg -vf bwdif)"


def decode_order_differs(data):
    with av.open(io.BytesIO(data)) as container:
        times = [packet.pts for packet in container.demux(video=0) if packet.pts is not None]
    return times != sorted(times)


@pytest.mark.parametrize("count", [2, 5, 24, 25, 26, 27, 48])
@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_with_b_frames_the_last_frame_shown_is_used_and_not_the_last_in_the_file(count, container):
    data = gray_clip(count, options=B_FRAMES, container=container)
    assert decode_order_differs(data) or count < 5
    first, last = video.first_frame(data), video.last_frame(data)
    assert (index_of(first), index_of(last)) == (0, count - 1)


def with_edit(data, start, count):
    """The same MP4 with an edit list that shows `count` frames from frame `start` on."""
    place = data.index(b"elst") + 4
    version, entries = data[place], struct.unpack(">I", data[place + 4 : place + 8])[0]
    assert (version, entries) == (0, 1)
    movie = data.index(b"mvhd")
    movie_scale = struct.unpack(">I", data[movie + 16 : movie + 20])[0]
    media = data.index(b"mdhd")
    media_scale = struct.unpack(">I", data[media + 16 : media + 20])[0]
    media_start = struct.unpack(">i", data[place + 12 : place + 16])[0]
    edit = struct.pack(">Ii", count * movie_scale // RATE, media_start + start * media_scale // RATE)
    return data[: place + 8] + edit + data[place + 16 :]


@pytest.mark.parametrize(("start", "count"), [(0, 48), (0, 30), (7, 41), (7, 20), (25, 10), (3, 1)])
def test_frames_outside_the_edit_list_are_ignored(start, count):
    data = with_edit(gray_clip(48, options=B_FRAMES), start, count)
    first, last = video.first_frame(data), video.last_frame(data)
    assert (index_of(first), index_of(last)) == (start, start + count - 1)


def test_a_4k_clip_gives_two_frames_of_1152x648():
    source = SOURCES["inter4k"]
    data = gray_clip(3, 3840, 2160, options={"preset": "ultrafast", "bf": "0"})
    examined = source.examine(data)
    assert [one.frame for one in examined] == ["first", "last"]
    for one, index in zip(examined, (0, 2), strict=True):
        assert one.verdict.accepted
        assert one.pixels.shape == (648, 1152, 3)
        assert (one.transform, one.extension) == ("frame-x0.3", "png")
        assert (one.facts.width, one.facts.height) == (3840, 2160)
        assert abs(one.pixels.mean() - frame_level(index)) < 1.5
        np.testing.assert_array_equal(source.light(data, one.frame), one.pixels)


def test_the_reduction_antialiases_a_checkerboard_to_gray():
    board = np.indices((360, 640)).sum(axis=0) % 2 * 255
    frame = video.DecodedFrame(np.repeat(board[..., None], 3, axis=2).astype(np.uint8), 0, "yuv444p")
    from dimmagen.sources.inter4k import _reduce

    assert _reduce(frame.pixels).std() < 8
    nearest = np.asarray(Image.fromarray(frame.pixels).resize((192, 108), Image.Resampling.NEAREST))
    assert nearest.std() > 100


def test_a_clip_of_one_frame_gives_one_light_image_and_one_rejection():
    first, last = SOURCES["inter4k"].examine(gray_clip(1))
    assert first.verdict.accepted
    assert (last.verdict.accepted, last.verdict.rule) == (False, "one-frame")


def test_the_colours_follow_the_matrix_named_in_the_clip():
    """The same YUV triple under BT.601 and BT.709, against the standards' formulas; 2 is `unspecified`."""
    bt601, bt709 = (0.299, 0.114), (0.2126, 0.0722)
    for matrix, height, (red, blue) in (
        (1, 360, bt709),
        (5, 720, bt601),
        (6, 720, bt601),
        (2, 360, bt601),
        (2, 720, bt709),
    ):
        frame = av.VideoFrame(640, height, "yuv420p")
        for plane, level in zip(frame.planes, (90, 100, 180), strict=True):
            plane.update(bytes([level]) * plane.buffer_size)
        frame.colorspace = matrix
        luma, chroma_blue, chroma_red = (90 - 16) / 219, (100 - 128) / 224, (180 - 128) / 224
        r, b = luma + 2 * (1 - red) * chroma_red, luma + 2 * (1 - blue) * chroma_blue
        g = (luma - red * r - blue * b) / (1 - red - blue)
        np.testing.assert_allclose(
            clip_frames.as_shown(frame).pixels[5, 5], [255 * r, 255 * g, 255 * b], atol=1
        )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty: it has 0 bytes"),
        (bytes(9000), "begins with zeros only"),
        (b"<!DOCTYPE html><title>Quota exceeded</title>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        (b"text" * 99, "cannot be decoded: Invalid data"),
        (b"G" + (bytes(187) + b"G") * 8, "is an MPEG transport stream: convert it to MP4 first"),
        (bytes(4) + (b"G" + bytes(191)) * 8, "is an MPEG transport stream"),
        (b"FLV\1" + b"text" * 99, "is a Flash clip"),
        (b"\0\0\1\xba" + b"text" * 99, "is an MPEG program stream"),
        (b"#EXTM3U\n#EXT-X-VERSION:3\n" + b"a.ts\n" * 99, "is a playlist in the place of a clip"),
    ],
)
def test_what_is_no_clip_says_what_it_is(data, said):
    for frame in (video.first_frame, video.last_frame):
        with pytest.raises(ImageError, match=said):
            frame(data)


def test_a_playlist_with_the_name_of_a_clip_opens_no_other_file(tmp_path, monkeypatch):
    (tmp_path / "secret.mp4").write_bytes(gray_clip(2))
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile://{tmp_path}/secret.mp4\n#EXT-X-ENDLIST\n"
    with pytest.raises(ImageError, match="is a playlist"):
        video.first_frame(playlist.encode())
    monkeypatch.chdir(tmp_path)
    concat = "ffconcat version 1.0\nfile secret.mp4\n"
    with pytest.raises(ImageError, match="cannot be decoded"):
        video.first_frame(concat.encode())


@pytest.mark.parametrize("origin", ["made", "real"])
def test_the_ends_of_a_clip_are_those_of_a_full_decode(origin, clips, request):
    if origin == "real":
        clips = request.getfixturevalue("shared_data") / "sources" / "inter4k"
    for path in sorted(clips.glob("*.mp4")):
        data = path.read_bytes()
        first, last = video.first_frame(data), video.last_frame(data)
        with av.open(io.BytesIO(data)) as container:
            shown = sorted(container.decode(video=0), key=lambda frame: frame.pts)
        np.testing.assert_array_equal(first.pixels, clip_frames.as_shown(shown[0]).pixels)
        np.testing.assert_array_equal(last.pixels, clip_frames.as_shown(shown[-1]).pixels)


def test_without_pyav_a_clip_ends_the_run_with_the_extra_and_a_photo_does_not(clips, tmp_path, monkeypatch):
    """Its absence says nothing about the clip, so it is not a verdict in the catalog."""
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.delitem(sys.modules, "dimmagen.sources.video", raising=False)
    monkeypatch.delattr("dimmagen.sources.video", raising=False)
    expected = (
        r"^clips need the package av: pip install 'dimmagen\[video\]', or leave out the source inter4k$"
    )
    with pytest.raises(UsageError, match=expected) as raised:
        build_mixhq([f"inter4k={clips}"], dry_run=True)
    assert raised.value.code == "missing-package"
    with pytest.raises(UsageError, match=expected):  # before any source is listed
        build_mixhq(["folder=nowhere", f"inter4k={clips}"], dry_run=True)
    assert build_mixhq(["sample"], dry_run=True)["sample"].accepted == 5


def test_a_broken_pyav_ends_the_run_with_the_reason(clips, tmp_path, monkeypatch):
    (tmp_path / "av.py").write_text("raise RuntimeError('libavcodec of another version')")
    monkeypatch.syspath_prepend(tmp_path)
    for module in [name for name in sys.modules if name.split(".")[0] == "av"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delitem(sys.modules, "dimmagen.sources.video", raising=False)
    monkeypatch.delattr("dimmagen.sources.video", raising=False)
    with pytest.raises(UsageError, match=r"package av, which is installed but fails .*--upgrade") as raised:
        build_mixhq([f"inter4k={clips}"], dry_run=True)
    assert raised.value.code == "missing-package"


def test_a_cover_picture_before_the_film_is_no_frame_of_it():
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        cover = output.add_stream("mjpeg", rate=RATE, options={})
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        film = output.add_stream("libx264", rate=RATE, options={})
        film.width, film.height, film.pix_fmt = 160, 96, "yuv420p"
        film.disposition = Disposition.default
        for stream, count, level in ((cover, 1, 255), (film, 4, 20)):
            for index in range(count):
                shape = (stream.height, stream.width, 3)
                frame = av.VideoFrame.from_ndarray(np.full(shape, level + 4 * index, np.uint8), "rgb24")
                frame.pts, frame.time_base = index, Fraction(1, RATE)
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
    data = file.getvalue()
    assert index_of(video.first_frame(data)) == 0
    assert index_of(video.last_frame(data)) == 3


@pytest.mark.parametrize("primaries", [ColorPrimaries.BT2020, ColorPrimaries.SMPTE432])
def test_clips_of_wide_primaries_are_rejected_by_name(primaries):
    examined = SOURCES["inter4k"].examine(make_quarters(color_primaries=primaries.value))
    assert [one.verdict.rule for one in examined] == ["color-space", "color-space"]


@pytest.mark.parametrize(
    ("tags", "named"),
    [
        ({"color_trc": ColorTrc.LINEAR.value}, "the transfer function linear light"),
        ({"color_trc": ColorTrc.LOG.value}, "the transfer function logarithmic"),
        ({"color_trc": ColorTrc.SMPTE428.value}, "the transfer function gamma 2.6"),
        ({"colorspace": 8}, "the matrix YCgCo"),
        ({"colorspace": 14}, "the matrix ICtCp"),
    ],
)
def test_clips_whose_colours_cannot_be_converted_are_rejected_by_name(tags, named):
    first, last = SOURCES["inter4k"].examine(make_quarters(**tags))
    assert (first.verdict.rule, last.verdict.rule) == ("color-space", "color-space")
    assert first.verdict.reason == f"has {named}; convert it to BT.709 first"


@pytest.mark.parametrize("tags", [{"color_trc": ColorTrc.GAMMA28.value}, {"colorspace": 3}])
def test_what_pal_clips_name_and_reserved_values_are_no_reason_to_reject(tags):
    assert colors_of_quarters(video.first_frame(make_quarters(**tags)).pixels) == "red green blue white"


def test_the_matrix_of_rgb_frames_does_not_count():
    frame = av.VideoFrame.from_ndarray(np.full((96, 160, 3), RED, np.uint8), "rgb24")
    frame.colorspace = 8
    assert clip_frames.as_shown(frame).pixels[5, 5].tolist() == list(RED)
