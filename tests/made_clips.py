"""Clips that the tests make, in place of real ones."""

import io
from fractions import Fraction
from pathlib import Path

from skimage import data


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
