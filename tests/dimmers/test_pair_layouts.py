"""Pairs are found in the folders, lists and patterns that people have them in, and never guessed."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dimmagen.core.errors import UsageError
from dimmagen.dimmers.pair_matching import MATCHING_RULES, listed, matched, natural, rules_table
from dimmagen.dimmers.real_pairs import load_pairs, split_held_out
from dimmagen.images.pair_names import DARK_NAMES, LIGHT_NAMES, side_of, words

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
            3: ("Sony/short/20208_06_0.033s.png", "Sony/long/20208_00_10s.png"),
        },
        ["00001_00_0.1s", "00001_00_0.04s", "20208_06_0.033s"],
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
    "one folder, after": (
        ".",
        {1: ("desk_low.jpg", "desk_high.jpg"), 2: ("tap-LOW.png", "tap-HIGH.png")},
        None,
    ),
    "one folder, before": (".", {1: ("dark_1.jpg", "light_1.jpg"), 2: ("dark_10.jpg", "light_10.jpg")}, None),
    "words of two sides": (".", {1: ("long_street_low.jpg", "long_street_high.jpg")}, ["long_street_high"]),
}


def write(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 4, 3), value, np.uint8)).save(path, quality=100)


def make(root: Path, files: dict[int, tuple[str, str]]) -> None:
    """Dark files have the value of their pair's number, light ones 100 + that of their last dark file."""
    for scene, (dark, light) in files.items():
        write(root / dark, scene)
        write(root / light, 100 + scene)


def values(pairs) -> dict[str, tuple[int, int]]:
    return {pair.name: (int(pair.dark[0, 0, 0]), int(pair.light[0, 0, 0])) for pair in pairs}


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


def test_a_name_says_its_side_by_one_word():
    assert words("Low_train00001") == ("low", "train", "00001")
    assert side_of("Low-Light") == side_of("low_light") == ("dark", ())
    assert side_of("Ground Truth") == ("light", ())
    assert side_of("VE-LOL-L-Cap-Normal_train") == ("light", ("ve", "lol", "l", "cap", "train"))
    assert side_of("highlights") is None
    assert side_of("low_high") is None
    assert not DARK_NAMES & LIGHT_NAMES


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["low/1.png", "high/1.png", "input/1.png", "gt/1.png"], ["{low,high}", "{input,gt}"]),
        (["low/1.png", "high/1.png", "normal/1.png"], ["{low,high}", "{low,normal}"]),
        (["low/1.png", "high/1.png", "a_low.png", "a_high.png"], ["{low,high}"]),
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


def test_names_that_pair_in_two_ways_are_refused(tmp_path):
    """Without the first word low_high belongs to high_high, without the last one to low_low."""
    make(
        tmp_path, {1: ("low/low_high.png", "high/high_high.png"), 2: ("low/high_low.png", "high/low_low.png")}
    )
    with pytest.raises(UsageError, match="paired by their names in several ways"):
        load_pairs(tmp_path)


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
        UsageError, match=r"clean/, noisy/ and 1 image:.*low/ and high/.*short/ and long/"
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


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize(
    "header",
    [
        "dark/light",
        "Low/Normal",
        "input/target",
        "INPUT/GT",
        "short/long",
        "low_path/high_path",
        "LQ image/GT image",
    ],
)
def test_a_list_is_read_with_any_separator_and_header(separator, header, tmp_path):
    make(tmp_path, {1: ("a, b/1.png", "c; d/1.png"), 2: ("a, b/2.png", "c; d/2.png")})
    rows = [header.replace("/", separator)]
    rows += [f'"a, b/{scene}.png"{separator}"c; d/{scene}.png"' for scene in (2, 1)]
    (tmp_path / "pairs.csv").write_text("\r\n".join(rows) + "\r\n")
    assert list(values(load_pairs(tmp_path / "pairs.csv")).items()) == [("2", (2, 102)), ("1", (1, 101))]


def test_a_list_names_its_pairs_in_columns_of_any_order(tmp_path):
    make(tmp_path, {1: ("d/100.png", "l/desk.png"), 2: ("d/025.png", "l/desk.png")})
    text = "iso;high;name;low\n100;l/desk.png;desk-100;d/100.png\n25;l/desk.png;desk-025;d/025.png\n"
    (tmp_path / "pairs.csv").write_text(text)
    found = load_pairs(tmp_path / "pairs.csv")
    assert values(found) == {"desk-100": (1, 102), "desk-025": (2, 102)}
    assert values(load_pairs(tmp_path / "pairs.csv", ["desk-025"])) == {"desk-025": (2, 102)}
    (tmp_path / "pairs.csv").write_text("low\thigh\nd/100.png\tl/desk.png\nd/025.png\tl/desk.png\n")
    assert values(load_pairs(tmp_path / "pairs.csv")) == {"100": (1, 102), "025": (2, 102)}


