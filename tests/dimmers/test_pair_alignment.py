"""Pairs that are shifted, turned or of two scenes are found, and noisy ones are not taken for these."""

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import affine_transform
from scipy.ndimage import shift as moved
from simulated_camera import SimulatedCamera

from dimmagen.core.errors import UsageError
from dimmagen.dimmers import pair_alignment, pair_problems
from dimmagen.dimmers.pair_alignment import PairDetail, shift_between, turn_of
from dimmagen.dimmers.pair_problems import (
    PairProblem,
    check_pairs,
    refuse_mismatched_pairs,
    refuse_unsuitable_pairs,
)
from dimmagen.dimmers.real_pairs import RealPair, load_pairs
from tests.dimmers.made_pairs import darkened, pair, problems, scene


def test_a_shifted_pair_is_reported_but_not_refused():
    light = scene()
    shifted = np.clip(moved(light.astype(float), (1.25, -2, 0), mode="nearest"), 0, 255)
    findings = check_pairs([pair("moved", darkened(shifted), light)])
    assert [(f.problem, f.fatal) for f in findings] == [("shifted", False)]
    rows, columns, _ = shift_between(darkened(shifted), light)
    assert (rows, columns) == (pytest.approx(1.25, abs=0.15), pytest.approx(-2, abs=0.15))
    refuse_unsuitable_pairs(findings)


def turned(image, degrees, scale):
    """The image with its content turned clockwise and enlarged about its middle."""
    angle = np.deg2rad(degrees)
    back = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / scale
    middle = (np.array(image.shape[:2]) - 1) / 2
    channels = [
        affine_transform(image[..., one].astype(float), back, middle - back @ middle, order=1, mode="nearest")
        for one in range(3)
    ]
    return np.stack(channels, axis=-1)


@pytest.mark.parametrize(("degrees", "scale"), [(1.2, 1.0), (0.0, 0.98), (-0.8, 1.015)])
def test_a_pair_that_is_turned_or_of_another_scale_is_refused_although_its_middle_fits(degrees, scale):
    light = scene(size=(272, 304))
    wrong = pair("off", darkened(turned(light, degrees, scale)), light)
    assert max(map(abs, shift_between(wrong.dark, light)[:2])) < 0.5  # all that was looked at
    found = turn_of(PairDetail.of(wrong.dark, light), 128, 0.75)
    assert found is not None
    assert found.degrees == pytest.approx(degrees, abs=0.15)
    assert found.scale == pytest.approx(scale, abs=0.003)
    assert [(one.problem, one.fatal, one.mismatched) for one in check_pairs([wrong])] == [
        ("turned", False, True)
    ]


def test_each_image_is_filtered_once_for_all_that_is_compared_of_it(monkeypatch):
    filtered, detail = [], pair_alignment._detail
    monkeypatch.setattr(pair_alignment, "_detail", lambda image: filtered.append(1) or detail(image))
    light = scene(5, (288, 352))
    for dark in (darkened(light), noisy(light, 14.0)):
        check_pairs([pair("a", dark, light)])
    assert len(filtered) == 4


def test_a_noisy_pair_of_a_phones_size_is_compared_by_what_is_larger_than_its_noise():
    """Pixel by pixel it had nothing in common, and was refused; the check took as long as the fit."""
    size = (1632, 1824)
    light = np.array(Image.fromarray(scene(size=(272, 304))).resize(size[::-1], Image.Resampling.BICUBIC))
    noise = np.random.default_rng(1).normal(0, 3, light.shape)
    dark = np.clip(np.rint(np.roll(light, (7, -4), (0, 1)) * 0.08 + noise), 0, 255).astype(np.uint8)
    rows, columns, error = shift_between(dark, light)
    assert (rows, columns) == pytest.approx((7, -4), abs=0.2)
    assert error < 0.6
    wrong = np.clip(np.rint(turned(light, 0.3, 1.004) * 0.08 + noise), 0, 255).astype(np.uint8)
    assert turn_of(PairDetail.of(wrong, light), 128, 0.75) == pytest.approx((0.3, 1.004, 8.1), rel=0.05)


def test_a_pair_of_which_one_part_has_moved_is_not_called_turned():
    light = scene(size=(272, 304))
    water = light.copy()
    water[136:, 152:] = np.roll(light, 8, axis=1)[136:, 152:]
    assert ("lake", "turned", False) not in problems(pair("lake", darkened(water), light))


def test_two_different_scenes_are_reported():
    assert problems(pair("mixed up", darkened(scene(5)), scene(6))) == [("mixed up", "unrelated", False)]


