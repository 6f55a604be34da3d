import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps
from skimage import data as photos

from dimmagen.images import codec
from dimmagen.images.png_metadata import metadata_first

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


def test_the_date_behind_the_pixels_is_kept_and_other_chunks_stay():
    comment = chunk(b"tEXt", b"Comment\0eXIf")
    late = png()[:-12] + comment + CHUNKS["exif"] + png()[-12:]
    moved = metadata_first(late)
    assert moved == png()[:33] + CHUNKS["exif"] + png()[33:-12] + comment + png()[-12:]
    assert b"2024:01:02" in codec.read_metadata(late).exif


@pytest.mark.parametrize("data", [png(), png()[:-12] + CHUNKS["exif"][:-20], b"eXIf", CHUNKS["exif"]])
def test_a_file_without_such_data_is_as_it_was(data):
    assert metadata_first(data) == data
