"""HEIC and AVIF pictures. The HEIC files in heic/ show four quarters, 96x64: red, green, blue, white."""

import io
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from dimmagen.images import codec, heif, versions
from dimmagen.images.codec import ImageError

FILES = Path(__file__).parent / "heic"
QUARTERS = {"red": (200, 20, 20), "green": (20, 180, 20), "blue": (20, 20, 220), "white": (230, 230, 230)}


def quarters_of(pixels):
    height, width, _ = pixels.shape
    centers = [pixels[height * y // 4, width * x // 4].astype(int) for y in (1, 3) for x in (1, 3)]
    return [min(QUARTERS, key=lambda name: np.abs(center - QUARTERS[name]).max()) for center in centers]


@pytest.mark.parametrize(
    ("name", "size", "shown"),
    [
        ("upright", (96, 64), ["red", "green", "blue", "white"]),
        ("turned", (64, 96), ["blue", "red", "white", "green"]),
    ],
)
def test_a_heic_photo_is_decoded_upright_and_stored_as_png(name, size, shown):
    data = (FILES / f"{name}.heic").read_bytes()
    pixels, facts = codec.decode_rgb8(data, color_managed=True)
    assert (facts.width, facts.height, facts.format, facts.transform, facts.extension) == (
        *size,
        "HEIF",
        "heif",
        "png",
    )
    assert pixels.shape == (*size[::-1], 3)
    assert quarters_of(pixels) == shown
    header = codec.read_facts(data)
    assert (header.width, header.height) == size


def test_the_profile_and_the_exif_of_a_heic_photo_are_used():
    pixels, facts = codec.decode_rgb8((FILES / "p3.heic").read_bytes(), color_managed=True)
    assert facts.transform == "icc+heif"
    assert pixels[8, 8, 0] > 215  # red of Display P3 is beyond that of sRGB
    exif = Image.Exif()
    exif.load(codec.read_metadata((FILES / "turned.heic").read_bytes()).exif)
    assert dict(exif) == {0x0132: "2024:01:02 03:04:05"}  # without the orientation


def test_damaged_heic_is_unreadable():
    data = (FILES / "upright.heic").read_bytes()
    for damaged in (data[:40], data[:300], data[:-100]):
        with pytest.raises(ImageError) as refusal:
            codec.decode_rgb8(damaged)
        assert refusal.value.rule == "unreadable"


@pytest.mark.parametrize(
    "change",
    [
        (b"Exif\0\0\0\0\x0epitm", b"Exi\xff\0\0\0\0\x0epitm"),  # the fuzzer's
        (b"Exif\0\0\0\0\x0epitm", b"\xc3\x28if\0\0\0\0\x0epitm"),
        (b"infe\2\0\0\1\0\2\0\0Exif\0", b"infe\1\0\0\1\0\2\0\0\0\xff\xff\xff\0"),  # a content type
        (b"infe\2\0\0\1\0\2\0\0Exif\0", b"infe\2\0\0\1\0\2\0\0mime\0"),  # one that reaches far
    ],
)
def test_an_item_of_no_known_kind_crashes_nothing(change):
    """pi-heif 1.4 ends the process on the first two: github.com/bigcat88/pillow_heif/pull/478."""
    data = (FILES / "turned.heic").read_bytes()
    assert data.count(change[0]) == 1
    with suppress(ImageError):
        codec.decode_rgb8(data.replace(*change))


@pytest.mark.parametrize("name", ["turned", "upright", "p3"])
def test_an_item_type_that_is_no_text_is_refused_wherever_it_is(name):
    data = (FILES / f"{name}.heic").read_bytes()
    assert not heif.has_unreadable_items(data)
    bad = b"\0\0\0\x15infe\2\0\0\0\0\7\0\0Exi\xff\0"
    long = b"\0\0\x9c\x5binfe\2\0\0\0\0\7\0\0mime" + b"name" * 10_000 + b"\0text\xff\0"
    assert int.from_bytes(long[:4], "big") == len(long)
    for item in (bad, long):
        assert heif.has_unreadable_items(data + item)
        assert heif.has_unreadable_items(data[:28] + item + data[28:])
        assert heif.has_unreadable_items(data + b"\0\0\0\1meta" + bytes([0] * 5 + [2, 0, 0]) + item)
        assert not heif.has_unreadable_items(data + (8 + len(item)).to_bytes(4, "big") + b"mdat" + item)


def test_the_items_of_a_huge_heic_are_looked_at_in_a_moment():
    """And not once for each of them."""
    entry = b"\0\0\0\x15infe\2\0\0\0\0\7\0\0mime\0"
    data = (FILES / "upright.heic").read_bytes()
    assert heif.has_unreadable_items(data + entry * 1_000_000)
    assert not heif.has_unreadable_items(data + b"\0\0\0\x08free" * 1_000_000)


def test_without_its_package_the_reason_names_the_extra(monkeypatch):
    for name in ("pi_heif", "pillow_heif"):
        forget(monkeypatch, name)
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImageError, match=r": to read it, pip install 'dimmagen\[heif\]'") as refusal:
        codec.read_facts((FILES / "upright.heic").read_bytes())
    assert refusal.value.rule == "format"
    assert heif.library_version() == "absent"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("raise ImportError('libheif.so.1: cannot open shared object file')", "libheif.so.1: cannot open"),
        ("import what_it_needs", "No module named 'what_it_needs'"),
        ("raise RuntimeError('built against another Pillow')", "built against another Pillow"),
        ("", "No module named 'pi_heif.as_plugin'"),
    ],
)
def test_a_broken_package_is_told_and_its_verdicts_end_with_it(content, reason, tmp_path, monkeypatch):
    """Nor does it end a run over photos of other formats."""
    repaired = versions.step_versions(["heif"])
    heif._package.cache_clear()
    (tmp_path / "pi_heif").mkdir()
    (tmp_path / "pi_heif/__init__.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    forget(monkeypatch, "pi_heif")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match="HEIC picture, and pi-heif is installed but fails") as refusal:
        codec.read_facts((FILES / "upright.heic").read_bytes())
    assert (refusal.value.rule, reason in refusal.value.reason) == ("format", True)
    assert versions.step_versions(["heif"]) not in (repaired, {"libheif": "absent"})
    assert heif.library_version().startswith("pi-heif ")


@pytest.fixture(autouse=True)
def package_is_looked_for_again():
    heif._package.cache_clear()
    yield
    heif._package.cache_clear()


def forget(monkeypatch, package):
    """The package has not been imported in this process."""
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.skipif(not features.check("avif"), reason="this build of Pillow has no AVIF")
def test_avif_is_decoded_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.kron(
        np.array([[QUARTERS["red"], QUARTERS["green"]], [QUARTERS["blue"], QUARTERS["white"]]], np.uint8),
        np.ones((32, 48, 1), np.uint8),
    )
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "AVIF", quality=95, subsampling="4:4:4", exif=exif)
    pixels, facts = codec.decode_rgb8(buffer.getvalue(), color_managed=True)
    assert (facts.transform, facts.extension, pixels.shape) == ("exif+avif", "png", (96, 64, 3))
    assert (facts.shown.rotation, facts.shown.mirrored) == (90, False)
    assert quarters_of(pixels) == ["blue", "red", "white", "green"]


def test_the_libraries_of_a_step_are_versions_of_the_run():
    found = versions.step_versions(["exif", "icc", "heif", "avif", "verbatim"])
    assert set(found) == {"littlecms", "libheif", "libavif"}
    assert found["littlecms"] == features.version("littlecms2")
    assert found["libheif"].startswith(("pi-heif ", "pillow-heif "))
    assert versions.step_versions(["exif", "short512"]) == {}
