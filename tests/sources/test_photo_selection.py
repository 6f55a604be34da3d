"""The user's choices among the candidates: size, number, names."""

import os
from threading import Thread

import numpy as np
import pytest
from PIL import Image
from skimage import data as photos

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.images import codec
from dimmagen.sources import parse_specs
from dimmagen.sources.candidate_files import list_candidate_files
from dimmagen.sources.light_image import load_light_image
from dimmagen.sources.light_images import open_light_images
from dimmagen.sources.photo_selection import PhotoSelection, read_names
from dimmagen.sources.scan import scan


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve different photos of 400x300, and one of 300x300 in a folder."""
    folder = tmp_path_factory.mktemp("photos")
    for index in range(12):
        pixels = np.roll(photos.coffee()[:300, :400], 31 * index, axis=1)
        Image.fromarray(pixels).save(folder / f"{index:02d}.png")
    (folder / "more").mkdir()
    Image.fromarray(photos.astronaut()[:300, :300]).save(folder / "more/small.png")
    return folder


def lights(folder, **choices):
    return open_light_images([str(folder)], selection=PhotoSelection(**choices))


def test_resize_and_crop_are_steps_of_the_transform_and_of_the_pixels(folder):
    refs = lights(folder, resize=280, crop=256).refs()
    assert {(ref.transform, ref.width, ref.height) for ref in refs} == {("short280+crop256", 256, 256)}
    ref = next(ref for ref in refs if ref.name == "03.png")
    photo = np.asarray(Image.open(folder / "03.png"))
    resized = codec.resize(photo, round(400 * 280 / 300), 280)
    left = (resized.shape[1] - 256) // 2
    expected = resized[12 : 12 + 256, left : left + 256]
    light = load_light_image(ref)
    np.testing.assert_array_equal(light.pixels, expected)
    np.testing.assert_array_equal(codec.decode_rgb8(light.data)[0], expected)


def test_a_photo_is_never_enlarged_and_one_smaller_than_the_crop_is_rejected(folder):
    refs = lights(folder, resize=301).refs()
    assert {ref.transform for ref in refs} == {"verbatim"}
    found = lights(folder, crop=300)
    assert {ref.transform for ref in found.refs()} == {"crop300", "verbatim"}
    with pytest.raises(UsageError, match="resize"):
        PhotoSelection(resize=10)
    rejected = list(
        scan(list_candidate_files(parse_specs([str(folder)])).files, selection=PhotoSelection(crop=301))
    )
    assert {(one.row.rule, one.row.reason) for one in rejected} == {
        ("crop", "400x300 is smaller than the crop of 301x301"),
        ("crop", "300x300 is smaller than the crop of 301x301"),
    }


def test_a_larger_limit_only_adds_and_the_others_are_rejected_by_name(folder):
    everything = [ref.key for ref in lights(folder).refs()]
    for limit in (1, 5, 12, 13, 99):
        found = lights(folder, limit=limit)
        assert [ref.key for ref in found.refs()] == everything[:limit]
        assert len(found) == min(limit, 13)
        rejected = list(found.rejected())
        assert len(rejected) == max(0, 13 - limit)
        assert {row["rule"] for row in rejected} <= {"limit"}
        assert [row["name"] for row in rejected] == sorted(row["name"] for row in rejected)


def test_a_list_names_files_below_the_source_or_by_path(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder.parent)
    listed = tmp_path / "list.txt"
    listed.write_text(f"﻿./02.png\n\nmore/small.png\r\n{folder}/07.png\n{folder.name}/08.png\n")
    names = read_names(str(listed))
    listed.write_text("\ufeff" + "\r\n".join(names), encoding="utf-16-le")  # by PowerShell
    assert read_names(str(listed)) == names
    found = lights(folder, names=names)
    assert {ref.name for ref in found.refs()} == {"02.png", "more/small.png", "07.png", "08.png"}
    listing = list_candidate_files(parse_specs([str(folder)]), names)
    assert listing.others == {"folder": {"not listed": 9}}


@pytest.mark.parametrize(
    "line", ["sub/\u00e9.png", "sub/e\u0301.png", "sub\\\u00e9.png", "{0}/sub/\u00e9.png"]
)
def test_a_list_that_another_system_wrote_names_the_same_file(line, tmp_path):
    """macOS writes an accent as a character of its own, and Windows a backslash between folders."""
    there = tmp_path / "sub" / "e\u0301.png"
    there.parent.mkdir()
    there.touch()
    (tmp_path / "other.png").touch()
    listing = list_candidate_files(parse_specs([str(tmp_path)]), frozenset([line.format(tmp_path)]))
    assert listing.others == {"folder": {"not listed": 1}}


def test_names_that_no_source_has_are_refused(folder):
    with pytest.raises(UsageError, match=r"a\.png, b\.png, c\.png and 1 more"):
        lights(folder, names=frozenset(["00.png", "a.png", "b.png", "c.png", "d.png"]))


@pytest.mark.needs("fifo")
def test_a_list_may_be_a_pipe_which_is_read_once(tmp_path):
    """`--list <(...)` of a shell; another kind of thing, such as a device, may have no end."""
    os.mkfifo(tmp_path / "pipe")
    write = (tmp_path / "pipe").write_bytes
    writer = Thread(target=write, args=(b"00.png\n01.png\n",), daemon=True)
    writer.start()
    assert read_names(str(tmp_path / "pipe")) == {"00.png", "01.png"}
    writer.join()
    with pytest.raises(DimmagenError, match="/dev/null is not a regular file"):
        read_names("/dev/null")


@pytest.mark.parametrize(("data", "words"), [(b"\n \n", "names no file"), (b"\xff", "not a text file")])
def test_a_list_that_is_none_is_refused(data, words, tmp_path):
    (tmp_path / "list").write_bytes(data)
    with pytest.raises(UsageError, match=words):
        read_names(str(tmp_path / "list"))
    with pytest.raises(UsageError, match="does not exist"):
        read_names(str(tmp_path / "absent"))


def test_a_photo_longer_than_webp_can_hold_is_rejected_before_the_run(tmp_path):
    Image.fromarray(np.full((256, 16_384, 3), 99, np.uint8)).save(tmp_path / "long.png")
    Image.fromarray(np.full((256, 16_383, 3), 98, np.uint8)).save(tmp_path / "fits.png")
    found = lights(tmp_path, max_side=16_383)
    assert [ref.name for ref in found.refs()] == ["fits.png"]
    assert [(row["name"], row["rule"]) for row in found.rejected()] == [("long.png", "webp-size")]
    assert len(lights(tmp_path)) == 2
