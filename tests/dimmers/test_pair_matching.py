"""Which image belongs to which by its name."""

from pathlib import Path

import pytest

from dimmagen.core.errors import UsageError
from dimmagen.dimmers.pair_matching import MATCHING_RULES, listed, matched_files, natural, rules_table
from dimmagen.dimmers.real_pairs import load_pairs, split_held_out
from dimmagen.images.pair_names import DARK_NAMES, LIGHT_NAMES, side_of, words
from tests.dimmers.pair_files import make, refused, values, write


def test_a_name_says_its_side_by_one_word():
    assert words("Low_train00001") == ("low", "train", "00001")
    assert side_of("Low-Light") == side_of("low_light") == ("dark", ())
    assert side_of("Ground Truth") == ("light", ())
    assert side_of("VE-LOL-L-Cap-Normal_train") == ("light", ("ve", "lol", "l", "cap", "train"))
    assert side_of("highlights") is None
    assert side_of("low_high") is None
    assert not DARK_NAMES & LIGHT_NAMES


def test_names_that_pair_in_two_ways_are_refused(tmp_path):
    """Without the first word low_high belongs to high_high, without the last one to low_low."""
    make(
        tmp_path, {1: ("low/low_high.png", "high/high_high.png"), 2: ("low/high_low.png", "high/low_low.png")}
    )
    with pytest.raises(UsageError, match="paired by their names in several ways"):
        load_pairs(tmp_path)


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
        matched_files("here", darks, lights, many)
    assert caught.value.what == f"here has {said}"
    assert caught.value.fields == {"path": "here", "count": count}


def test_several_dark_images_have_one_light_only_where_that_is_said():
    assert matched_files("here", {A: 1, B: 1, C: 2}, {D: 1, Path("e"): 2}, many=True) == [
        (A, D),
        (B, D),
        (C, Path("e")),
    ]
    with pytest.raises(UsageError, match="several images"):
        matched_files("here", {A: 1, B: 1}, {C: 1})


def test_in_the_natural_order_words_come_before_numbers_and_numbers_by_their_value():
    names = ["b", "a10", "10", "9", "a9", "0", "a"]
    assert sorted(names, key=natural) == ["a", "a9", "a10", "b", "0", "9", "10"]


def test_the_table_of_rules_has_a_line_for_each():
    lines = rules_table().split("\n")
    assert lines == [f"- {rule.title}" for rule in MATCHING_RULES]
    assert lines[0] == "- the same name: `low/1.png`, `high/1.png`"


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


def test_a_folder_whose_name_says_its_side_twice_is_of_that_side(tmp_path):
    make(tmp_path, {1: ("input_low/1.png", "expertC_gt/1.png")})
    assert values(load_pairs(tmp_path)) == {"1": (1, 101)}
    assert side_of("low_high") is None
