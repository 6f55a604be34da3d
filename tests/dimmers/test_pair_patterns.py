"""A pattern for dark and one for light images, with fields that both have."""

import pytest

from dimmagen.core.errors import UsageError
from dimmagen.dimmers.real_pairs import load_pairs
from tests.dimmers.pair_files import make, values, write


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
        ("low/{a}.jpg -> high/{a}.png", r"no image matches low/\{a\}\.jpg: correct the pattern"),
        ("low/{a}.dng -> high/{a}.png", r"no image matches low/\{a\}\.dng, but 1 \.dng: convert them to one"),
        ("low/{a}.png -> low/{a}.png", r"no image matches low/\{a\}\.png and not low/\{a\}\.png"),
        (
            "low/{a}.png -> high/{a}.png",
            r"^low/\{a\}\.png -> high.* without a partner: 3\.png",
        ),
    ],
)
def test_a_pattern_that_does_not_pair_is_refused(pattern, said, tmp_path, monkeypatch):
    make(tmp_path, {1: ("low/1.png", "high/1.png"), 2: ("low/2.png", "high/2.png")})
    write(tmp_path / "low/3.png", 3)
    (tmp_path / "low/3.dng").write_text("raw")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=said):
        load_pairs(pattern)


@pytest.mark.needs("home")
def test_only_the_first_arrow_divides_a_pattern(tmp_path, monkeypatch):
    make(tmp_path, {1: ("low/1.png", "b->c/1.png")})
    monkeypatch.chdir(tmp_path)
    assert values(load_pairs("low/{a}.png -> b->c/{a}.png")) == {"1": (1, 101)}


def test_pairs_of_a_pattern_whose_files_are_named_alike_have_their_paths_as_names(tmp_path, monkeypatch):
    make(tmp_path, {1: ("s1/d/1.png", "s1/l/1.png"), 2: ("s2/d/1.png", "s2/l/1.png")})
    monkeypatch.chdir(tmp_path)
    assert values(load_pairs("{s}/d/1.png -> {s}/l/1.png")) == {"s1/d/1": (1, 101), "s2/d/1": (2, 102)}


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
