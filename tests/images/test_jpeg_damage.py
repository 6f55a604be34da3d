import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image
from skimage import data as photos

from dimmagen.images.codec import ImageError, decode_rgb8
from dimmagen.images.jpeg_damage import state_of
from dimmagen.sources.folder import Folder

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


KINDS = [
    {},
    {"optimize": True, "subsampling": 2},
    {"progressive": True},
    {"progressive": True, "subsampling": 0, "restart_marker_blocks": 3},
    {"restart_marker_rows": 1},
]


def shown(data):
    """As libjpeg shows a file that may have no end."""
    return np.asarray(Image.open(io.BytesIO(data + b"\xff\xd9")).convert("RGB"))


@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_photo_that_lacks_only_its_end_marker_has_the_pixels_of_the_whole_one(options, mode):
    data = io.BytesIO()
    photo = Image.fromarray(photos.coffee()).convert(mode)
    photo.save(data, "JPEG", **{key: value for key, value in options.items() if key != "subsampling"})
    whole = data.getvalue()
    for end in (b"", b"\xff", bytes(9), bytes(SECTORS), b"\xff" * SECTORS):
        pixels, facts = decode_rgb8(whole[:-2] + end, color_managed=True)
        np.testing.assert_array_equal(pixels, decode_rgb8(whole)[0])
        assert facts.transform == {"RGB": "eoi", "L": "gray", "CMYK": "cmyk"}[mode]
        assert facts.extension == ("jpg" if mode == "RGB" else "png")


def test_a_source_makes_the_light_image_of_such_a_photo_again():
    unended = jpeg()[:-2]
    (examined,) = Folder().examine(unended)
    assert examined.verdict.accepted
    np.testing.assert_array_equal(Folder().light(unended, ""), shown(unended))
    np.testing.assert_array_equal(examined.pixels, shown(unended))


@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
@pytest.mark.parametrize("end", [b"", b"\xff\xd9", bytes(9) + b"\xff\xd9"])
def test_a_cut_photo_is_unreadable_even_if_somebody_ended_it(options, share, end):
    """Pillow shows one that was ended with a gray lower part, without an error."""
    whole = jpeg(**options)
    with pytest.raises(ImageError) as refused:
        decode_rgb8(whole[: int(share * len(whole))] + end, color_managed=True)
    assert refused.value.rule == "unreadable"


@pytest.mark.parametrize("options", KINDS)
def test_a_photo_that_lost_some_of_its_bytes_is_unreadable(options):
    whole = jpeg(**options)
    for place in (0.3, 0.5, 0.7):
        start = int(place * len(whole))
        with pytest.raises(ImageError, match="is damaged"):
            decode_rgb8(whole[:start] + whole[start + 2 * SECTORS :], color_managed=True)


def test_a_progressive_photo_that_lacks_scans_and_its_end_is_unreadable():
    whole = jpeg(progressive=True)
    before_last = whole[: whole.rindex(b"\xff\xc4")]  # the table of the last scan
    with pytest.raises(ImageError):
        decode_rgb8(before_last, color_managed=True)


def test_a_progressive_photo_that_lost_a_whole_scan_is_unreadable():
    """The others are whole, and Pillow shows gray, or coarse pixels, without an error."""
    whole = jpeg(progressive=True)
    places = [place for place in range(len(whole)) if whole.startswith((b"\xff\xc4", b"\xff\xda"), place)]
    scans = [place for place in places if whole[place + 1] == 0xDA]
    assert len(scans) == 10
    assert state_of(whole) == ("", False)
    for scan in (0, 1, 3, 5):  # the means, a first pass over details, and one of those that refine them
        lost = whole[: scans[scan]] + whole[min(place for place in places if place > scans[scan]) :]
        with pytest.raises(ImageError, match="is damaged"):
            decode_rgb8(lost, color_managed=True)


