"""Pairs are found in the folders that people have them in, and never guessed."""

import os
import re

import pytest

from dimmagen.core.errors import UsageError
from dimmagen.dimmers.real_pairs import load_pairs
from dimmagen.images.pair_names import DARK_NAMES
from tests.dimmers.pair_files import make, refused, values, write

# Data sets as their archives unpack: the folder that is given, the dark and the light file of each pair by a
# number (8 and 9 are not part of what is given), and the names of the pairs.
REAL_LAYOUTS = {
    "LOL": (
        ".",
        {1: ("our485/low/1.png", "our485/high/1.png"), 9: ("eval15/low/2.png", "eval15/high/2.png")},
        ["1"],
    ),
    "LOL-v2": (
        "Real_captured",
        {
            1: ("Real_captured/Train/Low/low00001.png", "Real_captured/Train/Normal/normal00001.png"),
            2: ("Real_captured/Train/Low/low00010.png", "Real_captured/Train/Normal/normal00010.png"),
            9: ("Real_captured/Test/Low/low00690.png", "Real_captured/Test/Normal/normal00690.png"),
            8: ("Synthetic/Train/Low/r00816405t.png", "Synthetic/Train/Normal/r00816405t.png"),
        },
        ["normal00001", "normal00010"],
    ),
    "LOL-v2, one split": (
        "Real_captured/Test",
        {9: ("Real_captured/Test/Low/low00690.png", "Real_captured/Test/Normal/normal00690.png")},
        ["normal00690"],
    ),
    "VE-LOL": (
        ".",
        {
            1: ("VE-LOL-L-Cap-Low_train/low00001.png", "VE-LOL-L-Cap-Normal_train/normal00001.png"),
            9: ("VE-LOL-L-Cap-Low_test/low00690.png", "VE-LOL-L-Cap-Normal_test/normal00690.png"),
        },
        ["normal00001"],
    ),
    "LSRW": (
        "Training data/Huawei",
        {
            1: ("Training data/Huawei/low/1.jpg", "Training data/Huawei/high/1.jpg"),
            8: ("Training data/Nikon/low/3001.jpg", "Training data/Nikon/high/3001.jpg"),
        },
        ["1"],
    ),
    "SID": (
        "Sony",
        {
            1: ("Sony/short/00001_00_0.1s.png", "Sony/long/00001_00_10s.png"),
            2: ("Sony/short/00001_00_0.04s.png", "Sony/long/00001_00_10s.png"),
            3: ("Sony/short/00208_06_0.033s.png", "Sony/long/00208_00_10s.png"),
        },
        ["00001_00_0.1s", "00001_00_0.04s", "00208_06_0.033s"],
    ),
    "SID of Retinexformer": (
        ".",
        {
            1: ("short_sid2/00001/00001_00_0.04s.png", "long_sid2/00001/00001_00_10s.png"),
            2: ("short_sid2/00001/00001_00_0.1s.png", "long_sid2/00001/00001_00_10s.png"),
        },
        ["00001_00_0.1s", "00001_00_0.04s"],
    ),
    "SMID": (
        ".",
        {
            1: ("SMID_LQ_np/0001/0001.png", "SMID_Long_np/0001/half0001.png"),
            2: ("SMID_LQ_np/0001/0002.png", "SMID_Long_np/0001/half0001.png"),
            3: ("SMID_LQ_np/0202/0001.png", "SMID_Long_np/0202/half0202.png"),
        },
        ["0001/0001", "0001/0002", "0202/0001"],
    ),
    "SDSD": (
        ".",
        {1: ("input/pair1/0001.png", "GT/pair1/0001.png"), 2: ("input/pair2/0001.png", "GT/pair2/0001.png")},
        ["pair1/0001", "pair2/0001"],
    ),
    "FiveK": (".", {1: ("train/input/a0001-jmac_DSC1459.jpg", "train/target/a0001-jmac_DSC1459.jpg")}, None),
    "FiveK by expert": (".", {1: ("input/a0001.jpg", "expertC/a0001.png")}, ["a0001"]),
    "MIRNet": (".", {1: ("Input/desk.png", "GroundTruth/desk.png")}, ["desk"]),
    "BasicSR": (".", {1: ("LQ/a.png", "GT/a.png")}, ["a"]),
    "RetinexNet_pytorch, EnlightenGAN": (
        "final_dataset",
        {
            1: ("final_dataset/trainA/1.png", "final_dataset/trainB/1.png"),
            8: ("final_dataset/testA/1.png", "final_dataset/testB/1.png"),
        },
        ["1"],
    ),
    "words without a separator": (
        ".",
        {1: ("trainLow/1.png", "trainHigh/1.png"), 8: ("testLow/2.png", "testHigh/2.png")},
        ["1"],
    ),
    "exposures in two words": (".", {1: ("Under-Exposed/1.jpg", "Properly-Exposed/1.jpg")}, ["1"]),
    "what the files are": (".", {1: ("low_light_images/1.png", "ground_truth/1.png")}, ["1"]),
    "LOL-Blur": (
        ".",
        {
            1: ("train/low_blur/0001/1.png", "train/high_sharp_scaled/0001/1.png"),
            8: ("test/low_blur/0002/1.png", "test/high_sharp_scaled/0002/1.png"),
        },
        ["1"],
    ),
    "one folder, after": (
        ".",
        {1: ("desk_low.jpg", "desk_high.jpg"), 2: ("tap-LOW.png", "tap-HIGH.png")},
        None,
    ),
    "one folder, before": (".", {1: ("dark_1.jpg", "light_1.jpg"), 2: ("dark_10.jpg", "light_10.jpg")}, None),
    "words of two sides": (".", {1: ("long_street_low.jpg", "long_street_high.jpg")}, ["long_street_high"]),
}


