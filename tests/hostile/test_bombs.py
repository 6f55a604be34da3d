"""Images that are small as files but huge, or of extreme shape, when decoded."""

import io
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from dimmagen.images import codec, eight_bits, excess, png
from dimmagen.images.codec import ImageError, decode_rgb8
from dimmagen.images.excess import excess_of
from dimmagen.sources import SOURCES

GIB = 2**30
ROOT = Path(__file__).resolve().parents[2]

# Both run in separate processes, since the peak memory of a process is measured.
MAKE = """
import sys
from PIL import Image

kind, side, path = sys.argv[1:]
exif = Image.Exif()
exif[0x0112] = 6
Image.new("RGB", (int(side), int(side) - 10)).save(path, kind, exif=exif, lossless=True, compress_level=1)
"""
DECODE = """
import sys
from dimmagen.images.codec import ImageError, decode_rgb8
from dimmagen.images.excess import excess_of
from dimmagen.core.memory import peak_memory

try:
    pixels, facts = decode_rgb8(open(sys.argv[1], "rb").read())
    print(facts.transform, *pixels.shape)
except ImageError as error:
    print(error.rule)
print(peak_memory())
"""


def decoded(path):
    """The result of decoding a file, and the peak memory in bytes."""
    run = subprocess.run([sys.executable, "-c", DECODE, str(path)], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    result, memory = run.stdout.splitlines()
    return result, int(memory)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "side"), [("PNG", 10_900), ("WEBP", 7_000)])
def test_the_largest_image_is_turned_upright_in_less_than_a_gibibyte(kind, side, tmp_path):
    path = tmp_path / "large"
    subprocess.run([sys.executable, "-c", MAKE, kind, str(side), str(path)], check=True)
    assert path.stat().st_size < 2_000_000
    result, memory = decoded(path)
    assert result == f"exif {side} {side - 10} 3"
    assert memory < GIB


def test_a_large_image_is_copied_in_bands_without_a_seam(monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (67, 50, 3), dtype=np.uint8)
    monkeypatch.setattr(eight_bits, "_COPIED_PIXELS", 320)
    np.testing.assert_array_equal(decode_rgb8(codec.encode_png(pixels))[0], pixels)


def with_chunk(kind, content):
    """A valid PNG with an additional chunk after its header."""
    data = codec.encode_png(np.zeros((300, 300, 3), np.uint8))
    return data[:33] + png.chunk(kind, content) + data[33:]


@pytest.mark.parametrize(
    ("kind", "start"),
    [
        *[(b"iCCP", b"a\0\0"), (b"zTXt", b"Raw profile type exif\0\0")],
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0"),
    ],
)
def test_a_bomb_in_the_metadata_is_not_unpacked(kind, start):
    content = start + zlib.compress(bytes(100_000_000))
    with pytest.raises(ImageError, match="Decompressed data too large"):
        decode_rgb8(with_chunk(kind, content))


@pytest.mark.parametrize(("kind", "start"), [(b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0")])
def test_a_bomb_in_text_that_is_not_needed_is_not_unpacked_either(kind, start, tmp_path):
    content = start + zlib.compress(bytes(400_000_000))
    (tmp_path / "bomb").write_bytes(with_chunk(kind, content))
    result, memory = decoded(tmp_path / "bomb")
    assert result == "lossless 300 300 3"
    assert memory < 200_000_000


def test_more_data_than_the_image_has_is_not_unpacked(tmp_path):
    """The rows of 300x300 pixels, followed by 400 megabytes of zeros."""
    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(bytes(1_000_000)) for _ in range(400)) + packer.flush()
    valid = codec.encode_png(np.zeros((300, 300, 3), np.uint8))
    (tmp_path / "bomb").write_bytes(valid[:33] + png.chunk(b"IDAT", rows) + valid[-12:])
    result, memory = decoded(tmp_path / "bomb")
    assert result in ("verbatim 300 300 3", "unreadable")
    assert memory < 200_000_000


@pytest.mark.parametrize("size", [(1, 1), (60_000, 1), (1, 60_000), (60_000, 63)])
@pytest.mark.parametrize("source", [name for name in SOURCES if name != "inter4k"])
def test_an_image_of_extreme_shape_is_a_row_with_its_size_as_the_reason(source, size):
    width, height = size
    (examined,) = SOURCES[source].examine(codec.encode_png(np.zeros((height, width, 3), np.uint8)))
    assert not examined.verdict.accepted
    assert f"{width}x{height}" in examined.verdict.reason


def test_a_long_strip_that_the_rules_accept_keeps_its_size_or_is_cropped():
    strip = codec.encode_png(np.zeros((512, 60_000, 3), np.uint8))
    assert SOURCES["folder"].examine(strip)[0].pixels.shape == (512, 60_000, 3)
    assert SOURCES["clic"].examine(strip)[0].pixels.shape == (512, 512, 3)


def test_frames_of_a_file_that_holds_hundreds_are_counted_and_not_decoded():
    frames = [Image.new("L", (300, 300), index % 256) for index in range(300)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError) as refused:
        decode_rgb8(buffer.getvalue())
    assert refused.value.rule == "animated"


def test_the_limit_for_webp_is_lower_since_decoding_takes_more_memory(monkeypatch):
    monkeypatch.setattr(codec, "_MAX_MODERN_PIXELS", 400)
    files = {}
    for kind in ("WEBP", "PNG"):
        buffer = io.BytesIO()
        Image.new("RGB", (20, 21)).save(buffer, kind)
        files[kind] = buffer.getvalue()
    assert decode_rgb8(files["PNG"])[0].shape == (21, 20, 3)
    with pytest.raises(ImageError, match="20x21 is more than 400 pixels"):
        decode_rgb8(files["WEBP"])


def jpeg(**options):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)).save(
        buffer, "JPEG", **options
    )
    return buffer.getvalue()