def test_a_list_of_a_spreadsheet_on_windows_is_read(tmp_path):
    make(tmp_path, {1: ("low/1.png", "high/1.png")})
    (tmp_path / "pairs.csv").write_bytes("\ufeffsep=;\r\nlow;high\r\nlow\\1.png;high\\1.png\r\n".encode())
    assert values(load_pairs(tmp_path / "pairs.csv")) == {"1": (1, 101)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "before,after\nlow/1.png,high/1.png\n",
            r"line 1 has the columns before, after.*dark and light.*name",
        ),
        ("low/1.png,high/1.png,100\n", r"line 1 has 3 columns"),
        ("low;high\nlow/1.png\n", r"line 2 has 1 columns"),
        ("low,high,normal\nlow/1.png,high/1.png,high/1.png\n", r"has the columns low, high, normal"),
        (
            "name,low,high\na,low/1.png,high/1.png\na,low/2.png,high/2.png\n",
            r"line 3: .*already a pair named a",
        ),
        ("name,low,high\n,low/1.png,high/1.png\n", r"line 2: the pair has no name"),
        ("low/1.png,high/1.png\nlow/1.png,high/1.png\n", r"line 2: the pair 1\.png, 1\.png is there already"),
        ("low,high\n", "holds no pairs"),
        ("", "holds no pairs"),
        ("low/1.png\n", r"line 1 has 1 columns"),
    ],
)
def test_a_list_that_is_not_understood_is_refused_with_its_line(text, said, tmp_path):
    make(tmp_path, {1: ("low/1.png", "high/1.png"), 2: ("low/2.png", "high/2.png")})
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(UsageError, match=said):
        load_pairs(tmp_path / "pairs.csv")


def test_a_list_with_two_separators_is_refused(tmp_path):
    make(tmp_path, {1: ("a.png", "b.png")})
    (tmp_path / "pairs.csv").write_text("a.png;b.png,c.png\n")
    with pytest.raises(UsageError, match="a comma and with a semicolon"):
        load_pairs(tmp_path / "pairs.csv")


def test_a_pattern_pairs_several_dark_images_with_one_light(tmp_path, monkeypatch):
    make(tmp_path, {1: ("raw/b7-1-e2.png", "done/b7.png"), 2: ("raw/b7-1-e9.png", "done/b7.png")})
    make(tmp_path, {3: ("raw/c-d-e2.png", "done/c.png")})
    monkeypatch.chdir(tmp_path)
    wanted = {"b7-1-e2": (1, 102), "b7-1-e9": (2, 102), "c-d-e2": (3, 103)}
    assert values(load_pairs("raw/{scene}-*-e?.png -> done/{scene}.png")) == wanted
    assert values(load_pairs(f"{tmp_path}/raw/{{a}}-*.png->{tmp_path}/done/{{a}}.png")) == wanted
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert values(load_pairs("~/raw/{a}-*.png -> ~/done/{a}.png")) == wanted


def test_a_field_may_be_a_folder_and_stand_twice(tmp_path, monkeypatch):
    make(
        tmp_path,
        {1: ("p/1/1.jpg", "p/Label/1.jpg"), 2: ("p/2/2.jpg", "p/Label/2.jpg"), 3: ("p/2/3.jpg", "p/x.jpg")},
    )
    monkeypatch.chdir(tmp_path)
    assert values(load_pairs("p/{scene}/{scene}.jpg -> p/Label/{scene}.jpg")) == {
        "1": (1, 101),
        "2": (2, 102),
    }


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("low/*.png -> high/*.png", "does not say which files belong together"),
        ("low/{a}.png -> high/{b}.png", "does not say which files belong together"),
        ("low/{a}.jpg -> high/{a}.png", r"no image matches low/\{a\}\.jpg"),
        (
            "low/{a}.png -> high/{a}.png",
            r"^low/\{a\}\.png -> high.* without a partner: 3\.png",
        ),
    ],
)
def test_a_pattern_that_does_not_pair_is_refused(pattern, said, tmp_path, monkeypatch):
    make(tmp_path, {1: ("low/1.png", "high/1.png"), 2: ("low/2.png", "high/2.png")})
    write(tmp_path / "low/3.png", 3)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=said):
        load_pairs(pattern)


