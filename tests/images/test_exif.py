import io
import struct

import pytest
from PIL import Image
from skimage import data as photos

from dimmagen.images import codec

PHOTO = photos.coffee()[:120, :200]


def block_of(*entries):
    """A TIFF structure with entries of tag, type, number and the 4 bytes of their value."""
    packed = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3].ljust(4, b"\0") for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + bytes(4)


def file_of(file_format, exif):
    file = io.BytesIO()
    Image.fromarray(PHOTO).save(file, file_format, exif=b"Exif\0\0" + exif)
    return file.getvalue()


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("exif", [b"garbage!", b"II*\0\x08\0"])
def test_damaged_exif_data_are_no_reason_to_reject_a_photo(file_format, exif):
    data = file_of(file_format, exif)
    assert codec.decode_rgb8(data)[1].transform == "verbatim"
    assert codec.read_facts(data).shown.rotation == 0
    assert codec.read_metadata(data) == codec.Metadata()


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "entry",
    [
        (0x0128, 2, 2, b"2\0"),  # a number as text
        (0x8298, 2, 4, b"\xc3\xa9\xe9\0"),  # text that is not ASCII
        (0xC4A5, 129, 4, b"abcd"),  # of no known type
    ],
)
def test_tags_against_the_standard_keep_their_bytes(file_format, entry):
    data = file_of(file_format, block_of((0x0112, 3, 1, b"\6\0"), entry))
    metadata = codec.read_metadata(data)
    assert metadata.exif[: len(block_of(entry))] == block_of(entry)
    assert codec.decode_rgb8(data)[1].shown.rotation == 90


def test_the_preview_in_the_exif_data_is_not_linked_to():
    linked = block_of((0x0132, 2, 4, b"now\0"))[:-4] + struct.pack("<I", 26) + block_of()[8:]
    assert codec.read_metadata(file_of("JPEG", linked)).exif[: 8 + 2 + 12 + 4].endswith(bytes(4))
