"""Every candidate is read once, and gets a verdict with its reason."""

import errno
import io
import os
import zipfile

import numpy as np
import pytest
from PIL import Image, ImageFile
from skimage import data as photos

from dimmagen import sources
from dimmagen.core import hashing
from dimmagen.core.errors import DimmagenError, MachineError
from dimmagen.core.storage import reading
from dimmagen.images import codec
from dimmagen.sources import parse_specs
from dimmagen.sources.candidate_files import list_candidate_files
from dimmagen.sources.scan import scan
from dimmagen.sources.scene_hash import SceneHashes
from tests.sources.scanned import enlarged, rows_of, save


@pytest.fixture
def mixed_folder(tmp_path):
    """Accepted, small, damaged, empty, equal and unusual files in one folder."""
    folder = tmp_path / "mixed"
    save(folder / "a.png", photos.coffee())
    save(folder / "b.png", photos.coffee()[:200])
    save(folder / "d.jpg", photos.astronaut(), quality=90)
    (folder / "c_copy_of_a.png").write_bytes((folder / "a.png").read_bytes())
    (folder / "e_cut.jpg").write_bytes((folder / "d.jpg").read_bytes()[:-5000])
    (folder / "f_empty.jpg").write_bytes(b"")
    (folder / "g_text.jpg").write_text("<html>404</html>")
    save(folder / "h_dot.png", np.zeros((1, 1, 3), np.uint8))
    (folder / "notes.txt").write_text("not a candidate: its name is not that of an image")
    return folder


def test_every_candidate_gets_one_row_with_a_verdict_and_a_reason(mixed_folder):
    rows = rows_of(f"folder={mixed_folder}")
    assert [(row.name, row.accepted, row.rule) for row in rows] == [
        ("a.png", True, ""),
        ("b.png", False, "folder-min-256"),
        ("c_copy_of_a.png", False, "duplicate"),
        ("d.jpg", True, ""),
        ("e_cut.jpg", False, "unreadable"),
        ("f_empty.jpg", False, "unreadable"),
        ("g_text.jpg", False, "unreadable"),
        ("h_dot.png", False, "folder-min-256"),
    ]
    for row in rows:
        assert bool(row.reason) is not row.accepted
        assert row.sha256 == hashing.sha256((mixed_folder / row.name).read_bytes())
        assert row.key == f"folder-{row.sha256[:16]}"
    duplicate = rows[2]
    assert duplicate.reason == "has the same bytes as a.png"
    assert duplicate.key == rows[0].key
    assert (duplicate.light_bytes, duplicate.light_sha256, duplicate.transform) == (0, "", "")