def test_the_home_folder_is_understood(tmp_path, monkeypatch):
    make(tmp_path, {1: ("mine/low/1.png", "mine/high/1.png")})
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "mine/pairs.csv").write_text("~/mine/low/1.png,~/mine/high/1.png\n")
    assert values(load_pairs("~/mine")) == values(load_pairs("~/mine/pairs.csv")) == {"1": (1, 101)}


def refused(path) -> UsageError:
    with pytest.raises(UsageError) as caught:
        load_pairs(path)
    return caught.value


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


@pytest.mark.needs("home")
def test_only_the_first_arrow_divides_a_pattern(tmp_path, monkeypatch):
    make(tmp_path, {1: ("low/1.png", "b->c/1.png")})
    monkeypatch.chdir(tmp_path)
    assert values(load_pairs("low/{a}.png -> b->c/{a}.png")) == {"1": (1, 101)}


def test_pairs_of_a_pattern_whose_files_are_named_alike_have_their_paths_as_names(tmp_path, monkeypatch):
    make(tmp_path, {1: ("s1/d/1.png", "s1/l/1.png"), 2: ("s2/d/1.png", "s2/l/1.png")})
    monkeypatch.chdir(tmp_path)
    assert values(load_pairs("{s}/d/1.png -> {s}/l/1.png")) == {"s1/d/1": (1, 101), "s2/d/1": (2, 102)}


def test_pairs_of_a_list_elsewhere_have_the_paths_of_their_files_as_names(tmp_path):
    make(tmp_path, {1: ("s1/1.png", "l1/1.png"), 2: ("s2/1.png", "l2/1.png")})
    (tmp_path / "lists").mkdir()
    text = "".join(f"{tmp_path}/s{number}/1.png,{tmp_path}/l{number}/1.png\n" for number in (1, 2))
    (tmp_path / "lists/pairs.csv").write_text(text)
    names = [(tmp_path / f"s{number}/1").as_posix() for number in (1, 2)]
    assert list(values(load_pairs(tmp_path / "lists/pairs.csv"))) == names


def test_a_quoted_cell_may_stand_behind_a_space(tmp_path):
    make(tmp_path, {1: ("low/1.png", "c, d/1.png")})
    (tmp_path / "pairs.csv").write_text('low/1.png, "c, d/1.png"\n')
    assert values(load_pairs(tmp_path / "pairs.csv")) == {"1": (1, 101)}