def in_three_scans(pixels):
    """A JPEG that has a scan for each channel, of three gray ones."""
    channels = [jpeg(np.asarray(one)) for one in Image.fromarray(pixels).convert("YCbCr").split()]
    size = channels[0][channels[0].index(b"\xff\xc0") + 5 :][:4]
    tables = channels[0][: channels[0].index(b"\xff\xc0")]
    codes = channels[0][channels[0].index(b"\xff\xc4") : channels[0].index(b"\xff\xda")]
    frame = b"\xff\xc0\0\x11\x08" + size + b"\x03" + bytes([1, 17, 0, 2, 17, 0, 3, 17, 0])
    scans = [
        b"\xff\xda\0\x08\x01" + bytes([number, 0, 0, 63, 0]) + one[one.index(b"\xff\xda") + 10 : -2]
        for number, one in enumerate(channels, 1)
    ]
    return [tables + frame + codes, *scans]


def test_a_photo_with_a_scan_for_each_channel_has_all_three():
    beginning, *scans = in_three_scans(photos.coffee())
    whole = beginning + b"".join(scans)
    assert np.abs(shown(whole).astype(int) - photos.coffee()).mean() < 3
    assert state_of(whole + b"\xff\xd9") == ("", False)
    assert state_of(whole) == ("", True)
    for end in (b"", b"\xff\xd9"):
        for cut in (beginning + scans[0] + scans[1], whole[:-2000]):
            assert "end before the picture does" in state_of(cut + end).damage


def test_wherever_the_end_of_a_small_photo_is_lost_it_has_its_pixels_or_is_refused():
    random, kept = np.random.default_rng(0), 0
    for number in range(60):
        height, width = random.integers(1, 70, 2)
        mode, options = (
            ("RGB", "L", "CMYK")[number % 3],
            {"restart_marker_blocks": int(random.integers(0, 4))},
        )
        if mode == "RGB":
            options["subsampling"] = int(random.integers(0, 3))
        buffer = io.BytesIO()
        photo = Image.fromarray(photos.coffee()[:height, 200 : 200 + width]).convert(mode)
        options |= {"progressive": number % 2 == 1, "quality": int(random.integers(1, 101))}
        photo.save(buffer, "JPEG", **options)
        whole = buffer.getvalue()
        assert state_of(whole) == ("", False)
        assert state_of(whole[:-2]) == ("", True)
        for lost in range(3, min(20, len(whole) - whole.rindex(b"\xff\xda") - 12)):
            try:
                pixels = decode_rgb8(whole[:-lost], color_managed=True)[0]
            except ImageError:
                continue
            kept += 1
            np.testing.assert_array_equal(pixels, shown(whole))
    assert kept < 10  # those whose last byte has no code in it


def test_some_bytes_behind_the_pixels_are_no_damage_but_a_sector_of_them_is():
    whole, behind = jpeg(), np.random.default_rng(0).integers(0, 255, 4096, np.uint8).tobytes()
    decode_rgb8(whole[:-2] + behind[:40] + whole[-2:], color_managed=True)
    with pytest.raises(ImageError, match="bytes that no JPEG has"):
        decode_rgb8(whole[:-2] + behind + whole[-2:], color_managed=True)


def test_millions_of_restart_markers_take_no_memory():
    whole = jpeg(restart_marker_blocks=1)
    many = bytes(one for number in range(8) for one in (0xFF, 0xD0 + number)) * 500_000
    tracemalloc.start()
    assert "bytes that no JPEG has" in state_of(whole[:-2] + many + whole[-2:]).damage
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * len(many)


def test_what_is_not_in_a_known_code_is_not_judged():
    whole = jpeg()
    place = whole.index(b"\xff\xc4")
    without_tables = whole[:place] + whole[whole.index(b"\xff\xda") :]  # as a frame of a clip
    assert state_of(without_tables).damage == ""
    arithmetic = whole.replace(b"\xff\xc0\x00\x11", b"\xff\xc9\x00\x11")
    assert arithmetic != whole
    assert state_of(arithmetic[:-2]) == ("", False)