@pytest.mark.parametrize("layout", REAL_LAYOUTS)
def test_the_pairs_of_a_known_data_set_are_found(layout, tmp_path):
    given, files, names = REAL_LAYOUTS[layout]
    make(tmp_path, files)
    found = values(load_pairs(tmp_path / given))
    if names is not None:
        assert list(found) == names
    lights = {}
    for scene, (_, light) in files.items():
        lights[light] = 100 + scene
    wanted = {
        (scene, lights[light])
        for scene, (dark, light) in files.items()
        if scene < 8 or layout == "LOL-v2, one split"
    }
    assert sorted(found.values()) == sorted(wanted)


def test_of_splits_inside_the_sides_the_training_split_is_taken_and_told(tmp_path, caplog):
    """As for pix2pix: A/train, A/val, B/train, B/val."""
    make(
        tmp_path,
        {
            1: ("low/train/1.png", "high/train/1.png"),
            2: ("low/val/1.png", "high/val/1.png"),
            3: ("low/test/3.png", "high/test/3.png"),
        },
    )
    with caplog.at_level("INFO", "dimmagen"):
        assert values(load_pairs(tmp_path)) == {"1": (1, 101)}
    assert re.search(r"the training split, and not those of .*high}.test, .*high}.val$", caplog.text.strip())


@pytest.mark.parametrize("scene", ["low/test.png", "low/test/1.png"])
def test_a_scene_that_is_named_as_a_split_is_taken(scene, tmp_path):
    make(tmp_path, {1: ("low/desk/1.png", "high/desk/1.png"), 2: (scene, scene.replace("low", "high"))})
    assert len(load_pairs(tmp_path)) == 2


def test_the_taken_split_is_told(tmp_path, caplog):
    make(tmp_path, REAL_LAYOUTS["LOL"][1])
    with caplog.at_level("INFO", "dimmagen"):
        load_pairs(tmp_path)
    assert "our485" in caplog.text
    assert "not those of" in caplog.text
    assert "eval15" in caplog.text
    caplog.clear()
    with caplog.at_level("INFO", "dimmagen"):
        load_pairs(tmp_path / "our485")
    assert caplog.text == ""