def test_label_masks_among_photos_are_rejected_in_whatever_mode_and_size(tmp_path):
    """As Cityscapes, ADE20K and sets of salient objects have them, beside the photos or in another folder."""
    mask = np.kron(np.eye(3, dtype=np.uint8) * 200 + 55, np.ones((200, 200), np.uint8))
    save(tmp_path / "img/1.png", enlarged(photos.coffee(), 600, 600))
    save(tmp_path / "img/1_mask.png", mask)
    save(tmp_path / "gtFine/1_color.png", np.stack([mask, mask // 2, 255 - mask], axis=2))
    save(tmp_path / "gtFine/1_instanceIds.png", mask.astype(np.uint16) * 256)
    for source in ("folder", "clic"):  # which reduces images: their edges have more colours then
        rows = rows_of(f"{source}={tmp_path}")
        assert [row.name for row in rows if row.accepted] == ["img/1.png"]
        assert {(row.rule, row.reason[:14]) for row in rows if not row.accepted} == {
            ("palette", "has 2 colours ")
        }


def test_rows_do_not_depend_on_the_number_of_threads(mixed_folder):
    text = f"folder={mixed_folder}"
    assert rows_of(text, workers=1) == rows_of(text, workers=5)


def test_the_order_of_the_sources_changes_nothing(mixed_folder, tmp_path):
    other = save(tmp_path / "other" / "x.png", enlarged(photos.rocket(), 700, 600)).parent
    texts = [f"folder={mixed_folder}", f"coco={other}", "sample"]
    assert rows_of(*texts) == rows_of(*reversed(texts))


def test_the_same_image_in_two_sources_is_two_light_images(tmp_path):
    folder = save(tmp_path / "p" / "x.png", photos.astronaut()).parent
    rows = rows_of(f"folder={folder}", f"coco={folder}")
    assert [row.key[:5] for row in rows] == ["coco-", "folde"]
    assert all(row.accepted for row in rows)


def test_a_damaged_zip_member_is_rejected_and_the_others_are_accepted(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(photos.astronaut()).save(buffer, "png")
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr("good.png", buffer.getvalue())
        archive.writestr("bad.png", buffer.getvalue()[::-1])
    damaged = bytearray((tmp_path / "p.zip").read_bytes())
    damaged[damaged.index(b"bad.png") + 50] ^= 1
    (tmp_path / "p.zip").write_bytes(damaged)
    bad, good = rows_of(f"folder={tmp_path / 'p.zip'}")
    assert good.accepted
    assert bad.rule == "unreadable"
    assert "damaged" in bad.reason


def test_a_file_that_is_too_large_is_rejected_without_being_read(tmp_path, monkeypatch):
    folder = save(tmp_path / "p" / "x.png", photos.astronaut()).parent
    monkeypatch.setattr(type(sources.SOURCES["folder"]), "max_bytes", 1000)
    (row,) = rows_of(f"folder={folder}")
    assert (row.rule, row.sha256) == ("too-large", "")


def test_clic_is_reduced_by_its_short_side_and_cropped_in_the_middle(tmp_path):
    left_to_right = np.tile(np.linspace(0, 255, 2048).astype(np.uint8)[None, :, None], (1024, 1, 3))
    folder = save(tmp_path / "clic" / "wide.png", left_to_right).parent
    save(folder / "small.png", left_to_right[:511])
    save(folder / "exact.png", photos.astronaut())
    exact, small, wide = rows_of(f"clic={folder}")
    assert (exact.transform, exact.light_sha256) == ("verbatim", exact.sha256)
    assert small.rule == "clic-min-512"
    assert (wide.transform, wide.extension) == ("reduce512", "png")
    assert (wide.light_width, wide.light_height, wide.width, wide.height) == (512, 512, 2048, 1024)
    light = sources.SOURCES["clic"].light((folder / "wide.png").read_bytes(), "")
    assert abs(float(light[:, 0].mean()) - 255 / 4) < 2  # the middle half of the gradient
    assert abs(float(light[:, -1].mean()) - 255 * 3 / 4) < 2
    assert hashing.sha256(codec.encode_png(light)) == wide.light_sha256


def test_lol_accepts_only_light_images_and_opens_no_dark_image(tmp_path):
    root = tmp_path / "lol"
    light = photos.astronaut()
    for part in ("our485", "eval15"):
        save(root / part / "high" / "1.png", light if part == "our485" else light[::-1])
        (root / part / "low").mkdir()
        (root / part / "low" / "1.png").write_bytes(b"would be unreadable if it were opened")
    rows = {row.name: row for row in rows_of(f"lol={root}")}
    assert rows["our485/high/1.png"].accepted
    assert rows["our485/low/1.png"].rule == "lol-dark"
    assert rows["eval15/high/1.png"].rule == "lol-evaluation"
    assert rows["our485/low/1.png"].sha256 == ""
    assert [row.accepted for row in rows_of(f"lol={root / 'our485' / 'high'}")] == [True]
    assert [row.rule for row in rows_of(f"lol={root / 'our485' / 'low'}")] == ["lol-dark"]


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("VE-LOL/VE-LOL-L-Cap-Normal_train/normal00001.png", ""),
        ("VE-LOL/VE-LOL-L-Cap-Low_train/low00001.png", "lol-dark"),
        ("VE-LOL/VE-LOL-L-Cap-Normal_test/normal00690.png", "lol-evaluation"),
        ("UHD-LL/training_set/input/1.JPG", "lol-dark"),
        ("UHD-LL/testing_set/gt/1.JPG", "lol-evaluation"),
        ("FiveK/INPUT_IMAGES/a0001.jpg", "lol-dark"),
        ("FiveK/expertC_gt/a0001.jpg", ""),
        ("low-light sets/Low_Light_LOL/our485/high/2.png", ""),  # the innermost name counts
        ("my_low_light_set/lights/2.png", ""),  # of the folder that was given, whole names
        ("EnlightenGAN/trainA/2.png", "lol-dark"),
        ("EnlightenGAN/trainB/2.png", ""),
        ("EnlightenGAN/testB/2.png", "lol-evaluation"),
        ("trainA/2.png", "lol-dark"),
        ("testB/2.png", "lol-evaluation"),
        ("photos/trainLow/2.png", "lol-dark"),
        ("photos/TestHigh/2.png", "lol-evaluation"),
        ("photos/UnderExposed/2.png", "lol-dark"),
        ("photos/B/2.png", ""),
        ("low/2.png", "lol-dark"),
        ("eval15/2.png", "lol-evaluation"),
        ("Sony/long/00001_00_10s.png", ""),
        ("Sony/long/10003_00_10s.png", "lol-evaluation"),
        ("long/20208_00_10s.png", "lol-evaluation"),
        ("photos/devices/2.png", ""),
    ],
)
def test_lol_knows_the_sides_and_splits_of_its_relatives_by_the_words_of_their_folders(path, rule):
    assert sources.SOURCES["lol"].judge_name(path).rule == rule


def test_the_sample_source_has_natural_photos_of_different_scenes():
    rows = rows_of("sample")
    assert [row.name for row in rows] == [
        "astronaut.png",
        "chelsea.png",
        "coffee.png",
        "motorcycle_left.png",
        "rocket.jpg",
    ]
    assert all(row.accepted for row in rows)
    # The rocket is in Adobe RGB.
    assert [row.transform for row in rows] == ["verbatim"] * 4 + ["icc"]
    assert [row.icc_profile for row in rows if row.transform == "icc"] == ["Adobe RGB (1998)"]


def test_imagenet_rows_hold_the_white_border_of_photos_of_a_middling_size(tmp_path):
    photo = enlarged(photos.coffee(), 600, 600)
    on_white = np.full_like(photo, 255)
    on_white[100:500, 50:550] = photo[100:500, 50:550]
    for name, pixels in {"a": photo, "b": on_white, "c": photo[:500], "d": on_white[:500]}.items():
        save(tmp_path / f"{name}.png", pixels)
    measured = {row.name: (row.rule, row.white_border) for row in rows_of(f"imagenet={tmp_path}")}
    assert measured["a.png"][0] == ""
    assert measured["a.png"][1] < 0.1
    assert measured["b.png"] == ("white-border", 1.0)
    assert measured["c.png"] == measured["d.png"] == ("imagenet-size", None)


def test_imagenet_rows_have_the_measured_white_border(shared_data):
    rows = rows_of(f"imagenet={shared_data / 'sources' / 'imagenet'}")
    measured = [row for row in rows if row.white_border is not None]
    assert len(measured) == 42
    assert sum(row.accepted for row in rows) == 39
    assert min(row.white_border for row in measured if row.rule == "white-border") > 0.8
    assert max(row.white_border for row in measured if row.accepted) < 0.5


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.EACCES])
def test_a_file_that_the_machine_cannot_read_ends_the_scan_with_its_path(number, mixed_folder, monkeypatch):
    def failing(path, *arguments, **options):
        if str(path).endswith("b.png"):
            raise OSError(number, os.strerror(number), path)
        return open(path, *arguments, **options)

    monkeypatch.setattr(reading, "open", failing, raising=False)
    with pytest.raises(MachineError, match=rf"mixed/b\.png: {os.strerror(number)}"):
        rows_of(f"folder={mixed_folder}")


