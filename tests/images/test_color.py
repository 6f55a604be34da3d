"""Photos in other colour spaces become sRGB; what cannot be converted is rejected by name."""

import io
import struct
import zlib
from functools import partial

import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage import data as photos

from dimmagen.images import codec, color
from dimmagen.images.codec import ImageError
from tests.images.icc_profiles import (
    ADOBE_RGB,
    DISPLAY_P3,
    PROPHOTO,
    SRGB,
    cmyk_profile,
    gray_profile,
    rgb_profile,
    with_cicp,
)


def file_of(pixels, mode="RGB", file_format="TIFF", **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, file_format, **options)
    return buffer.getvalue()


def in_srgb(pixels, primaries, gamma=2.19921875):
    """The conversion by the definitions of the spaces, in floating point."""
    linear = (pixels / 255.0) ** gamma @ primaries.T @ np.linalg.inv(SRGB).T
    linear = linear.clip(0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("primaries", [ADOBE_RGB, DISPLAY_P3, PROPHOTO], ids=["adobe", "p3", "prophoto"])
def test_an_rgb_photo_of_another_space_becomes_srgb(primaries):
    photo = photos.coffee()[100:228, 200:392]
    pixels, facts = codec.decode_rgb8(file_of(photo, icc_profile=rgb_profile(primaries)), color_managed=True)
    assert facts.transform == "icc+lossless"
    assert facts.icc_profile == "A test profile"
    expected = in_srgb(photo, primaries)
    assert np.abs(expected - photo).max() > 10  # it matters
    bright = expected.min(axis=-1) > 8  # near black, the curve of sRGB is steep
    np.testing.assert_allclose(pixels[bright], expected[bright], atol=1.5)


def by_littlecms(image, profile):
    """The conversion as Pillow's own function does it."""
    converted = ImageCms.profileToProfile(
        image,
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    return np.asarray(converted)


@pytest.mark.parametrize(
    ("mode", "profile", "transform"),
    [
        ("RGB", rgb_profile(DISPLAY_P3), "icc+lossless"),
        ("L", gray_profile(1.0), "gray+icc+lossless"),
        ("CMYK", cmyk_profile(), "cmyk+icc+lossless"),
    ],
)
def test_the_values_are_those_of_littlecms(mode, profile, transform):
    image = Image.fromarray(photos.coffee()[::4, ::4]).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, "TIFF", icc_profile=profile)
    pixels, facts = codec.decode_rgb8(buffer.getvalue(), color_managed=True)
    np.testing.assert_array_equal(pixels, by_littlecms(image, profile))
    assert facts.transform == transform
    assert np.abs(pixels.astype(int) - codec.decode_rgb8(buffer.getvalue())[0]).max() > 10


def test_gray_values_by_their_curve():
    ramp = np.arange(256, dtype=np.uint8)[None].repeat(2, axis=0)
    buffer = io.BytesIO()
    Image.fromarray(ramp).save(buffer, "PNG", icc_profile=gray_profile(1.0))
    pixels, _ = codec.decode_rgb8(buffer.getvalue(), color_managed=True)
    expected = in_srgb(np.repeat(ramp[0, :, None], 3, axis=1), SRGB, gamma=1.0)
    np.testing.assert_allclose(pixels[0, 8:], expected[8:], atol=1.5)
    assert codec.decode_rgb8(buffer.getvalue())[0][0, 128, 0] == 128
    assert pixels[0, 128, 0] == 188


def test_gray_values_in_an_rgb_space():
    ramp = np.arange(256, dtype=np.uint8)[None].repeat(2, axis=0)
    buffer = io.BytesIO()
    Image.fromarray(ramp).save(buffer, "JPEG", quality=100, icc_profile=rgb_profile(SRGB, gamma=1.0))
    pixels, facts = codec.decode_rgb8(buffer.getvalue(), color_managed=True)
    assert facts.transform == "gray+icc"
    assert pixels[0, 128].tolist() == [188, 188, 188]


@pytest.mark.parametrize(
    "profile",
    [
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        b"no profile at all" * 20,
        gray_profile(2.2),  # of another mode
        b"",
    ],
    ids=["srgb", "damaged", "gray", "none"],
)
def test_a_photo_that_is_srgb_already_keeps_its_bytes(profile):
    data = file_of(photos.coffee()[:64, :64], file_format="JPEG", icc_profile=profile)
    pixels, facts = codec.decode_rgb8(data, color_managed=True)
    assert (facts.transform, facts.extension) == ("verbatim", "jpg")
    np.testing.assert_array_equal(pixels, codec.decode_rgb8(data)[0])


def test_stored_images_are_not_converted_again():
    data = file_of(photos.coffee()[:64, :64], icc_profile=rgb_profile(PROPHOTO))
    np.testing.assert_array_equal(codec.decode_rgb8(data)[0], photos.coffee()[:64, :64])


def test_a_converted_photo_is_tagged_as_srgb_and_the_tag_does_not_depend_on_the_date():
    data = file_of(photos.coffee()[:64, :64], file_format="JPEG", icc_profile=rgb_profile(PROPHOTO))
    metadata = codec.read_metadata(data)
    assert metadata.icc_profile == color.srgb_profile()
    assert not color.needs_conversion(metadata.icc_profile, "RGB")
    assert metadata.icc_profile[24:36] == struct.pack(">6H", 2000, 1, 1, 0, 0, 0)


def png_with_cicp(primaries, transfer, is_full=1):
    data = file_of(photos.coffee()[:64, :64], file_format="PNG")
    content = bytes([primaries, transfer, 0, is_full])
    chunk = struct.pack(">I", 4) + b"cICP" + content + struct.pack(">I", zlib.crc32(b"cICP" + content))
    return data[:33] + chunk + data[33:]


@pytest.mark.parametrize(
    ("data", "rule", "words"),
    [
        (png_with_cicp(9, 16), "hdr", "PQ"),
        (png_with_cicp(9, 18), "hdr", "HLG"),
        (png_with_cicp(12, 13), "color-space", "Display P3"),
        (png_with_cicp(1, 8), "color-space", "linear light"),
        (png_with_cicp(1, 13, is_full=0), "color-space", "limited range"),
        (file_of(photos.coffee()[:64, :64], icc_profile=with_cicp(9, 16)), "hdr", "PQ"),
    ],
)
def test_what_cannot_be_converted_is_rejected_by_name(data, rule, words):
    for decode in (codec.read_facts, lambda one: codec.decode_rgb8(one, color_managed=True)):
        with pytest.raises(ImageError, match=words) as refusal:
            decode(data)
        assert refusal.value.rule == rule


def test_srgb_by_code_points_is_accepted():
    assert codec.decode_rgb8(png_with_cicp(1, 13), color_managed=True)[1].transform == "verbatim"


def with_chunks(data, **chunks):
    """A PNG file with more chunks behind its header."""
    more = b"".join(
        struct.pack(">I", len(content))
        + name.encode()
        + content
        + struct.pack(">I", zlib.crc32(name.encode() + content))
        for name, content in chunks.items()
    )
    return data[:33] + more + data[33:]


SRGB_NUMBERS = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
ADOBE_NUMBERS = struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)


