"""Clips that the tests make, in place of real ones."""

import io
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
from skimage import data

RATE = 24  # frames per second
# Of x264: the last frame in the file is not the last one shown.
B_FRAMES = {"bf": "3", "g": "24", "x264-params": "b-adapt=0:b-pyramid=normal:open-gop=1"}


def moving_photo(count: int = 10, width: int = 400, height: int = 320, **options: str) -> bytes:
    """An MP4 clip of a photo that moves; options of the encoder x264."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as target:
        stream = target.add_stream("libx264", rate=24, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(count):
            pixels = data.coffee()[index : index + height, 3 * index : 3 * index + width]
            frame = av.VideoFrame.from_ndarray(pixels.copy(), "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 24)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return buffer.getvalue()


def write_clips(folder: Path) -> Path:
    """Three clips whose first and last frames are six different lights; one is stored out of order."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plain.mp4").write_bytes(moving_photo(20, 320, 240))
    (folder / "wide.mp4").write_bytes(moving_photo(7, 480, 220))
    (folder / "reordered.mp4").write_bytes(moving_photo(12, 400, 300, bf="3", g="6"))
    return folder


def frame_level(index):
    return 20 + 4 * index


def gray_clip(count=48, width=320, height=240, container="mp4", codec="libx264", options=None):
    """A clip whose frame k is gray of level 20 + 4k, so that each frame can be identified."""
    import av

    file = tempfile.NamedTemporaryFile()  # noqa: SIM115 - the name is needed after the writing block
    # With the index in front, a truncated clip can still be opened.
    flags = {"movflags": "faststart"} if container == "mp4" else {}
    with av.open(file.name, "w", format=container, options=flags) as output:
        stream = output.add_stream(codec, rate=RATE, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(
                np.full((height, width, 3), frame_level(index), np.uint8), "rgb24"
            )
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return Path(file.name).read_bytes()
