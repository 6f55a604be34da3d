import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import data as photos

from dimmagen.images import codec

PHOTO = photos.coffee()[:120, :200]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "0 bytes"),
        (bytes(5000), "zeros"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        (b"7z\xbc\xaf\x27\x1c", "7z archive: unpack it first"),
        (b"\n<!DOCTYPE html><html>404</html>", "web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "message of a server"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"\xff\x0a" + bytes(range(200)), "JPEG XL"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "RAW"),
        (b"\0\0\0\x18ftypmp42\0\0\0\1mp42isom", "clip"),
        (b"text", "not an image of a known kind"),
    ],
)
def test_what_is_no_picture_says_what_it_is(data, words):
    with pytest.raises(codec.ImageError, match=words) as caught:
        codec.decode_rgb8(data)
    assert caught.value.rule == "unreadable"


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_of_12_bits_says_so(progressive):
    stream = io.BytesIO()
    Image.fromarray(PHOTO).save(stream, "JPEG", progressive=progressive, comment=b"long " * 9000)
    data = bytearray(stream.getvalue())
    frame = data.index(b"\xff\xc2\0\x11\x08" if progressive else b"\xff\xc0\0\x11\x08")
    data[frame + 4] = 12
    with pytest.raises(codec.ImageError, match="is a JPEG of 12 bits per sample: convert it to 8 bits first"):
        codec.decode_rgb8(bytes(data))
    with pytest.raises(codec.ImageError, match="not an image of a known kind"):
        codec.decode_rgb8(b"\xff\xd8" + bytes(data[4 : frame // 2]))  # without a frame


def raw(subfile, tags=()):
    """A TIFF file as RAW files are: the first picture is a preview, and the sensor's is linked to it."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(
            PHOTO[::2, ::2].copy(), photometric="rgb", subfiletype=subfile, subifds=1, extratags=tags
        )
        writer.write(PHOTO[..., 0].astype(np.uint16), photometric="minisblack", subfiletype=0)
    return file.getvalue()


@pytest.mark.parametrize("data", [raw(1), raw(0, [(50706, 1, 4, b"\1\4\0\0", True)])])
def test_the_preview_of_a_raw_file_is_not_taken_for_the_photo(data):
    for read in (codec.decode_rgb8, codec.read_facts):
        with pytest.raises(codec.ImageError, match="develop it") as caught:
            read(data)
        assert caught.value.rule == "format"


def test_a_tiff_whose_preview_comes_second_is_the_photo():
    assert codec.decode_rgb8(raw(0))[0].shape == (60, 100, 3)


def test_a_tiff_of_16_bit_colour_is_recorded_as_such():
    file = io.BytesIO()
    tifffile.imwrite(file, PHOTO.astype(np.uint16) * 256 + 255, photometric="rgb")
    pixels, facts = codec.decode_rgb8(file.getvalue())
    assert (facts.mode, facts.transform) == ("RGB;16", "16bit+lossless")
    np.testing.assert_array_equal(pixels, PHOTO)


def planes_of_16_bits(compression):
    file = io.BytesIO()
    planes = np.ascontiguousarray(np.moveaxis(PHOTO.astype(np.uint16) * 257, 2, 0))
    tifffile.imwrite(file, planes, photometric="rgb", planarconfig="separate", compression=compression)
    return file.getvalue()


def test_a_tiff_of_16_bit_planes_is_read_right_or_refused():
    """Pillow takes the low bytes for pixels where the planes are not compressed."""
    np.testing.assert_array_equal(codec.decode_rgb8(planes_of_16_bits("zlib"))[0], PHOTO)
    with pytest.raises(codec.ImageError, match="channels apart"):
        codec.decode_rgb8(planes_of_16_bits(None))


@pytest.mark.parametrize(
    "options",
    [
        {"rowsperstrip": 16},
        {"rowsperstrip": 60},
        {"tile": (16, 16)},
        {"rowsperstrip": 16, "planarconfig": "separate"},
    ],
)
def test_a_tiff_with_too_few_strips_or_tiles_for_its_pixels_is_no_picture(options):
    """Pillow leaves the pixels of the others black, or takes those of another channel."""
    file = io.BytesIO()
    is_apart = "planarconfig" in options
    pixels = np.moveaxis(PHOTO, 2, 0) if is_apart else PHOTO
    tifffile.imwrite(file, pixels, photometric="rgb", **options)
    whole = file.getvalue()
    np.testing.assert_array_equal(codec.decode_rgb8(whole)[0], PHOTO)
    height = struct.pack("<HHII", 257, 4, 1, len(PHOTO))
    assert whole.count(height) == 1
    with pytest.raises(codec.ImageError, match="fewer strips or tiles than its pixels need") as refused:
        codec.decode_rgb8(whole.replace(height, struct.pack("<HHII", 257, 4, 1, 250)))
    assert refused.value.rule == "unreadable"


@pytest.mark.parametrize("hidden", [1, 257 * int(PHOTO[0, 0, 0])])
def test_16_bit_gray_with_a_transparent_value_is_not_clipped(hidden):
    gray = PHOTO[..., 0]
    file = io.BytesIO()
    Image.fromarray(gray.astype(np.uint16) * 257).save(file, "PNG", transparency=hidden)
    if hidden == 1:
        np.testing.assert_array_equal(codec.decode_rgb8(file.getvalue())[0], np.dstack([gray] * 3))
    else:
        with pytest.raises(codec.ImageError, match="transparent"):
            codec.decode_rgb8(file.getvalue())