@pytest.mark.parametrize("dark", sorted(DARK_NAMES))
@pytest.mark.parametrize("light", ["high", "GT"])
def test_any_dark_name_goes_with_any_light_name_in_any_case(dark, light, tmp_path):
    make(tmp_path, {1: (f"{dark.title()}/1.png", f"{light}/1.png")})
    assert values(load_pairs(tmp_path)) == {"1": (1, 101)}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["low/1.png", "high/1.png", "input/1.png", "gt/1.png"], ["{low,high}", "{input,gt}"]),
        (["low/1.png", "high/1.png", "normal/1.png"], ["{low,high}", "{low,normal}"]),
        (["low/1.png", "high/1.png", "a_low.png", "a_high.png"], ["{low,high}"]),
        (["low_blur/1.png", "low_noise/1.png", "high_sharp/1.png"], ["{low_blur,high_sharp}", "{low_noise,"]),
        (
            ["Huawei/low/1.png", "Huawei/high/1.png", "Nikon/low/1.png", "Nikon/high/1.png"],
            ["Huawei", "Nikon"],
        ),
        (["A/Train/Low/1.png", "A/Train/High/1.png", "B/Train/Low/1.png", "B/Train/High/1.png"], ["A", "B"]),
    ],
)
def test_two_layouts_at_once_are_refused_with_both(files, said, tmp_path):
    for file in files:
        write(tmp_path / file, 1)
    with pytest.raises(UsageError, match="several sets of pairs") as refused:
        load_pairs(tmp_path)
    assert refused.value.code == "ambiguous"
    assert all(text in str(refused.value) for text in said)


def test_what_is_no_split_of_the_same_data_set_is_not_left_out(tmp_path):
    make(tmp_path, {1: ("our485/low/1.png", "our485/high/1.png"), 2: ("crops/low/1.png", "crops/high/1.png")})
    assert values(load_pairs(tmp_path)) == {"1": (1, 101)}
    make(tmp_path, {3: ("SID/short/00001_00_0.1s.png", "SID/long/00001_00_10s.png")})
    with pytest.raises(UsageError, match=r"several sets of pairs: .*our485.*SID"):
        load_pairs(tmp_path)


def test_an_evaluation_split_alone_is_not_taken_unless_it_is_given(tmp_path):
    make(tmp_path, {1: ("eval15/low/1.png", "eval15/high/1.png")})
    with pytest.raises(UsageError, match=r"only an evaluation split: .*eval15.*give that folder itself"):
        load_pairs(tmp_path)
    assert values(load_pairs(tmp_path / "eval15")) == {"1": (1, 101)}


def test_a_stray_image_between_pairs_in_one_folder_is_refused(tmp_path):
    make(tmp_path, {1: ("a_low.png", "a_high.png")})
    write(tmp_path / "b.png", 3)
    with pytest.raises(UsageError, match=rf"^{re.escape(str(tmp_path))} has .* without a partner: b\.png"):
        load_pairs(tmp_path)


def test_anything_else_is_refused_with_the_folders_that_were_found(tmp_path):
    write(tmp_path / "noisy/1.png", 1)
    write(tmp_path / "clean/1.png", 1)
    write(tmp_path / "sheet.png", 1)
    with pytest.raises(
        UsageError, match=r"clean/, noisy/ and 1 image: .*dark are low, .*light are high, "
    ) as refused:
        load_pairs(tmp_path)
    assert refused.value.fields["folders"] == ["clean", "noisy"]
    with pytest.raises(UsageError, match="there is no file or folder"):
        load_pairs(tmp_path / "elsewhere")


def test_raw_files_are_named_where_there_is_no_image(tmp_path):
    make(tmp_path, {1: ("short/00001_00_0.1s.png", "long/00001_00_10s.png")})
    (tmp_path / "short/00001_00_0.1s.png").rename(tmp_path / "short/00001_00_0.1s.ARW")
    with pytest.raises(UsageError, match=r"short holds no images, but 1 \.arw: supported are \.jpg"):
        load_pairs(tmp_path)


def test_images_without_a_partner_and_two_of_one_name_are_refused(tmp_path):
    make(tmp_path, REAL_LAYOUTS["SID"][1])
    write(tmp_path / "Sony/short/00099_00_0.1s.png", 5)
    with pytest.raises(UsageError, match=r"without a partner: 00099_00_0\.1s\.png"):
        load_pairs(tmp_path)
    other = tmp_path / "other"
    make(other, {1: ("low/1.png", "high/1.png")})
    write(other / "low/1.jpg", 2)
    with pytest.raises(UsageError, match=r"several images for one place in a pair: 1\.jpg, 1\.png"):
        load_pairs(other)


