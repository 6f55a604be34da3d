import io

import numpy as np
import pytest
from PIL import Image
from skimage import data as photos

from dimmagen.images.codec import ImageError, decode_rgb8

SECTORS = 8 * 512


def jpeg(pixels=None, **options):
    buffer = io.BytesIO()
    Image.fromarray(photos.coffee() if pixels is None else pixels).save(buffer, "JPEG", quality=95, **options)
    return buffer.getvalue()


def with_piece(data, piece):
    """The file with other bytes in its middle, as long as they are."""
    middle = len(data) // 2
    return data[:middle] + piece + data[middle + len(piece) :]


@pytest.mark.parametrize("options", [{}, {"restart_marker_rows": 1}, {"progressive": True}])
@pytest.mark.parametrize(
    "piece",
    [b"\xff" * SECTORS, np.random.default_rng(0).bytes(SECTORS), jpeg()[:SECTORS]],
    ids=["an erased block of a card", "bytes of another file", "a fragment of another photo"],
)
def test_a_photo_with_foreign_bytes_in_its_middle_is_unreadable(options, piece):
    with pytest.raises(ImageError, match="damaged: among its pixels are bytes that no JPEG has") as refused:
        decode_rgb8(with_piece(jpeg(**options), piece), color_managed=True)
    assert refused.value.rule == "unreadable"


@pytest.mark.parametrize("options", [{}, {"restart_marker_rows": 1}, {"keep_rgb": True}])
def test_a_photo_that_lacks_a_piece_in_its_middle_is_unreadable(options):
    """Pillow takes the zeros for pixels, and shows a smeared picture without an error."""
    hollow = with_piece(jpeg(**options), bytes(SECTORS))
    assert Image.open(io.BytesIO(hollow)).convert("RGB").size == (600, 400)
    with pytest.raises(ImageError, match="damaged: among its pixels are zeros"):
        decode_rgb8(hollow, color_managed=True)


@pytest.mark.parametrize(
    "options", [{}, {"optimize": True}, {"progressive": True}, {"restart_marker_rows": 1}]
)
def test_whole_photos_with_flat_areas_previews_and_filling_are_pictures(options):
    flat = np.full((2000, 3000, 3), 200, np.uint8)
    flat[:400, :600] = photos.coffee()
    preview = Image.Exif()
    preview[0x927C] = jpeg(flat[:64, :64]) + bytes(SECTORS) + b"\xff" * SECTORS
    data = jpeg(flat, exif=preview, **options)
    expected = np.asarray(Image.open(io.BytesIO(data)))
    for filled in (b"", bytes(SECTORS), b"\xff" * SECTORS):  # which encoders write before the end
        whole = data[:-2] + filled + data[-2:]
        np.testing.assert_array_equal(decode_rgb8(whole, color_managed=True)[0], expected)
    np.testing.assert_array_equal(decode_rgb8(data + jpeg(), color_managed=True)[0], expected)
