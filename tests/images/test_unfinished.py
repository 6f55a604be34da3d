"""Files whose end was never written, or that have zeros in the place of a lost piece, are no pictures."""

import io
import struct

import numpy as np
import pytest
from PIL import Image
from skimage import data as photos

from dimmagen.images.codec import ImageError, decode_rgb8, encode_webp


def file_of(image, file_format, **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("file_format", "options"), [("JPEG", {}), ("JPEG", {"progressive": True}), ("WEBP", {"quality": 90})]
)
def test_a_file_whose_end_was_never_written_is_no_picture(file_format, options):
    """The decoders take the zeros for pixels: the lower half was gray or smeared, without an error."""
    preview = Image.Exif()
    preview[0x927C] = file_of(
        Image.fromarray(photos.coffee()[:40, :40]), "JPEG"
    )  # a JPEG inside, with its end
    data = file_of(Image.fromarray(photos.coffee()), file_format, exif=preview, **options)
    assert decode_rgb8(data)[0].shape == photos.coffee().shape
    lowest = {"JPEG": 600, "WEBP": len(preview.tobytes()) + 1200}[file_format]  # WebP's EXIF data are last
    for written in (len(data) // 2, len(data) - lowest):
        with pytest.raises(ImageError, match="ends in zeros: only its beginning was written") as refused:
            decode_rgb8(data[:written] + bytes(len(data) - written))
        assert refused.value.rule == "unreadable"
    preview[0xEA1C] = bytes(2060)  # as Windows leaves room
    decode_rgb8(file_of(Image.fromarray(photos.coffee()), file_format, exif=preview, **options))
    padded = decode_rgb8(data + bytes(4096))[0]  # as cameras fill their blocks
    np.testing.assert_array_equal(padded, decode_rgb8(data)[0])


def test_an_avif_file_whose_end_was_never_written_is_no_picture():
    noise = np.random.default_rng(0).integers(0, 256, (256, 384, 3), np.uint8)
    data = file_of(Image.fromarray(noise), "AVIF", quality=90, speed=10)
    assert decode_rgb8(data + struct.pack(">I4s", 2**17, b"free") + bytes(2**17 - 8))[0].shape == noise.shape
    with pytest.raises(ImageError, match="ends in zeros: only its beginning was written"):
        decode_rgb8(data[: len(data) - 70_000] + bytes(70_000))


@pytest.mark.parametrize("file_format", ["WEBP", "AVIF"])
def test_a_file_that_lacks_a_piece_in_its_middle_is_no_picture(file_format):
    noise = np.random.default_rng(0).integers(0, 256, (384, 512, 3), np.uint8)
    data = file_of(Image.fromarray(noise), file_format, quality=90)
    middle, lost = len(data) // 3, 66_000
    assert middle + lost < len(data) - 1000
    with pytest.raises(ImageError, match="has zeros in the place of a lost piece"):
        decode_rgb8(data[:middle] + bytes(lost) + data[middle + lost :])


@pytest.mark.parametrize("piece", [bytes, lambda size: b"\xff" * size, np.random.default_rng(0).bytes])
@pytest.mark.parametrize("start", [0.02, 0.4, 0.75, 0.98])
def test_a_png_with_other_bytes_among_its_pixels_is_no_picture(start, piece):
    """Pillow checks no pixels: of the zeros at the end of an interrupted download it makes some."""
    data = file_of(Image.fromarray(photos.coffee()[:200, :300]), "PNG")
    start = int(start * len(data))
    for size in (1, len(data) - 12 - start):
        damaged = data[:start] + piece(size) + data[start + size :]
        if damaged != data:
            with pytest.raises(ImageError) as refused:
                decode_rgb8(damaged, color_managed=True)
            assert refused.value.rule == "unreadable"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("level", [0, 255])
@pytest.mark.parametrize("is_below", [False, True])
def test_a_lossless_webp_with_an_area_of_one_colour_is_whole_although_it_has_zeros(share, level, is_below):
    """As dimmagen encodes a photo with black bars, a dark corner or a white sky."""
    image = np.random.default_rng(0).integers(0, 40, (512, 512, 3), np.uint8)
    rows = round(share * len(image))
    image[slice(len(image) - rows, None) if is_below else slice(rows)] = level
    data = encode_webp(image)
    assert (bytes(1024) in data) or share > 0.1
    np.testing.assert_array_equal(decode_rgb8(data)[0], image)


def test_a_lossless_webp_whose_end_was_never_written_is_no_picture():
    data = encode_webp(np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8))
    for written in (len(data) // 2, len(data) - 140_000):
        with pytest.raises(ImageError, match="ends in zeros"):
            decode_rgb8(data[:written] + bytes(len(data) - written))


def test_a_webp_photo_with_a_white_lower_edge_is_whole_although_its_file_ends_in_zeros():
    photo = np.asarray(Image.fromarray(photos.coffee()).resize((1600, 1067)))
    noise = np.random.default_rng(0).normal(0, 8, photo.shape)
    photo = np.clip(photo + noise, 0, 255).astype(np.uint8)
    photo[-300:] = 255
    data = file_of(Image.fromarray(photo), "WEBP", quality=50)
    assert data.endswith(bytes(800))
    assert (decode_rgb8(data)[0][-200:] > 250).all()
