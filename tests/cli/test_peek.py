"""`dimmagen peek`: the pair and its record, or what to type instead."""

import numpy as np

from dimmagen.cli.peek import image_text
from dimmagen.dataset.reader import open_pairs
from tests.commands import exit_code


def peek(capsys, *arguments):
    return exit_code("peek", *arguments), capsys.readouterr()


def test_a_pair_is_found_by_the_beginning_of_its_key(pair_set, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    row = open_pairs(pair_set).row(3)
    code, shown = peek(capsys, pair_set, row["key"])
    assert code == 0
    assert row["dark_pixel_sha256"] in shown.out
    assert shown.out.count("▀") > 1000
    unique = row["light_key"][:14]
    code, shown = peek(capsys, pair_set, unique)
    assert code == 2
    assert f"2 keys begin with '{unique}'" in shown.err


def test_without_a_key_the_first_pair_is_shown(pair_set, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    code, shown = peek(capsys, pair_set)
    assert code == 0
    assert open_pairs(pair_set).row(0)["dark_pixel_sha256"] in shown.out


def test_an_unknown_key_is_reported(pair_set, capsys):
    code, shown = peek(capsys, pair_set, "coco-0")
    assert code == 2
    assert "has no pair 'coco-0'" in shown.err


def test_characters_have_the_colours_of_the_image():
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[:2] = (200, 10, 30)
    text = image_text(pixels, 2)
    style = text.spans[0].style
    assert style.color.triplet == (200, 10, 30)
    assert style.bgcolor.triplet == (0, 0, 0)