def test_hidden_and_system_files_are_no_images(tmp_path):
    make(tmp_path, {1: ("low/1.png", "high/1.png"), 2: ("low/@eaDir/1.png", "high/.thumbnails/1.png")})
    write(tmp_path / "low/._1.png", 3)
    assert values(load_pairs(tmp_path)) == {"1": (1, 101)}


def test_the_home_folder_is_understood(tmp_path, monkeypatch):
    make(tmp_path, {1: ("mine/low/1.png", "mine/high/1.png")})
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "mine/pairs.csv").write_text("~/mine/low/1.png,~/mine/high/1.png\n")
    assert values(load_pairs("~/mine")) == values(load_pairs("~/mine/pairs.csv")) == {"1": (1, 101)}


def test_a_single_place_further_inside_is_told_down_to_the_fourth_folder(tmp_path, caplog):
    make(tmp_path, {1: ("a/b/c/d/low/1.png", "a/b/c/d/high/1.png")})
    with caplog.at_level("INFO", "dimmagen"):
        assert values(load_pairs(tmp_path)) == {"1": (1, 101)}
    place = tmp_path / "a/b/c/d/{low,high}"
    assert caplog.messages == [f"Note: the pairs are those of {place}"]
    (tmp_path / "a").rename(tmp_path / "more")
    (tmp_path / "a").mkdir()
    (tmp_path / "more").rename(tmp_path / "a/more")
    assert "holds no pairs by its names; it has the folders a/" in refused(tmp_path).what


def test_folders_of_images_beside_the_sides_are_told(tmp_path, caplog):
    """FiveK with the images of all five experts, of which C is the usual one."""
    make(tmp_path, {1: ("Input/1.png", "ExpertC/1.png")})
    for name in ("ExpertA/1.png", "ExpertB/more/1.png", "ExpertC/1.png", ".thumbs/1.png"):
        write(tmp_path / name, 101)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/train.txt").write_text("1.png")
    with caplog.at_level("INFO", "dimmagen"):
        assert values(load_pairs(tmp_path)) == {"1": (1, 101)}
    assert caplog.messages == ["Note: left out, as their names say no side: ExpertA/, ExpertB/"]


@pytest.mark.parametrize(
    ("first", "second", "pattern"),
    [("expertC", "raw", "raw/{name}.* -> T/expertC"), ("label", "lowlight", "lowlight/{name}.* -> T/label")],
)
def test_the_pattern_that_is_shown_begins_with_the_dark_folder_as_far_as_a_name_tells(
    first, second, pattern, tmp_path
):
    make(tmp_path, {1: (f"{first}/1.png", f"{second}/1.png")})
    assert f"'T/{pattern}/" in str(refused(tmp_path)).replace(str(tmp_path), "T").replace(os.sep, "/")


def test_a_folder_for_each_scene_is_read_by_the_pattern_that_the_refusal_shows(tmp_path):
    make(tmp_path, {one: (f"{one}/dark.png", f"{one}/light.png") for one in (1, 2)})
    pattern = re.search("'(.* -> .*)'", str(refused(tmp_path)))[1]
    assert sorted(values(load_pairs(pattern)).values()) == [(1, 101), (2, 102)]


def test_a_folder_of_one_side_is_not_searched_for_pairs_of_its_own(tmp_path):
    files = [f"{side}_{split}/1_{word}.png" for side in ("low", "high") for split in ("train", "test")
             for word in ("low", "high")]  # fmt: skip
    for file in files:
        write(tmp_path / file, 1)
    assert list(values(load_pairs(tmp_path))) == ["1_high", "1_low"]


def test_pairs_side_by_side_are_images_whose_names_are_alike(tmp_path):
    make(tmp_path, {1: ("tap_low.png", "tap_high.png")})
    for name in ("desk_low.txt", "desk_high.txt"):
        (tmp_path / name).write_text("no image")
    assert values(load_pairs(tmp_path)) == {"tap_high": (1, 101)}
    write(tmp_path / "tap_low.jpg", 2)
    assert "several images for one place in a pair: tap_low.jpg, tap_low.png" in refused(tmp_path).what
    write(tmp_path / "other/desk_low.png", 1)
    write(tmp_path / "other/tap_high.png", 1)
    assert refused(tmp_path / "other").what.endswith("holds no pairs by its names; it has 2 images")
    (tmp_path / "empty").mkdir()
    assert refused(tmp_path / "empty").what.endswith("holds no pairs by its names; it has no images")