def noisy(light, deviation, seed=1):
    noise = np.random.default_rng(seed).normal(size=light.shape)
    return np.clip(np.rint(light * 0.12 + noise * deviation), 0, 255).astype(np.uint8)


def test_noise_or_a_part_that_moved_is_not_taken_for_another_scene():
    light = scene(5, (288, 352))
    moved = noisy(light, 1.5)
    moved[100:200, 120:240] = moved[:100, :120]
    for dark in (noisy(light, 14.0), moved):
        assert shift_between(dark, light)[2] > pair_problems.MAX_STRUCTURE_ERROR
        [found] = check_pairs([pair("a", dark, light)])
        assert (found.problem, found.fatal, found.mismatched) == ("hidden", False, False)
        assert "very noisy, or something moved" in str(found)
    for other in (scene(6, (288, 352)), light[:, ::-1], light[::-1]):
        assert problems(pair("a", noisy(np.ascontiguousarray(other), 14.0), light)) == [
            ("a", "unrelated", False)
        ]


def camera_pairs():
    for seed in range(3):
        light = scene(seed, (240, 320))
        yield pair(str(seed), SimulatedCamera().shoot(light, seed), light)


@pytest.mark.parametrize("origin", ["simulated", "real"])
def test_shifts_of_a_cameras_pairs_are_measured_to_a_tenth_of_a_pixel(origin, request):
    if origin == "simulated":
        originals = camera_pairs()
    else:
        originals = load_pairs(request.getfixturevalue("shared_data") / "lol", ["5", "44", "64"])
    for original in originals:
        rows, columns, error = shift_between(original.dark, original.light)
        assert max(abs(rows), abs(columns)) <= 0.15
        assert error < 0.5
        rolled = shift_between(np.roll(original.dark, (3, -2), (0, 1)), original.light)
        assert rolled[:2] == (pytest.approx(rows + 3, abs=0.1), pytest.approx(columns - 2, abs=0.1))


@pytest.mark.parametrize(
    ("shift", "found"),
    [
        ((0.5, -0.5, 0.75), []),
        ((0.0, 0.0, 0.76), [("unrelated", True)]),
        ((9.0, 9.0, 0.76), [("unrelated", True)]),
        ((0.51, 0.0, 0.75), [("shifted", False)]),
        ((0.0, -2.0, 0.0), [("shifted", False)]),
        ((0.0, -2.01, 0.0), [("shifted", True)]),
    ],
)
@pytest.mark.parametrize("side", [127, 128])
def test_pairs_with_another_structure_or_shift_are_told_from_128_pixels_on(side, shift, found, monkeypatch):
    monkeypatch.setattr(pair_problems, "shift_of", lambda detail: shift)
    light = np.full((side, 130, 3), 200, np.uint8)
    expected = [PairProblem("a", problem, said(shift, problem), False, wrong) for problem, wrong in found]
    assert check_pairs([pair("a", light // 8, light)]) == (expected if side == 128 else [])


def said(shift, problem):
    rows, columns, _ = shift
    return {
        "unrelated": "has no structure in common: two scenes, or nothing in the picture",
        "shifted": f"is shifted by {rows:+.2f} rows and {columns:+.2f} columns (tolerance 0.5)",
    }[problem]


@pytest.mark.filterwarnings("error")
def test_a_black_image_has_nothing_in_common_with_its_light_one():
    light = scene()
    assert problems(pair("cap", np.zeros_like(light), light)) == [
        ("cap", "unrelated", False),
        ("cap", "saturated", False),
    ]
    with pytest.raises(UsageError, match="no structure in common"):
        refuse_mismatched_pairs(check_pairs([pair("cap", np.zeros_like(light), light)]))


def test_pictures_of_one_colour_have_no_shift_and_nothing_in_common():
    flat = np.full((40, 50, 3), 200, np.uint8)
    for dark, light in ((flat // 8, scene()[:40, :50]), (scene()[:40, :50] // 8, flat)):
        assert shift_between(dark, light) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize(("shape", "said"), [((48, 64, 3), "on its side"), ((48, 65, 3), "light 65x48")])
def test_a_pair_of_which_one_lies_on_its_side_is_told_as_such(shape, said):
    dark, light = np.zeros((64, 48, 3), np.uint8), np.full(shape, 200, np.uint8)
    [problem] = check_pairs([RealPair("a", dark, light, "", "")])
    assert problem.fatal
    assert problem.detail.endswith(said)
