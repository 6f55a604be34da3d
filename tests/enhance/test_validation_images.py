"""Strips of validation images: what they show, and how many there are."""

from dataclasses import replace

import numpy as np
import pytest

from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.enhance import validation_images
from dimmagen.enhance.validation_images import MAX_STRIPS, Strip, strip_is_due


def pair(value):
    light = np.full((20, 30, 3), value, np.uint8)
    return RealPair(f"scene{value}", light // 10, light, "", "")


def test_dark_output_and_truth_are_side_by_side_for_the_first_pairs():
    strip = Strip(2)
    for value in (200, 100, 50):
        strip(pair(value), np.full((20, 30, 3), value - 30, np.uint8))
    image = strip.image()
    shown = [tuple(image[row + 12, 10 + 326 * column]) for row in (20, 66) for column in range(3)]
    assert [value for value, _, _ in shown] == [20, 170, 200, 10, 70, 100]
    assert image.shape[0] < 3 * 46


def test_a_pair_has_its_whole_name_or_what_fits_of_its_end(monkeypatch):
    texts = []
    monkeypatch.setattr(validation_images, "image_grid", lambda rows: texts.extend(row[0][0] for row in rows))
    strip = Strip(2)
    for name in ("imagenet-0123456789abcdef-v12", f"{'a' * 40}-v3"):
        strip(replace(pair(100), name=name), np.zeros((20, 30, 3), np.uint8))
    strip.image()
    assert [text.partition(": dark")[0] for text in texts] == [
        "imagenet-0123456789abcdef-v12",
        f"…{'a' * 28}-v3",
    ]


def test_without_pairs_there_is_no_strip():
    strip = Strip(0)
    strip(pair(100), np.zeros((20, 30, 3), np.uint8))
    assert strip.image() is None


@pytest.mark.parametrize("validations", [1, 2, 49, 50, 51, 101, 5000])
def test_their_number_is_bounded_and_the_last_validation_has_one(validations):
    due = [number for number in range(1, validations + 1) if strip_is_due(number, validations)]
    assert due[-1] == validations
    assert min(validations, MAX_STRIPS // 2) <= len(due) <= MAX_STRIPS + 1
