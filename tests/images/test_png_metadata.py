import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps
from skimage import data as photos

from dimmagen.images import codec
from dimmagen.images.png_metadata import is_refused_by_pillow, metadata_first
from tests.images.icc_profiles import PROPHOTO, rgb_profile

PHOTO = photos.coffee()[:120, :200]
XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def exif_block():
    exif = Image.Exif()
    exif[0x0112], exif[0x0132] = 6, "2024:01:02 03:04:05"
    return exif.tobytes().removeprefix(b"Exif\0\0")


def as_text(block):
    digits = (b"Exif\0\0" + block).hex()
    return f"\nexif\n{len(block) + 6:8}\n{digits}\n".encode()


CHUNKS = {
    "exif": chunk(b"eXIf", exif_block()),
    "text": chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(as_text(exif_block()))),
    "xmp": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
}


def png():
    file = io.BytesIO()
    Image.fromarray(PHOTO).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("kind", CHUNKS)
def test_an_orientation_behind_the_pixels_counts(kind):
    """As ImageMagick writes a phone's photo."""
    early, late = (png()[:place] + CHUNKS[kind] + png()[place:] for place in (33, -12))
    pixels, facts = codec.decode_rgb8(late)
    with Image.open(io.BytesIO(late)) as image:
        np.testing.assert_array_equal(pixels, np.array(ImageOps.exif_transpose(image)))
    assert (facts.width, facts.height, facts.shown.rotation, facts.transform) == (120, 200, 90, "exif")
    assert codec.read_facts(late).shown.rotation == 90
    assert codec.read_orientation(late) == codec.read_orientation(early)
    assert codec.read_metadata(late) == codec.read_metadata(early)


def test_the_date_behind_the_pixels_is_kept_other_chunks_stay_and_other_text_goes():
    time, comment = chunk(b"tIME", b"\x07\xe8\1\2\3\4\5"), chunk(b"tEXt", b"Comment\0eXIf")
    late = png()[:-12] + time + comment + CHUNKS["exif"] + png()[-12:]
    moved = metadata_first(late)
    assert moved == png()[:33] + CHUNKS["exif"] + png()[33:-12] + time + png()[-12:]
    assert b"2024:01:02" in codec.read_metadata(late).exif


@pytest.mark.parametrize("data", [png(), png()[:-12] + CHUNKS["exif"][:-20], b"eXIf", CHUNKS["exif"]])
def test_a_file_without_such_data_is_as_it_was(data):
    assert metadata_first(data) == data


MEBIBYTE = 2**20
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def packed(kind, beginning, size):
    return chunk(kind, beginning + zlib.compress(b"a" * size))


LARGE = {
    "text": packed(b"zTXt", b"Comment\0\0", MEBIBYTE + 1),
    "international": packed(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0", MEBIBYTE + 1),
    "profile": chunk(b"iCCP", b"icc\0\0" + zlib.compress(SRGB.ljust(3 * MEBIBYTE, b"\0"))),
    "texts": b"".join(chunk(b"tEXt", b"%d\0" % at + bytes(MEBIBYTE)) for at in range(65)),
}


@pytest.mark.parametrize(
    ("kind", "place"),
    [(kind, place) for kind in LARGE for place in (33, -12) if (kind, place) != ("profile", -12)],
)
def test_a_photo_that_pillow_refuses_for_its_text_or_profile_is_read_and_stored_without_it(kind, place):
    """Workflows, XMP data and scanners' profiles of megabytes: python-pillow/Pillow#2445, #5610, #8363."""
    data = png()[:place] + LARGE[kind] + png()[place:]
    with pytest.raises(ValueError, match=r"too large|Too much"), Image.open(io.BytesIO(data)) as image:
        image.load()
    pixels, facts = codec.decode_rgb8(data, color_managed=True)
    np.testing.assert_array_equal(pixels, PHOTO)
    assert (facts.transform, facts.extension) == ("lossless", "png")
    assert codec.read_orientation(data) == codec.read_orientation(png())


def test_the_large_profile_of_another_space_counts():
    data = png()[:33] + chunk(
        b"iCCP", b"icc\0\0" + zlib.compress(rgb_profile(PROPHOTO).ljust(3 * MEBIBYTE, b"\0"))
    )
    pixels, facts = codec.decode_rgb8(data + png()[33:], color_managed=True)
    assert facts.transform == "icc+lossless"
    assert np.abs(pixels.astype(int) - PHOTO).max() > 5


def with_wrong_checksum(one):
    return one[:-1] + bytes([one[-1] ^ 1])


@pytest.mark.parametrize(
    "damaged",
    [
        *(chunk(kind, b"") for kind in (b"pHYs", b"sRGB", b"gAMA", b"cHRM", b"iCCP", b"tRNS")),
        chunk(b"iCCP", b"icc\0\1\0\0" + zlib.compress(SRGB)),
        with_wrong_checksum(chunk(b"tIME", b"\x07\xe8\1\2\3\4\5")),
        with_wrong_checksum(chunk(b"iCCP", b"icc\0\0" + zlib.compress(SRGB))),
        with_wrong_checksum(CHUNKS["exif"]),
    ],
)
@pytest.mark.parametrize("place", [33, -12])
def test_a_damaged_chunk_beside_the_pixels_is_ignored_as_by_viewers(damaged, place):
    data = png()[:place] + damaged + png()[place:]
    pixels, facts = codec.decode_rgb8(data, color_managed=True)
    np.testing.assert_array_equal(pixels, PHOTO)
    assert (facts.transform, facts.extension) == ("lossless", "png")  # other readers would refuse it


def test_of_several_profiles_one_is_unpacked():
    one, other = (chunk(b"iCCP", b"icc\0\0" + zlib.compress(profile)) for profile in (SRGB, bytes(10)))
    assert metadata_first(png()[:33] + one + other * 2 + png()[33:]) == png()[:33] + one + png()[33:]


@pytest.mark.parametrize(
    ("kind", "is_refused"),
    [
        (packed(b"zTXt", b"Comment\0\0", MEBIBYTE), False),
        (packed(b"zTXt", b"Comment\0\0", MEBIBYTE + 1), True),
        (packed(b"iTXt", b"Comment\0\1\0de\0Notiz\0", MEBIBYTE + 1), True),
        (chunk(b"iTXt", b"Comment\0\0\0\0\0" + b"a" * 2 * MEBIBYTE), False),
        (chunk(b"tEXt", b"Comment\0" + b"a" * 2 * MEBIBYTE), False),
        (chunk(b"zTXt", b"Comment\0\0no zlib"), False),
        (chunk(b"iTXt", b"Comment"), False),
        (chunk(b"zTXt", b""), False),
        (chunk(b"pHYs", bytes(9)), False),
    ],
)
def test_a_photo_keeps_its_bytes_where_pillow_reads_them(kind, is_refused):
    data = png()[:33] + kind + png()[33:]
    assert is_refused_by_pillow(data) == is_refused
    assert codec.decode_rgb8(data)[1].transform == ("lossless" if is_refused else "verbatim")