@pytest.mark.parametrize(
    ("chunks", "reason"),
    [
        ({"gAMA": struct.pack(">I", 100000)}, "a gamma of 1 "),
        ({"gAMA": struct.pack(">I", 55556), "cHRM": SRGB_NUMBERS}, "a gamma of 0.55556 "),
        ({"gAMA": struct.pack(">I", 45455), "cHRM": ADOBE_NUMBERS}, "other primaries than sRGB's"),
        ({"cHRM": ADOBE_NUMBERS}, "other primaries than sRGB's"),
    ],
)
def test_a_png_whose_numbers_are_not_those_of_srgb_is_refused_by_name(chunks, reason):
    data = with_chunks(file_of(photos.coffee()[:64, :64], file_format="PNG"), **chunks)
    for read in (partial(codec.decode_rgb8, color_managed=True), codec.read_facts):
        with pytest.raises(ImageError, match=reason) as refused:
            read(data)
        assert refused.value.rule == "color-space"
    assert codec.decode_rgb8(data)[0].shape == (64, 64, 3)  # what dimmagen stores is sRGB


@pytest.mark.parametrize(
    "chunks",
    [
        {"gAMA": struct.pack(">I", 45455), "cHRM": SRGB_NUMBERS},  # as ImageMagick writes it
        {"gAMA": struct.pack(">I", 50000)},  # "0.5" of old writers
        {"gAMA": struct.pack(">I", 50994), "cHRM": SRGB_NUMBERS},  # a frame of a BT.709 clip, by FFmpeg 5
        {"sRGB": b"\0", "gAMA": struct.pack(">I", 100000)},  # sRGB takes precedence
        {"cICP": bytes([1, 13, 0, 1]), "gAMA": struct.pack(">I", 100000)},
        {"gAMA": bytes(4), "cHRM": bytes(32)},  # nonsense
    ],
)
def test_a_png_whose_numbers_say_srgb_or_nothing_keeps_its_bytes(chunks):
    data = with_chunks(file_of(photos.coffee()[:64, :64], file_format="PNG"), **chunks)
    assert codec.decode_rgb8(data, color_managed=True)[1].transform == "verbatim"


def jpeg_of_camera(photo, space, index):
    exif = Image.Exif()
    exif[0x8769] = {0xA001: space, **({0xA005: {1: index, 2: b"0100"}} if index else {})}
    return file_of(photo, file_format="JPEG", quality=95, exif=exif)


def test_adobe_rgb_is_believed_where_pillow_fails_on_what_is_not_there(monkeypatch):
    read = Image.Exif.get_ifd

    def as_in_pillow_11(exif, tag):
        if tag == 0xA005:
            raise KeyError(tag)
        return read(exif, tag)

    monkeypatch.setattr(Image.Exif, "get_ifd", as_in_pillow_11)
    data = jpeg_of_camera(photos.coffee()[:64, :64], 2, "")
    assert codec.decode_rgb8(data, color_managed=True)[1].icc_profile == "Adobe RGB, by EXIF"


@pytest.mark.parametrize(("space", "index"), [(0xFFFF, "R03"), (2, "")])
def test_a_camera_that_names_adobe_rgb_in_its_exif_data_alone_is_believed(space, index):
    photo = photos.coffee()[100:228, 200:392]
    data = jpeg_of_camera(photo, space, index)
    stored = np.asarray(Image.open(io.BytesIO(data)))
    pixels, facts = codec.decode_rgb8(data, color_managed=True)
    assert (facts.transform, facts.icc_profile) == ("icc", "Adobe RGB, by EXIF")
    expected = in_srgb(stored, ADOBE_RGB)
    bright = expected.min(axis=-1) > 8
    np.testing.assert_allclose(pixels[bright], expected[bright], atol=1.5)
    assert codec.read_metadata(data).icc_profile == color.srgb_profile()


@pytest.mark.parametrize(("space", "index"), [(1, "R98"), (1, "R03"), (0xFFFF, ""), (0xFFFF, "R98")])
def test_other_exif_data_say_srgb(space, index):
    data = jpeg_of_camera(photos.coffee()[:64, :64], space, index)
    assert codec.decode_rgb8(data, color_managed=True)[1].transform == "verbatim"
