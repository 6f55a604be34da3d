"""The dark images of pairs that lie among photos are no light images."""

import numpy as np
from PIL import Image
from skimage import data as photos

from dimmagen.sources import parse_specs
from dimmagen.sources.candidate_files import list_candidate_files
from dimmagen.sources.dark_halves import is_dark_half, thumbnail
from dimmagen.sources.index_pass import ScanExecution, index_candidates
from dimmagen.sources.photo_selection import PhotoSelection
from dimmagen.sources.scan_keys import ScanSettings
from tests.sources.scanned import enlarged, rows_of, save


def test_the_dark_half_of_a_pair_is_no_light_image_of_any_source(tmp_path):
    """However bright it is: a third of the dark images of some cameras pass the least lightness."""
    names = [
        *("Low/low1.png", "Normal/normal1.png", "camera/short/2.jpg", "camera/long/2.png", "desk_dark.png"),
        *("desk_light.png", "night/owl.png", "low/alone.png", "high/other.png", "lamp-low.png"),
        *("low-res/cup.png", "high-res/cup.png"),
    ]
    dark = {"Low/low1.png", "camera/short/2.jpg", "desk_dark.png"}
    for number, name in enumerate(names):
        photo = enlarged(photos.coffee()[:, : 580 + number], 300, 260)
        save(tmp_path / "p" / name, darker(photo) if name in dark else photo)
    save(tmp_path / "p" / "zz-copy.png", np.asarray(Image.open(tmp_path / "p/desk_dark.png")))
    rows = {row.name: row for row in rows_of(f"folder={tmp_path / 'p'}")}
    assert {name for name, row in rows.items() if row.rule == "dark-half"} == dark
    assert rows["Low/low1.png"].reason.endswith("by its name: Normal/normal1.png is there")
    assert {name for name, row in rows.items() if row.accepted} == {*names, "zz-copy.png"} - dark
    assert passed_rows(tmp_path / "p") == list(rows.values())
    assert rows_of(f"folder={tmp_path / 'p/Low'}")[0].accepted  # alone, a name says little


def darker(photo):
    return (255 * (photo / 255) ** 1.6 * 0.8).astype(np.uint8)


def passed_rows(folder):
    passed = index_candidates(
        list_candidate_files(parse_specs([f"folder={folder}"])).files,
        ScanSettings(None, PhotoSelection(), stored=True),
        ScanExecution(workers=1, cached=False),
    )
    return [one.row for one in passed]


def test_photos_that_only_have_the_names_of_a_pair_are_light_images(tmp_path):
    """Two photos of a beach, classes of a data set, and a copy that is as light as its original."""
    coffee, cat, astronaut, rocket = (
        enlarged(one(), 300, 260) for one in (photos.coffee, photos.chelsea, photos.astronaut, photos.rocket)
    )
    save(tmp_path / "low tide.png", darker(coffee))
    save(tmp_path / "high tide.png", astronaut)
    save(tmp_path / "short/1.png", darker(cat))
    save(tmp_path / "long/1.png", astronaut[::-1])
    save(tmp_path / "copy/desk_low.png", rocket // 2 + 100)
    save(tmp_path / "copy/desk_high.png", rocket // 2 + 101)
    for number in range(2):  # real pairs beside them
        save(tmp_path / f"{number}_high.png", cat[number:])
        save(tmp_path / f"{number}_low.png", darker(cat[number:]))
    rows = passed_rows(tmp_path)
    assert len(rows) == 10
    assert {row.name for row in rows if not row.accepted} == {"0_low.png", "1_low.png"}
    assert rows == rows_of(f"folder={tmp_path}")


def test_the_files_of_two_folders_are_halves_together(tmp_path):
    """One pair that cannot be recognised, and one whose light image is damaged, are as the others are."""
    scenes = [photos.astronaut(), photos.chelsea(), photos.coffee(), photos.coffee()[:, 20:]]
    for number, scene in enumerate(scenes):
        light = enlarged(scene, 300, 260)
        save(tmp_path / f"high/{number}.png", light)
        save(tmp_path / f"low/{number}.png", darker(light[:, ::-1] if number == 1 else light))
    (tmp_path / "high/3.png").write_bytes(b"no picture")
    rejected = {row.name for row in rows_of(f"folder={tmp_path}") if row.rule == "dark-half"}
    assert rejected == {f"low/{number}.png" for number in range(4)}


def test_the_dark_images_of_real_cameras_are_recognised_by_what_they_show(shared_data):
    for folder in ("cameras/canon", "cameras/nikon_d2x", "lol/dev15"):
        for dark in (shared_data / folder / "low").iterdir():
            pair = (np.asarray(Image.open(one)) for one in (dark, shared_data / folder / "high" / dark.name))
            small, light = (thumbnail("low.png", pixels) for pixels in pair)
            assert is_dark_half(small, light), dark
            assert not is_dark_half(light, small)
