"""Pairs are read from folders, lists and patterns, with the hashes of their files."""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dimmers import real_pairs
from dimmagen.dimmers.pair_problems import check_pairs, refuse_mismatched_pairs
from dimmagen.dimmers.real_pairs import load_pairs, split_held_out
from dimmagen.images.codec import ImageError
from tests.dimmers.made_pairs import darkened, pair, scene
from tests.images.icc_profiles import DISPLAY_P3, rgb_profile


@pytest.fixture
def folder(tmp_path):
    for name in ("10", "9", "2"):
        for side, image in (("low", darkened(scene())), ("high", scene())):
            (tmp_path / side).mkdir(exist_ok=True)
            Image.fromarray(image).save(tmp_path / side / f"{name}.png")
    return tmp_path


def test_pairs_of_a_folder_are_read_in_natural_order_with_the_hashes_of_their_files(folder):
    pairs = load_pairs(folder)
    assert [p.name for p in pairs] == ["2", "9", "10"]
    assert pairs[0].dark_sha256 == hashlib.sha256((folder / "low" / "2.png").read_bytes()).hexdigest()
    assert np.array_equal(pairs[0].light, scene())
    assert np.array_equal(pairs[0].dark, darkened(scene()))


def test_numbers_within_names_are_sorted_by_value_too(folder):
    for old, new in (("10", "img10b"), ("9", "img9b"), ("2", "a2")):
        for side in ("low", "high"):
            (folder / side / f"{old}.png").rename(folder / side / f"{new}.png")
    assert [p.name for p in load_pairs(folder)] == ["a2", "img9b", "img10b"]


def test_a_pair_records_the_hash_of_each_file_and_the_jpeg_quality(folder):
    Image.fromarray(darkened(scene())).save(folder / "low" / "9.jpg", quality=71)
    (folder / "low" / "9.png").unlink()
    stored = {p.name: p for p in load_pairs(folder)}
    assert stored["9"].dark_sha256 == hashlib.sha256((folder / "low" / "9.jpg").read_bytes()).hexdigest()
    assert stored["9"].light_sha256 == hashlib.sha256((folder / "high" / "9.png").read_bytes()).hexdigest()
    assert (stored["9"].jpeg_quality, stored["2"].jpeg_quality) == (71, 0)


def test_an_image_with_megabytes_of_text_is_read(folder):
    text = PngImagePlugin.PngInfo()
    text.add_text("workflow", "long " * 4_000_000, zip=True)
    Image.fromarray(darkened(scene())).save(folder / "low" / "9.png", pnginfo=text)
    assert [p.jpeg_quality for p in load_pairs(folder, ["9"])] == [0]


def test_a_dark_png_that_was_a_jpeg_has_the_quality_of_that(folder):
    stream = io.BytesIO()
    Image.fromarray(darkened(scene())).save(stream, "JPEG", quality=85)
    for name, options in (("9", {}), ("10", {"icc_profile": rgb_profile(DISPLAY_P3)})):
        Image.open(stream).save(folder / "low" / f"{name}.png", **options)
    pairs = load_pairs(folder)
    expected = [("2", 0, False), ("9", 85, True), ("10", 85, True)]
    assert [(p.name, p.jpeg_quality, p.was_jpeg) for p in pairs] == expected
    assert not np.array_equal(pairs[1].dark, pairs[2].dark)  # the colours of the last are converted
    (folder / "low" / "9.png").unlink()
    (folder / "low" / "9.jpg").write_bytes(stream.getvalue())
    assert [p.was_jpeg for p in load_pairs(folder)] == [False, False, True]


def test_a_folder_without_high_is_refused(folder):
    (folder / "high").rename(folder / "elsewhere")
    with pytest.raises(UsageError, match=r"dark are low, .*; light are high, "):
        load_pairs(folder)


def test_pairs_are_held_out_by_name_but_not_unknown_ones_and_not_all():
    pairs = [pair(name, scene()[:4], scene()[:4]) for name in "abc"]
    kept, held = split_held_out(pairs, ["c", "a"])
    assert ([p.name for p in kept], [p.name for p in held]) == (["b"], ["a", "c"])
    assert split_held_out(pairs, []) == (pairs, [])
    with pytest.raises(UsageError, match="there is no pair named d"):
        split_held_out(pairs, ["a", "d"])
    with pytest.raises(UsageError):
        split_held_out(pairs, ["a", "b", "c"])


def test_names_select_pairs_and_their_order(folder):
    assert [p.name for p in load_pairs(folder, ["10", "2"])] == ["10", "2"]


def test_an_unknown_name_is_reported_with_the_known_ones(folder):
    with pytest.raises(UsageError, match=r"no pair named 7.*it has 2, 9, 10"):
        load_pairs(folder, ["2", "7"])