def gif(extension):
    buffer = io.BytesIO()
    Image.new("L", (300, 300)).save(buffer, "GIF")
    data = buffer.getvalue()
    place = 13 + 3 * 2 ** ((data[10] & 7) + 1)
    return data[:place] + extension + data[place:]


def tiff(entries, rest=b""):
    """A little-endian TIFF of one directory with the entries (tag, type, count, value)."""
    directory = b"".join(struct.pack("<HHLL", *entry) for entry in sorted(entries))
    return b"II*\0" + struct.pack("<LH", 8, len(entries)) + directory + bytes(4) + rest


def tile_larger_than_its_picture(side=12_000):
    packed = zlib.compress(bytes(side * side), 1)
    start = 14 + 12 * 9
    entries = [(256, 4, 1, 300), (257, 4, 1, 300), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1)]
    tiles = [(322, 4, 1, side), (323, 4, 1, side), (324, 4, 1, start), (325, 4, 1, len(packed))]
    return tiff([*entries, *tiles], packed)


def many_scans():
    """A progressive JPEG whose last scan is repeated."""
    data = jpeg(progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * 2000 + data[-2:]


def chunk(kind):
    return png.chunk(kind, b"")


BOMBS = {
    "has more than 4096 segments": lambda: jpeg()[:2] + b"\xff\xfe\0\2" * 500_000 + jpeg()[2:],
    "bytes between its segments": lambda: jpeg()[:2] + b"\xff" * 1_000_000 + jpeg()[2:],
    "bytes between its segment": lambda: jpeg()[:20] + b"\x11" * 1_000_000 + jpeg()[20:],
    "has more than 256 scans": many_scans,
    "has more than 10000 blocks": lambda: gif(b"!\xfe" + b"\1x" * 20_000 + b"\0"),
    "chunks before its picture": lambda: with_chunk(b"abCd", b"")[:45] + chunk(b"abCd") * 100_000,
    "has more than 10000 chunks": lambda: with_chunk(b"abCd", b"")[:-12] + chunk(b"IDAT") * 20_000,
    "larger than the picture": tile_larger_than_its_picture,
    "has more than 1048576 strips": lambda: tiff(
        [(256, 4, 1, 300), (257, 4, 1, 300), (273, 4, 2_000_000, 100)], bytes(8_000_100)
    ),
    "has a header of more than": lambda: b"P6\n#" + b"x" * 1_000_000 + b"\n300 300\n255\n" + bytes(270_000),
    "bytes of pixels as text": lambda: b"P3\n2000 2000\n255\n" + b"9 " * 5_000_000,
}


@pytest.mark.parametrize("reason", BOMBS)
def test_a_small_file_that_would_take_minutes_or_gigabytes_is_refused_by_its_structure(reason, monkeypatch):
    monkeypatch.setattr(excess, "_MAX_BLOCKS", 10_000)
    data = BOMBS[reason]()
    tracemalloc.start()
    with pytest.raises(ImageError, match=reason) as refused:
        decode_rgb8(data)
    assert refused.value.rule == "too-large"
    assert tracemalloc.get_traced_memory()[1] < 2_000_000, "it was not read"
    tracemalloc.stop()


def test_a_tiff_of_many_pictures_is_refused_without_counting_them(monkeypatch):
    read, seek = [], TiffImagePlugin.TiffImageFile._seek
    monkeypatch.setattr(
        TiffImagePlugin.TiffImageFile, "_seek", lambda image, frame: read.append(frame) or seek(image, frame)
    )
    directory = tiff([(256, 4, 1, 10), (257, 4, 1, 10), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 8)])[8:-4]
    chain = b"".join(
        directory + struct.pack("<L", 8 + (number + 1) * (len(directory) + 4)) for number in range(500)
    )
    with pytest.raises(ImageError, match="holds more than one picture") as refused:
        decode_rgb8(b"II*\0" + struct.pack("<L", 8) + chain[:-4] + bytes(4))
    assert refused.value.rule == "animated"
    assert len(read) < 5


@pytest.mark.parametrize(
    "data",
    [
        jpeg(progressive=True),
        jpeg(comment=b"x" * 60_000),
        jpeg()[:2] + b"\xff" * 3 + jpeg()[2:],
        gif(b"!\xfe" + b"\1x" * 100 + b"\0"),
    ],
)
def test_structures_of_photos_are_read(data):
    assert excess_of(data) == ""
    codec.read_facts(data)