def test_sides_of_unknown_names_are_read_by_the_pattern_that_the_message_writes(tmp_path):
    """pix2pix's A/ and B/: which of them is dark, no name says."""
    make(tmp_path, {1: ("A/1.png", "B/1.png"), 2: ("A/2.jpg", "B/2.png")})
    error = refused(tmp_path)
    assert error.what.endswith("it has the folders A/, B/")
    assert re.search(r"dark are low, .*, short, .*; light are high, .*, long, ", error.todo)
    pattern = error.todo.split("'")[1]
    assert values(load_pairs(pattern)) == {"1": (1, 101), "2": (2, 102)}
    (tmp_path / "C").mkdir()
    assert "'DARK/{name}.* -> LIGHT/{name}.*'" in refused(tmp_path).todo


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ([], "holds no images"),
        (["1.ARW", "2.arw", "LICENSE"], "holds no images, but 2 .arw, 1 LICENSE"),
        (["a.arw", "b.arw", "c.dng", "d.dng", "e.dng", "f.nef", "g.cr2"], ", but 3 .dng, 2 .arw, 1 .nef"),
    ],
)
def test_a_side_without_images_is_told_with_what_it_has(others, said, tmp_path):
    write(tmp_path / "high/1.png", 1)
    (tmp_path / "low").mkdir()
    for name in others:
        (tmp_path / "low" / name).write_text("raw")
    assert refused(tmp_path).what.endswith(said)


@pytest.mark.parametrize(
    "pairs",
    [("low/1.png", "high/1.png"), ("desk_low.png", "desk_high.png")],
    ids=["two folders", "one folder"],
)
def test_images_that_are_not_read_are_told_beside_those_that_are(pairs, tmp_path, caplog):
    make(tmp_path, {1: pairs})
    for name in pairs:
        for ending in (".NEF", ".jxl", ".txt", ".csv"):
            (tmp_path / name).with_suffix(ending).write_text("raw")
        (tmp_path / name).with_name("._a.nef").write_text("of macOS")
    with caplog.at_level("INFO", "dimmagen"):
        assert len(load_pairs(tmp_path)) == 1
    assert caplog.messages == ["Note: left out, as such files are not read: 2 .nef, 2 .jxl"]


@pytest.mark.needs("links")
def test_pairs_behind_links_are_found_once_and_a_loop_ends(tmp_path):
    make(tmp_path, {1: ("there/low/1.png", "there/high/1.png"), 2: ("t/low/2.png", "t/high/2.png")})
    for side in ("low", "high"):
        (tmp_path / "t" / side / "more").symlink_to(tmp_path / "there" / side)
        (tmp_path / "t" / side / "again").symlink_to(tmp_path / "t" / side)
    assert values(load_pairs(tmp_path / "t")) == {"1": (1, 101), "2": (2, 102)}


def test_of_sid_the_training_scenes_are_taken(tmp_path, caplog):
    """Its test scenes begin with 1 and its validation scenes with 2, in the same folders."""
    caplog.set_level("INFO", "dimmagen")
    names = ("00001", "10003", "20208")
    make(
        tmp_path,
        {n: (f"short/{name}_00_0.1s.png", f"long/{name}_00_10s.png") for n, name in enumerate(names, 1)},
    )
    assert values(load_pairs(tmp_path)) == {"00001_00_10s": (1, 101)}
    sides = f"{tmp_path}{os.sep}{{short,long}}"
    assert caplog.messages == [
        f"Note: the pairs are those of {sides}, the training split, and not those of "
        f"{sides}{os.sep}1*, {sides}{os.sep}2*"
    ]
    for side in ("short", "long"):
        next((tmp_path / side).glob("0*")).unlink()
    assert len(load_pairs(tmp_path)) == 2  # an evaluation split that is given itself
    for split, number in (("1", 2), ("2", 3)):
        chosen = f"{tmp_path}/short/{split}{{scene}}_*.png -> {tmp_path}/long/{split}{{scene}}_*.png"
        assert [*values(load_pairs(chosen)).values()] == [(number, 100 + number)]
