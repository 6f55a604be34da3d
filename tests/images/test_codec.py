import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage import data as photos

from dimmagen.images import codec, png, png_deflate
from dimmagen.images.codec import ImageError, decode_rgb8, encode_png


@pytest.fixture(scope="module")
def photo():
    return photos.coffee()[:120, :200]


def file_of(image, file_format, **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def png_of_16_bits(samples):
    """A 16-bit RGB PNG, which Pillow cannot write."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    height, width, _ = samples.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    )


@pytest.mark.parametrize(("file_format", "extension"), [("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp")])
def test_an_upright_8_bit_rgb_image_is_kept_verbatim(photo, file_format, extension):
    pixels, facts = decode_rgb8(file_of(Image.fromarray(photo), file_format))
    assert (facts.transform, facts.extension, facts.width, facts.height) == ("verbatim", extension, 200, 120)
    assert pixels.shape == photo.shape
    assert pixels.dtype == np.uint8
    assert pixels.flags.writeable
    assert pixels.flags.c_contiguous


# The stored image for each EXIF orientation.
_STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", _STORED)
def test_an_image_of_a_rotated_camera_is_made_upright(photo, orientation):
    stored = Image.fromarray(photo).transpose(_STORED[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = file_of(stored, "PNG", exif=exif)
    assert codec.read_facts(data).width == 200
    pixels, facts = decode_rgb8(data)
    assert facts.transform == "exif"
    assert facts.extension == "png"
    assert (facts.width, facts.height) == (200, 120)
    np.testing.assert_array_equal(pixels, photo)


def test_gray_becomes_three_equal_channels(photo):
    gray = Image.fromarray(photo).convert("L")
    pixels, facts = decode_rgb8(file_of(gray, "PNG"))
    assert facts.transform == "gray"
    np.testing.assert_array_equal(pixels, np.repeat(np.asarray(gray)[..., None], 3, axis=2))


def test_cmyk_becomes_rgb_and_is_no_longer_the_original_file(photo):
    pixels, facts = decode_rgb8(file_of(Image.fromarray(photo).convert("CMYK"), "JPEG", quality=95))
    assert (facts.mode, facts.transform, facts.extension) == ("CMYK", "cmyk", "png")
    assert np.abs(pixels.astype(int) - photo).mean() < 4


def test_16_bit_gray_keeps_its_high_byte():
    samples = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    pixels, facts = decode_rgb8(file_of(Image.fromarray(samples), "PNG"))
    assert facts.transform == "16bit+gray"
    np.testing.assert_array_equal(pixels[..., 0], np.arange(256).reshape(16, 16))


def test_16_bit_colour_keeps_its_high_byte_and_is_not_taken_for_8_bit_rgb(photo):
    samples = photo.astype(np.uint16) * 256 + 99
    pixels, facts = decode_rgb8(png_of_16_bits(samples))
    assert (facts.mode, facts.transform) == ("RGB;16", "16bit")
    np.testing.assert_array_equal(pixels, photo)


def test_an_opaque_alpha_channel_is_dropped_and_a_transparent_one_refused(photo):
    image = Image.fromarray(photo).convert("RGBA")
    pixels, facts = decode_rgb8(file_of(image, "PNG"))
    assert facts.transform == "opaque"
    np.testing.assert_array_equal(pixels, photo)
    image.putpixel((3, 4), (1, 2, 3, 254))
    with pytest.raises(ImageError) as refused:
        decode_rgb8(file_of(image, "PNG"))
    assert refused.value.rule == "transparent"


def test_a_format_that_is_not_stored_is_changed_to_lossless_png(photo):
    pixels, facts = decode_rgb8(file_of(Image.fromarray(photo), "TIFF"))
    assert (facts.transform, facts.extension) == ("lossless", "png")
    np.testing.assert_array_equal(pixels, photo)


def test_animated_and_palette_images_are_refused_by_name(photo):
    frames = [Image.fromarray(photo), Image.fromarray(photo[::-1])]
    palette = Image.fromarray(photo).quantize(64)
    for rule, data in [
        ("animated", file_of(frames[0], "WEBP", save_all=True, append_images=frames[1:])),
        ("animated", file_of(frames[0], "PNG", save_all=True, append_images=frames[1:])),
        ("animated", file_of(frames[0], "GIF", save_all=True, append_images=frames[1:])),
        ("palette", file_of(palette, "PNG")),
        ("palette", file_of(palette, "GIF")),
        ("mode", file_of(Image.fromarray(photo).convert("1"), "PNG")),
        ("mode", file_of(Image.fromarray(photo[..., 0].astype(np.float32)), "TIFF")),
    ]:
        with pytest.raises(ImageError) as refused:
            decode_rgb8(data)
        assert refused.value.rule == rule


def test_an_image_of_a_phone_with_a_second_view_gives_the_photo(photo):
    second = Image.fromarray(photo[::2, ::2])
    data = file_of(Image.fromarray(photo), "MPO", save_all=True, append_images=[second])
    pixels, facts = decode_rgb8(data)
    assert (facts.format, facts.transform, facts.extension) == ("MPO", "verbatim", "jpg")
    assert pixels.shape == photo.shape


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"])
def test_a_file_cut_or_damaged_anywhere_is_refused_and_never_crashes(photo, file_format):
    whole = file_of(Image.fromarray(photo), file_format)
    generator = np.random.default_rng(0)
    for length in (0, 1, 10, 30, len(whole) // 2):
        with pytest.raises(ImageError) as refused:
            decode_rgb8(whole[:length])
        assert "\n" not in refused.value.reason
    for _ in range(200):
        damaged = np.frombuffer(whole, np.uint8).copy()
        places = generator.integers(0, min(len(damaged), 400), 4)
        damaged[places] = generator.integers(0, 256, 4)
        with contextlib.suppress(ImageError):
            pixels, _ = decode_rgb8(damaged.tobytes())
            assert pixels.dtype == np.uint8
            assert pixels.shape[2] == 3


@pytest.mark.filterwarnings("ignore::RuntimeWarning:PIL")
def test_a_decompression_bomb_is_refused_before_it_is_unpacked():
    def claim(width, height):
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        return png.PNG_SIGNATURE + png.chunk(b"IHDR", header) + png.chunk(b"IDAT", b"x")

    for width, height in ((11_000, 11_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)):
        with pytest.raises(ImageError) as refused:
            decode_rgb8(claim(width, height))
        assert refused.value.rule == "too-large"


def test_text_under_the_name_of_an_image_is_refused():
    with pytest.raises(ImageError, match="is a web page"):
        decode_rgb8(b"<html>not found</html>")


def test_png_bytes_do_not_depend_on_the_checksum_library(photo, monkeypatch):
    assert png_deflate.checksums is not zlib, "zlib-ng is a dependency: without it zlib is compared with zlib"
    fast = encode_png(photo)
    monkeypatch.setattr(png_deflate, "checksums", zlib)
    assert encode_png(photo) == fast


def test_a_png_of_a_dark_image_is_smaller_than_pillows(photo):
    dark = (photo // 12) + np.random.default_rng(0).integers(0, 5, photo.shape, dtype=np.uint8)
    assert len(encode_png(dark)) < len(file_of(Image.fromarray(dark), "PNG"))


def test_other_decoders_read_our_png_back_exactly(photo):
    cv2 = pytest.importorskip("cv2")
    decoded = cv2.imdecode(np.frombuffer(encode_png(photo), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(decoded[..., ::-1], photo)


def test_pillow_reads_our_png_back_exactly(photo):
    for image in (photo, photo[:1], photo[:, :1], photo[::-1, ::2]):
        decoded = np.asarray(Image.open(io.BytesIO(encode_png(image))))
        np.testing.assert_array_equal(decoded, image)


def test_encode_png_accepts_only_8_bit_rgb(photo):
    for wrong in (photo[..., 0], photo.astype(np.float32), photo[:0]):
        with pytest.raises(ValueError, match="uint8"):
            encode_png(wrong)


def test_the_pixel_hash_is_the_same_for_every_file_format_and_memory_layout(photo):
    from_png, _ = decode_rgb8(encode_png(photo))
    bmp, _ = decode_rgb8(file_of(Image.fromarray(photo), "BMP"))
    reversed_twice = photo[::-1].copy()[::-1]
    assert codec.pixel_sha256(from_png) == codec.pixel_sha256(bmp) == codec.pixel_sha256(reversed_twice)
    assert codec.pixel_sha256(photo) != codec.pixel_sha256(photo[::-1])


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_metadata_are_kept_and_the_orientation_that_was_applied_is_not(photo, file_format):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112], exif[0x0132] = 6, "2024:01:02 03:04:05"
    exif.get_ifd(0x8769)[0x829A] = 0.25  # exposure time
    file = io.BytesIO()
    Image.fromarray(photo).save(file, file_format, icc_profile=profile, exif=exif)
    data = file.getvalue()
    pixels, _ = codec.decode_rgb8(data)
    written = codec.encode_png(pixels, codec.read_metadata(data))
    with Image.open(io.BytesIO(written)) as image:
        image.load()
        assert image.info["icc_profile"] == profile
        assert dict(image.getexif()) == {0x0132: "2024:01:02 03:04:05", 0x8769: image.getexif()[0x8769]}
        assert image.getexif().get_ifd(0x8769) == {0x829A: 0.25}
        np.testing.assert_array_equal(np.array(image), pixels)


def test_the_tags_of_tiff_are_left_out(photo):
    assert codec.read_metadata(file_of(Image.fromarray(photo), "TIFF")) == codec.Metadata()
    assert codec.encode_png(photo, codec.Metadata()) == codec.encode_png(photo)


def gray_tiff(pixels, photometric, sample_format=1):
    """An uncompressed TIFF file of gray pixels of 8 or 16 bits, (H, W), as TIFF 6.0 defines it."""
    height, width = pixels.shape
    data = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    bits, length = 8 * pixels.itemsize, len(data)
    shorts = {258: bits, 259: 1, 262: photometric, 277: 1, 339: sample_format}
    tags = {256: width, 257: height, **shorts, 273: 8, 278: height, 279: length}
    entries = b"".join(
        struct.pack(
            "<HHIHH" if tag in shorts else "<HHII",
            tag,
            3 if tag in shorts else 4,
            1,
            value,
            *([0] * (tag in shorts)),
        )
        for tag, value in sorted(tags.items())
    )
    return b"II*\0" + struct.pack("<I", 8 + length) + data + struct.pack("<H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize(("depth", "high"), [(np.uint8, 1), (np.uint16, 257)])
def test_a_gray_tiff_in_which_0_is_white_is_no_negative(photo, depth, high):
    gray = photo[..., 0]
    for photometric, stored in ((1, gray), (0, 255 - gray)):
        pixels, _ = decode_rgb8(gray_tiff(stored.astype(depth) * depth(high), photometric))
        np.testing.assert_array_equal(pixels, np.repeat(gray[..., None], 3, axis=2))


def test_a_tiff_of_signed_samples_is_no_photo(photo):
    """Heights and other measurements: of 8 bits, -1 is 255 for Pillow, and 0 is black."""
    signed = (photo[..., 0].astype(int) - 128).astype(np.int8)
    for decode in (decode_rgb8, codec.read_facts):
        with pytest.raises(ImageError, match="has signed samples") as refused:
            decode(gray_tiff(signed, 1, sample_format=2))
        assert refused.value.rule == "mode"


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_header_gives_the_size_of_the_upright_image_in_every_format(photo, file_format):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = file_of(Image.fromarray(photo), file_format, exif=exif)
    pixels, facts = decode_rgb8(data)
    header = codec.read_facts(data)
    assert (header.height, header.width) == (facts.height, facts.width) == pixels.shape[:2]
    assert facts.height == photo.shape[1]
    assert facts.shown.rotation == 90
    assert facts.transform.startswith("exif")


def test_a_gray_tiff_of_12_bits_is_not_black(photo):
    """Cameras of laboratories write them, and Pillow gives 0 to 4095 as if it were 0 to 65535."""
    twelve = photo[..., 0].astype(np.uint16) * 16 + 5
    first, second = twelve.reshape(-1, 2).T
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=1)
    data = packed.astype(np.uint8).tobytes()
    height, width = twelve.shape
    tags = (
        *((256, width), (257, height), (258, 12), (259, 1), (262, 1)),
        *((273, 8), (277, 1), (278, height), (279, len(data))),
    )
    directory = struct.pack("<H", len(tags)) + b"".join(
        struct.pack("<HHII", tag, 4, 1, one) for tag, one in tags
    )
    pixels, facts = decode_rgb8(b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory + bytes(4))
    np.testing.assert_array_equal(pixels, np.repeat(photo[..., :1], 3, axis=-1))
    assert facts.transform == "12bit+gray+lossless"


def test_colour_of_16_bits_in_a_ppm_file_keeps_its_high_byte(photo):
    """Pillow rounds it, to other values than those of the same photo as PNG or TIFF."""
    height, width, _ = photo.shape
    samples = photo.astype(">u2") << 8 | 0xF0
    file = b"P6 # by a RAW developer\n%d %d\n65535\n" % (width, height) + samples.astype(">u2").tobytes()
    pixels, facts = decode_rgb8(file)
    np.testing.assert_array_equal(pixels, photo)
    assert (facts.mode, facts.transform, facts.extension) == ("RGB;16", "16bit+lossless", "png")
    assert codec.read_facts(file).mode == "RGB;16"
    with pytest.raises(ImageError, match="cannot be decoded"):
        decode_rgb8(file[:-1])


@pytest.mark.parametrize("highest", [65535, 1023])
def test_gray_of_more_than_8_bits_in_a_ppm_file_keeps_its_high_byte(photo, highest):
    gray = photo[..., 0].astype(np.uint32)
    header = b"P5 %d %d %d " % (gray.shape[1], gray.shape[0], highest)
    pixels, facts = decode_rgb8(header + (gray * highest // 255).astype(">u2").tobytes())
    assert np.abs(pixels.astype(int) - gray[..., None]).max() <= (0 if highest == 65535 else 1)
    assert facts.transform == "16bit+gray+lossless"


@pytest.mark.parametrize(("tag", "turned"), [(None, False), (1, False), (6, True)])
def test_an_avif_photo_is_turned_by_its_own_properties_and_not_by_old_xmp_data(photo, tag, turned):
    """A converter that turns the pixels and keeps the XMP data of the camera leaves them behind."""
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="8"/></rdf:RDF></x:xmpmeta>'
    )
    exif = Image.Exif()
    if tag:
        exif[0x0112] = tag  # which Pillow stores as the file's own property
    data = file_of(Image.fromarray(photo), "AVIF", exif=exif, xmp=xmp, quality=100, subsampling="4:4:4")
    expected = np.rot90(photo, -1) if turned else photo
    pixels, facts = decode_rgb8(data)
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).mean() < 2
    assert facts.shown.rotation == (90 if turned else 0)
    assert codec.read_facts(data).width == expected.shape[1]


def test_the_lightness_of_a_strip_is_that_of_its_pixels():
    """Of a white row so long, the sum does not fit into 32 bits."""
    assert codec.lightness(np.full((1, 6_000_000, 3), 255, np.uint8)) == 1.0