def test_a_full_memory_while_decoding_ends_the_scan_with_the_name(mixed_folder, monkeypatch):
    load = ImageFile.ImageFile.load

    def failing(image):
        if image.size == (600, 200):
            raise MemoryError
        return load(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load", failing)
    monkeypatch.setattr(sources.rules, "folder", lambda facts: sources.rules.ACCEPTED)
    with pytest.raises(MachineError, match=r"b\.png: Cannot allocate memory: .*`workers`"):
        rows_of(f"folder={mixed_folder}")


def test_a_source_that_fails_ends_the_scan_with_the_file_and_the_line_of_its_code(mixed_folder, monkeypatch):
    def failing(facts):
        raise KeyError("a rule that was never tried")

    monkeypatch.setattr(sources.rules, "folder", failing)
    said = r"the source folder fails on 'a\.png' in .*mixed \(KeyError: 'a rule .*', at .*test_scan\.py:\d+\)"
    with pytest.raises(DimmagenError, match=said) as caught:
        rows_of(f"folder={mixed_folder}")
    assert caught.value.fields == {"source": "folder", "name": "a.png"}


def test_a_file_that_vanishes_after_it_was_listed_ends_the_scan(mixed_folder):
    candidates = list_candidate_files(parse_specs([f"folder={mixed_folder}"])).files
    (mixed_folder / "b.png").unlink()
    with pytest.raises(DimmagenError, match=r"mixed/b\.png cannot be read \(No such file"):
        list(scan(candidates))


@pytest.mark.needs("links")
def test_an_excluded_image_that_cannot_be_read_ends_the_run(mixed_folder, tmp_path):
    evaluation = tmp_path / "evaluation"
    evaluation.mkdir()
    (evaluation / "gone.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(DimmagenError, match=r"the scene of gone\.png cannot be recognised.*is a broken link"):
        SceneHashes.from_paths([str(evaluation)])
    (evaluation / "gone.png").unlink()
    (evaluation / "cut.png").write_bytes((mixed_folder / "a.png").read_bytes()[:3000])
    with pytest.raises(DimmagenError, match=r"the scene of cut\.png cannot be recognised"):
        SceneHashes.from_paths([str(evaluation)])
    (evaluation / "cut.png").unlink()
    (evaluation / "a.png").symlink_to(mixed_folder / "a.png")
    assert SceneHashes.from_paths([str(evaluation)]).distance(photos.coffee()) == 0, "links are followed here"