@pytest.mark.needs("home")
def test_a_backslash_of_a_name_that_exists_is_kept(tmp_path):
    make(tmp_path, {1: ("low\\1.png", "high\\1.png")})
    make(tmp_path, {2: ("low/1.png", "high/1.png")})
    (tmp_path / "pairs.csv").write_text("low\\1.png,high\\1.png\n")
    assert list(values(load_pairs(tmp_path / "pairs.csv")).values()) == [(1, 101)]


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("x,y\n", "line 1 has the columns x, y", 1),
        ("a;b;c,d\n", "line 1 has the columns a, b, c,d", 1),
        ("a;b,c,d\n", "line 1 has the columns a;b, c, d", 1),
        ("name,id,low,high\n", "line 1 has the columns name, id, low, high", 1),
        ("\nlow/1.png\n", "line 2 has 1 columns and no header", 2),
        ("low,high\na/1.png\n", "line 2 has 1 columns", 2),
        ("high,low\na/1.png\n", "line 2 has 1 columns", 2),
        ("low,high,name\na/1.png,b/1.png\n", "line 2 has 2 columns", 2),
    ],
)
def test_a_refused_list_is_told_with_its_path_and_line(text, said, line, tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text(text)
    error = refused(path)
    assert error.what == f"{path} {said}"
    assert "(low and high, low and normal, input and target" in error.todo
    assert (error.code, error.fields) == ("wrong-format", {"path": str(path), "line": line})


def test_a_list_in_another_encoding_has_no_line(tmp_path):
    (tmp_path / "pairs.csv").write_bytes(b"low,h\xffgh\n")
    error = refused(tmp_path / "pairs.csv")
    assert "is not UTF-8 text" in error.what
    assert error.fields == {"path": str(tmp_path / "pairs.csv")}


@pytest.mark.parametrize(
    ("count", "end"), [(1, "0"), (12, "10, 11"), (13, "10, 11 and 1 more"), (20, "11 and 8 more")]
)
def test_of_many_names_twelve_are_listed_and_the_others_counted(count, end, tmp_path):
    names = [str(number) for number in range(count)]
    assert listed(iter(names)).endswith(end)
    assert listed(names).count(",") == min(count, 12) - 1
    make(tmp_path, {number: (f"low/{number}.png", f"high/{number}.png") for number in range(count)})
    pairs = load_pairs(tmp_path)
    for ask in (lambda: load_pairs(tmp_path, ["x"]), lambda: split_held_out(pairs, ["x"])):
        with pytest.raises(UsageError, match=f" {end}$|it has 0$|are 0$"):
            ask()


@pytest.mark.parametrize("names", ["ab_1", "1_ab"])
def test_only_the_word_of_a_side_may_differ_in_the_names_of_a_pair(names, tmp_path):
    first, second = (names.replace("ab", letter) for letter in "ab")
    make(tmp_path, {1: (f"low/{first}.png", f"high/{second}.png")})
    assert f"without a partner: {first}.png, {second}.png" in refused(tmp_path).what


A, B, C, D = map(Path, "abcd")


@pytest.mark.parametrize(
    ("darks", "lights", "many", "said", "count"),
    [
        ({A: 1, B: 1}, {C: 1}, False, "several images for one place in a pair: a, b", 2),
        ({A: 1}, {B: 1, C: 1}, False, "several images for one place in a pair: b, c", 2),
        ({A: 1}, {B: 1, C: 1}, True, "several images for one place in a pair: b, c", 2),
        ({A: 1, B: 1}, {C: 1, D: 1}, False, "several images for one place in a pair: a, b, c, d", 4),
        ({A: None}, {B: None}, False, "images without a partner: a, b", 2),
        ({A: 1, B: None}, {C: 1, D: 2}, True, "images without a partner: b, d", 2),
        ({A: 1, B: 1}, {C: 1, D: None}, False, "images without a partner: d", 3),
    ],
)
def test_images_that_are_no_pairs_by_their_keys_are_counted(darks, lights, many, said, count):
    with pytest.raises(UsageError) as caught:
        matched("here", darks, lights, many)
    assert caught.value.what == f"here has {said}"
    assert caught.value.fields == {"path": "here", "count": count}


def test_several_dark_images_have_one_light_only_where_that_is_said():
    assert matched("here", {A: 1, B: 1, C: 2}, {D: 1, Path("e"): 2}, many=True) == [
        (A, D),
        (B, D),
        (C, Path("e")),
    ]
    with pytest.raises(UsageError, match="several images"):
        matched("here", {A: 1, B: 1}, {C: 1})


def test_in_the_natural_order_words_come_before_numbers_and_numbers_by_their_value():
    names = ["b", "a10", "10", "9", "a9", "0", "a"]
    assert sorted(names, key=natural) == ["a", "a9", "a10", "b", "0", "9", "10"]


def test_the_table_of_rules_has_a_line_for_each():
    lines = rules_table().split("\n")
    assert lines == [f"- {rule.title}" for rule in MATCHING_RULES]
    assert lines[0] == "- the same name: `low/1.png`, `high/1.png`"


def test_a_file_of_a_list_that_is_missing_is_told_with_its_line(tmp_path):
    make(tmp_path, {1: ("low/1.png", "high/1.png")})
    (tmp_path / "pairs.csv").write_text("low,high\nlow/1.png,high/9.png\n")
    error = refused(tmp_path / "pairs.csv")
    assert error.what == f"{tmp_path / 'pairs.csv'} line 2: there is no file {tmp_path / 'high/9.png'}"
    assert error.fields == {"path": str(tmp_path / "high/9.png"), "line": 2}


def test_a_cell_beyond_any_path_is_no_csv(tmp_path):
    (tmp_path / "pairs.csv").write_text(f"low,{'x' * 140_000}\n")
    error = refused(tmp_path / "pairs.csv")
    assert error.what.startswith(f"{tmp_path / 'pairs.csv'} is not a CSV file (field larger than")


def test_the_separator_that_a_spreadsheet_notes_is_the_only_one(tmp_path):
    make(tmp_path, {1: ("a.png", "b.png,c.png")})
    (tmp_path / "pairs.csv").write_text("sep=;\na.png;b.png,c.png\n")
    assert values(load_pairs(tmp_path / "pairs.csv")) == {"b.png,c": (1, 101)}


def test_dark_files_that_differ_in_their_type_alone_name_their_pairs_with_it(tmp_path):
    make(tmp_path, {1: ("x/1.png", "l/1.png"), 2: ("x/1.bmp", "k/1.png")})
    (tmp_path / "pairs.csv").write_text("x/1.png,l/1.png\nx/1.bmp,k/1.png\n")
    assert list(values(load_pairs(tmp_path / "pairs.csv"))) == [
        str(tmp_path / "x/1.png"),
        str(tmp_path / "x/1.bmp"),
    ]


@pytest.mark.parametrize(
    ("dark", "light", "name"),
    [
        ("IMG_1.PNG", "img_1.png", "img_1"),
        ("e\u0301te\u0301.png", "\u00e9t\u00e9.png", "\u00e9t\u00e9"),  # as macOS and others write été
        ("Tag/1.png", "TAG/1.png", "1"),
        ("e\u0301_low.png", "\u00e9_high.png", "\u00e9_high"),
        ("desk_low.png", "desk.png", "desk"),
        ("desk.png", "desk_gt.png", "desk_gt"),
        ("0009.png", "9.png", "9"),
        ("low0009.png", "normal9.png", "normal9"),
        ("IMG_0100.png", "img_100.png", "img_100"),
        ("s01/000.png", "S1/0.png", "0"),
    ],
)
def test_names_that_two_systems_write_differently_are_equal(dark, light, name, tmp_path):
    make(tmp_path, {1: (f"low/{dark}", f"high/{light}")})
    assert values(load_pairs(tmp_path)) == {name: (1, 101)}


def test_names_that_differ_in_case_alone_are_paired_by_their_case(tmp_path):
    make(tmp_path, {1: ("low/a.png", "high/a.png"), 2: ("low/A.png", "high/A.png")})
    assert values(load_pairs(tmp_path)) == {"a": (1, 101), "A": (2, 102)}
    write(tmp_path / "low/b.png", 3)
    write(tmp_path / "low/B.png", 4)
    write(tmp_path / "high/b.png", 5)
    assert "without a partner: B.png" in refused(tmp_path).what


def test_numbers_that_differ_in_zeros_alone_are_paired_by_them(tmp_path):
    make(tmp_path, {1: ("low/1.png", "high/1.png"), 2: ("low/01.png", "high/01.png")})
    assert values(load_pairs(tmp_path)) == {"1": (1, 101), "01": (2, 102)}
    (tmp_path / "high/01.png").rename(tmp_path / "high/001.png")
    assert "without a partner: 01.png, 001.png" in refused(tmp_path).what
    (tmp_path / "low/01.png").rename(tmp_path / "low/10.png")
    assert "without a partner" in refused(tmp_path).what


def test_a_list_names_files_with_accents_as_another_system_writes_them(tmp_path):
    make(tmp_path, {1: ("low/e\u0301.png", "high/\u00e9.png")})
    (tmp_path / "pairs.csv").write_text("low/\u00e9.png,high/e\u0301.png\n", "utf-8")
    assert list(values(load_pairs(tmp_path / "pairs.csv")).values()) == [(1, 101)]


def test_a_folder_whose_name_says_its_side_twice_is_of_that_side(tmp_path):
    make(tmp_path, {1: ("input_low/1.png", "expertC_gt/1.png")})
    assert values(load_pairs(tmp_path)) == {"1": (1, 101)}
    assert side_of("low_high") is None


def test_brackets_in_a_pattern_are_those_of_names(tmp_path, monkeypatch):
    make(tmp_path, {1: ("a [2024]/low/1.png", "a [2024]/high/1.png")})
    monkeypatch.chdir(tmp_path)
    assert values(load_pairs("a [2024]/low/{n}.png -> a [2024]/high/{n}.png")) == {"1": (1, 101)}


def test_a_light_image_is_no_dark_one_of_a_wide_pattern(tmp_path, monkeypatch):
    """As those of SICE: 1/1.JPG and 1/2.JPG with Label/1.JPG."""
    make(tmp_path, {1: ("1/1.png", "Label/1.png"), 2: ("2/1.png", "Label/2.png")})
    monkeypatch.chdir(tmp_path)
    found = values(load_pairs("{scene}/*.png -> Label/{scene}.png"))
    assert sorted(found.values()) == [(1, 101), (2, 102)]


@pytest.mark.needs("links")
def test_pairs_behind_links_are_found_once_and_a_loop_ends(tmp_path):
    make(tmp_path, {1: ("there/low/1.png", "there/high/1.png"), 2: ("t/low/2.png", "t/high/2.png")})
    for side in ("low", "high"):
        (tmp_path / "t" / side / "more").symlink_to(tmp_path / "there" / side)
        (tmp_path / "t" / side / "again").symlink_to(tmp_path / "t" / side)
    assert values(load_pairs(tmp_path / "t")) == {"1": (1, 101), "2": (2, 102)}