@pytest.mark.needs("links")
def test_the_root_of_lol_stands_for_its_training_pairs(folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("lol")
    (root / "our485").symlink_to(folder)
    assert len(load_pairs(root)) == 3


@pytest.mark.parametrize("header", ["", "dark,light\n", "\ufeffDark,Light\n", "low, high\n", "\ufeff"])
def test_a_csv_of_two_columns_is_read_relative_to_itself(folder, header):
    """Spreadsheets write a byte order mark at the beginning."""
    listing = folder / "pairs.csv"
    listing.write_text(header + "low/9.png,high/9.png\nlow/2.png, high/2.png\n")
    assert [p.name for p in load_pairs(listing)] == ["9", "2"]


def test_a_missing_file_in_a_csv_is_reported_with_its_line(folder):
    listing = folder / "pairs.csv"
    listing.write_text("low/9.png,high/9.png\nlow/3.png,high/3.png\n")
    with pytest.raises(UsageError, match=r"line 2: there is no file .*3.png"):
        load_pairs(listing)


def test_an_image_without_a_partner_is_reported(folder):
    (folder / "low" / "9.png").unlink()
    with pytest.raises(UsageError, match=r"without a partner.*9"):
        load_pairs(folder)


def test_a_folder_without_pairs_is_refused_with_the_expected_layout(tmp_path):
    with pytest.raises(UsageError, match=r"dark are low, .*; light are high, "):
        load_pairs(tmp_path)


def test_a_truncated_image_is_reported_with_its_name(folder):
    file = folder / "high" / "2.png"
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(DimmagenError, match=r"2\.png: "):
        load_pairs(folder)


def test_pictures_are_read_in_srgb_and_with_the_camera_that_took_the_dark_one(folder, monkeypatch):
    noted = []
    as_read = real_pairs.decode_rgb8
    monkeypatch.setattr(
        real_pairs, "decode_rgb8", lambda data, **given: noted.append(given) or as_read(data, **given)
    )
    exif = Image.Exif()
    exif[271], exif[272] = "NIKON", "D2X"
    Image.fromarray(darkened(scene())).save(folder / "low/2.png", exif=exif)
    assert [one.camera for one in load_pairs(str(folder), ["2", "9"])] == ["NIKON D2X", ""]
    assert noted == [{"color_managed": True}] * 4


def test_a_dark_picture_that_cannot_be_decoded_is_named(folder):
    (folder / "low/2.png").write_bytes(b"no picture")
    with pytest.raises(DimmagenError, match=r"low.2\.png: ") as caught:
        load_pairs(folder, ["2"])
    path = str(folder / "low/2.png")
    assert caught.value.fields == {"path": path, "paths": [path]}


def test_all_images_that_cannot_be_decoded_are_told_at_once(folder):
    """Data sets of hundreds of pairs have several, and each try costs the user the time of a run."""
    wrong = [folder / side / name for name in ("2.png", "9.png", "10.png") for side in ("low", "high")]
    for path in wrong:
        path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DimmagenError) as caught:
        load_pairs(folder)
    names = [str(path) for path in wrong]
    assert str(caught.value).startswith(f"{', '.join(names)}: cannot be decoded: ")
    assert str(caught.value).endswith(": replace them")
    assert caught.value.fields["paths"] == names


def test_of_many_reasons_the_first_are_told(folder, monkeypatch):
    numbers = iter(range(6))

    def refuse(path):
        raise ImageError("format", f"is {next(numbers)}")

    monkeypatch.setattr(real_pairs, "_read", refuse)
    told = r"low.2\.png: is 0; .*high.2\.png: is 1; .* is 4; and 1 more: replace them$"
    with pytest.raises(DimmagenError, match=told):
        load_pairs(folder)


@pytest.mark.needs("links")
def test_a_broken_link_is_no_missing_pair(folder):
    """What git-annex and DataLad leave of files that were not fetched: the pair was left out, silently."""
    for side in ("low", "high"):
        (folder / side / "9.png").unlink()
        (folder / side / "9.png").symlink_to("nowhere")
    for path in (folder, f"{folder}/low/{{n}}.png -> {folder}/high/{{n}}.png"):
        with pytest.raises(DimmagenError, match=r"low.9\.png, .*high.9\.png: is a broken link"):
            load_pairs(path)


def test_a_pattern_is_read_as_one(folder):
    found = load_pairs(f"{folder}/low/{{a}}.png -> {folder}/high/{{a}}.png")
    assert [one.name for one in found] == ["2", "9", "10"]


def test_a_pair_that_is_there_twice_is_refused_and_never_to_be_held_out(folder):
    """A fit is checked on pairs that another fit did not see: with a copy of one it did."""
    for side in ("low", "high"):
        (folder / side / "copy.png").write_bytes((folder / side / "9.png").read_bytes())
    Image.fromarray(darkened(scene(3), 4)).save(folder / "low" / "10.png")
    Image.fromarray(scene(3)).save(folder / "high" / "10.png")
    findings = check_pairs(load_pairs(folder, ["9", "10", "copy"]))
    assert [(one.name, one.problem, one.fatal) for one in findings] == [("copy", "repeated", False)]
    with pytest.raises(UsageError, match=r"copy has the two files of pair 9: .*remove the copies, or accept"):
        refuse_mismatched_pairs(findings)
    refuse_mismatched_pairs(findings, ["copy"])
    assert [one.name for one in load_pairs(folder, ["9", "9"])] == ["9"]


def test_one_dark_image_of_two_scenes_or_one_scene_twice_is_no_repetition(folder):
    (folder / "low" / "9.png").write_bytes((folder / "low" / "2.png").read_bytes())
    Image.fromarray(darkened(scene(), 5)).save(folder / "low" / "10.png")
    found = [one.problem for one in check_pairs(load_pairs(folder, ["2", "10"]))]
    assert found == []


@pytest.mark.parametrize(
    ("name", "said"), [("pairs.ZIP", "is packed.*unpack it"), ("low.jpg", "is one image")]
)
def test_an_archive_or_an_image_in_the_place_of_a_folder_is_told_as_that(tmp_path, name, said):
    (tmp_path / name).write_bytes(b"PK\3\4\xff")
    with pytest.raises(UsageError, match=said):
        load_pairs(tmp_path / name)
