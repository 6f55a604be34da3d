"""Pairs that do not fit together or cannot be fitted to are told by name, or refused."""

import numpy as np
import pytest
from skimage import data

from dimmagen.core.errors import UnknownNameError, UsageError
from dimmagen.dimmers import pair_problems
from dimmagen.dimmers.pair_problems import (
    PairProblem,
    accept_pairs,
    check_pairs,
    check_pairs_for_fit,
    refuse_mismatched_pairs,
    refuse_unsuitable_pairs,
)
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.images.codec import decode_rgb8
from tests.dimmers.made_pairs import darkened, pair, problems, scene
from tests.simulated_camera import SimulatedCamera


def test_a_good_pair_has_no_findings():
    assert problems(pair("good", darkened(scene()), scene())) == []


def test_unsuitable_pairs_are_reported_by_name_and_refused():
    light = scene()
    findings = check_pairs(
        [
            pair("good", darkened(light), light),
            pair("cropped", darkened(light)[:-1], light),
            pair("same", light, light),
            pair("turned", light, darkened(light)),
        ]
    )
    assert [(f.name, f.problem) for f in findings] == [
        ("cropped", "size"),
        ("same", "identical"),
        ("turned", "swapped"),
    ]
    with pytest.raises(UsageError, match=r"cropped.*same.*turned"):
        refuse_unsuitable_pairs(findings)


@pytest.mark.parametrize(
    ("sides", "said"), [("dark", "dark"), ("light", "light"), ("dark light", "dark and light")]
)
def test_a_pair_without_colours_is_refused(sides, said):
    """A gray file, or a surveillance camera that is infrared at night: noise ten times too strong."""
    light = scene()
    images = {"dark": darkened(light), "light": light}
    for side in sides.split():
        images[side] = np.repeat(images[side].mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    (problem,) = check_pairs([pair("ir", **images)])
    assert (problem.problem, problem.fatal, problem.mismatched) == ("gray", False, True)
    assert f"has no colours ({said})" in str(problem)


def test_a_small_pair_without_colours_is_refused_too():
    light = scene(size=(96, 96))
    dark = np.repeat(darkened(light)[..., :1], 3, axis=2)
    assert [problem.problem for problem in check_pairs([pair("ir", dark, light)])] == ["gray"]


@pytest.mark.parametrize(("one", "other"), [(0, 1), (1, 2), (0, 2)])
def test_an_image_of_which_two_channels_are_equal_has_colours(one, other):
    light = scene()
    light[..., other] = light[..., one]
    assert "gray" not in [problem for _, problem, _ in problems(pair("sunset", darkened(light), light))]


def test_an_overexposed_light_image_and_a_black_dark_image_are_reported():
    overexposed = scene()
    overexposed[:72] = 255
    black = darkened(scene())
    black[:120] = 0
    assert ("light", "saturated", False) in problems(pair("light", darkened(scene()), overexposed))
    assert ("dark", "saturated", False) in problems(pair("dark", black, scene()))


def test_a_pair_that_cannot_be_fitted_is_told_with_its_numbers():
    small, large = scene()[:40, :50], scene()[:41, :50]
    cropped, turned = pair("a", small, large), pair("b", small, small // 2)
    swapped = f"seems to be swapped: dark has mean {small.mean():.0f}, light {(small // 2).mean():.0f}"
    assert check_pairs([cropped, turned, pair("c", small, small)]) == [
        PairProblem("a", "size", "differs in size: dark 50x40, light 50x41", True),
        PairProblem("b", "swapped", swapped, True),
        PairProblem("c", "identical", "is the same picture twice", True),
    ]
    black = np.zeros_like(small)
    assert "is black twice" in str(*check_pairs([pair("e", black, black)]))
    mirrored = check_pairs([pair("d", small, small[::-1])])  # which is no darker
    assert [(one.problem, one.fatal) for one in mirrored] == [("alike", True)]


@pytest.mark.parametrize(
    ("white", "black", "level", "is_told"),
    [
        (25, 50, 250, False),
        (26, 0, 250, True),
        (26, 0, 249, False),
        (0, 51, 0, True),
    ],
)
def test_more_than_a_quarter_of_white_or_half_of_black_is_told(white, black, level, is_told):
    light, dark = (
        np.full((100, 32, 3), (200, 190, 180), np.uint8),
        np.full((100, 32, 3), (20, 19, 18), np.uint8),
    )
    light[:white], dark[:black] = level, 0
    text = f"is saturated: {white}% of the light picture white, {black}% of the dark one black"
    expected = [PairProblem("a", "saturated", text, False)]
    assert check_pairs([pair("a", dark, light)]) == (expected if is_told else [])


def test_one_channel_at_full_scale_is_no_white_and_one_at_zero_no_black():
    light, dark = np.full((100, 32, 3), 200, np.uint8), np.full((100, 32, 3), 20, np.uint8)
    light[..., 0], dark[..., 0] = 255, 0
    assert check_pairs([pair("a", dark, light)]) == []


def test_pairs_that_are_probably_none_are_refused_with_how_to_go_on():
    findings = [PairProblem(name, "shifted", "is off", False, name != "b") for name in "abca"]
    with pytest.raises(UsageError) as caught:
        refuse_mismatched_pairs(findings)
    assert caught.value.what == "pair a is off; pair c is off; pair a is off"
    assert caught.value.todo == 'leave them out with `hold_out="a,c"`, or accept them with `keep="a,c"`'
    assert caught.value.fields == {"names": ["a", "c"]}
    with pytest.raises(UsageError, match="pair c is off: "):
        refuse_mismatched_pairs(findings, ["a", "b"])
    refuse_mismatched_pairs(findings, ["a", "c"])
    copy = PairProblem("d", "repeated", "has two files of pair a", fatal=False, mismatched=True)
    with pytest.raises(UsageError) as caught:
        refuse_mismatched_pairs([*findings, copy])
    todo = 'remove the copies, leave the others out with `hold_out="a,c"`, or accept them with `keep="a,c,d"`'
    assert caught.value.todo == todo


def test_a_pair_to_keep_that_is_not_there_is_refused():
    light = scene()
    with pytest.raises(UnknownNameError, match=r"no pair named b to keep: the pairs are a$"):
        check_pairs_for_fit([pair("a", darkened(light), light)], keep=["a", "b"])
    assert check_pairs_for_fit([pair("a", darkened(light), light)], keep=["a"]) == []


def test_images_in_which_noise_cannot_be_measured_are_refused():
    light, dark = scene(), darkened(scene())
    assert problems(pair("strip", dark[:31], light[:31])) == [("strip", "small", True)]
    assert problems(pair("crop", dark[:32, :32], light[:32, :32])) == []


def test_a_score_or_a_training_run_of_images_that_are_no_pair_is_warned_of(caplog):
    """Evaluation data are as they are, but a wrong pair in them is said by name."""
    wrong = [pair(f"w{number}", darkened(scene(number + 10)), scene(number)) for number in range(7)]
    accept_pairs([pair("right", darkened(scene()), scene()), *wrong])
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said[0].startswith("pair w0 has no structure in common")
    assert len(said) == 6
    assert said[-1] == "2 more pairs do not fit together"
    with pytest.raises(UsageError, match="pair x is the same picture twice"):
        accept_pairs([pair("x", scene(), scene())])


@pytest.mark.parametrize(("height", "width", "is_told"), [(32, 32, False), (31, 33, True), (33, 31, True)])
def test_a_pair_with_a_side_below_32_pixels_is_too_small(height, width, is_told):
    light = scene()[:height, :width]
    text = f"is too small: {width}x{height}, with sides below 32"
    assert [(one.detail, one.fatal) for one in check_pairs([pair("a", light // 8, light)])] == [
        (text, True)
    ] * is_told


@pytest.mark.parametrize("count", [5, 6, 7])
def test_five_pairs_that_do_not_fit_are_warned_of_and_the_others_counted(count, monkeypatch, caplog):
    findings = [PairProblem(str(number), "shifted", "is off", False, True) for number in range(count)]
    monkeypatch.setattr(pair_problems, "check_pairs", lambda pairs: [*findings, *pairs])
    with caplog.at_level("WARNING", "dimmagen"):
        pair_problems.accept_pairs([PairProblem("x", "saturated", "is white", False)])
    more = [f"{count - 5} more pairs do not fit together"] if count > 5 else []
    assert caplog.messages == [f"pair {number} is off" for number in range(5)] + more
    with pytest.raises(UsageError, match="pair x is twice"):
        pair_problems.accept_pairs([PairProblem("x", "identical", "is twice", True)])


def test_small_pairs_are_no_problem_where_no_noise_is_measured():
    light = scene()[:20, :20]
    small = pair("a", light // 8, light)
    assert [(one.problem, one.fatal) for one in check_pairs([small])] == [("small", True)]
    pair_problems.accept_pairs([small])


def test_pairs_for_a_fit_are_refused_or_given_with_their_other_problems(monkeypatch):
    monkeypatch.setattr(pair_problems, "check_pairs", list)
    other, wrong = (PairProblem(name, "shifted", "is off", False, name == "b") for name in "ab")
    assert pair_problems.check_pairs_for_fit((other, wrong), ["b"]) == [other, wrong]
    with pytest.raises(UsageError, match="pair b is off"):
        pair_problems.check_pairs_for_fit((other, wrong))
    with pytest.raises(UsageError, match="pair c is twice"):
        pair_problems.check_pairs_for_fit((PairProblem("c", "identical", "is twice", True),), ["c"])


def underexposed(dark, share):
    """The dark image less exposed, of which a share is black."""
    level = np.quantile(dark.max(2), share)
    return np.clip(dark.astype(float) - level, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("share", [0.6, 0.8])
def test_a_dark_image_that_is_mostly_black_is_compared_where_it_is_not(share):
    """A night camera's pairs."""
    lights = [data.astronaut()[:384], data.coffee()[:384, :512], data.chelsea()[:300, :400]]
    darks = [underexposed(SimulatedCamera().shoot(light, 0), share) for light in lights]
    for dark, light in zip(darks, lights, strict=True):
        found = {finding.problem for finding in check_pairs([RealPair("night", dark, light, "", "")])}
        assert found == {"saturated"}
    found = check_pairs([RealPair("two scenes", darks[0], lights[1], "", "")])
    assert "unrelated" in {finding.problem for finding in found}
    shifted = np.roll(darks[0], 5, 1)
    found = check_pairs([RealPair("moved", shifted, lights[0], "", "")])
    assert [finding.mismatched for finding in found if finding.problem == "shifted"] == [True]


@pytest.mark.parametrize(
    ("position", "down", "across"),
    [("upside down", -1, -1), ("mirrored", 1, -1), ("flipped top to bottom", -1, 1)],
)
def test_an_image_that_is_turned_over_is_told_as_that(position, down, across):
    """A tool that turned one of the two, or dropped what its EXIF data say; a front camera's mirror image."""
    (finding,) = check_pairs(
        [pair("desk", np.ascontiguousarray(darkened(scene())[::down, ::across]), scene())]
    )
    assert (finding.problem, finding.mismatched) == ("unrelated", True)
    assert finding.detail == f"does not lie on itself: one of its images is {position}"


@pytest.mark.parametrize("side", ["dark", "light"])
def test_an_image_with_red_and_blue_exchanged_is_refused(side):
    """What `cv2.imwrite` makes of an RGB array: it has the structure and the brightness of its pair."""
    for light in (data.astronaut()[:384], data.coffee()[:384, :512], data.chelsea()[:300, :400], scene()):
        images = {"dark": SimulatedCamera().shoot(light, 0), "light": light}
        assert "channels" not in {finding.problem for finding in check_pairs([pair("a", **images)])}
        images[side] = np.ascontiguousarray(images[side][..., ::-1])
        (finding,) = [one for one in check_pairs([pair("a", **images)]) if one.problem == "channels"]
        assert (finding.fatal, finding.mismatched) == (False, True)


def test_shadows_of_another_tint_in_the_dark_image_are_no_exchanged_channels():
    """A red black offset, and a scene with bluish shadows: red is where the other image has blue."""
    gray = scene().mean(axis=2)
    light = np.clip(gray[..., None] + (250 - gray[..., None]) * [-0.2, 0, 0.2], 0, 249).astype(np.uint8)
    noise = np.random.default_rng(0).normal(0, 0.5, light.shape)
    dark = np.rint(gray[..., None] * [0.08, 0.08, 0.085] + [5, 3, 1] + noise)
    assert problems(pair("dusk", np.clip(dark, 0, 255).astype(np.uint8), light)) == []


@pytest.mark.parametrize(
    ("factor", "expected"),
    [
        (0.9, []),
        (0.97, [("alike", False, True)]),
        (1.03, [("alike", True, True)]),
        (1.1, [("swapped", True, False)]),
    ],
)
def test_two_images_of_one_brightness_are_refused(factor, expected):
    """A copy of the light image as JPEG has about its mean."""
    light = scene()
    noise = np.random.default_rng(0).normal(0, 2, light.shape)
    dark = np.clip(np.rint(light * factor + noise), 0, 255).astype(np.uint8)
    found = check_pairs([pair("copy", dark, light)])
    assert [(one.problem, one.fatal, one.mismatched) for one in found] == expected
    if "alike" in str(expected):
        assert f"has two images of one brightness (dark has mean {dark.mean():.0f}" in str(found[0])


@pytest.mark.parametrize(("bits", "found"), [(12, ["dim"]), (14, ["dim"]), (15, [])])
def test_a_light_image_that_is_dark_is_refused(bits, found):
    """Files of 16 bits with the 12 or 14 bits of a camera, of which the high bytes are read."""
    light = scene()
    light[:3] = 255
    dark = darkened(light, seed=2)
    images = [(image.astype(int) * 257 >> (16 - bits) >> 8).astype(np.uint8) for image in (dark, light)]
    findings = [one for one in check_pairs([pair("a", *images)]) if one.problem == "dim"]
    assert [one.problem for one in findings] == found
    if found:
        assert f"it reaches {2 ** (bits - 8) - 1} of 255" in str(findings[0])
        assert (findings[0].fatal, findings[0].mismatched) == (False, True)


@pytest.mark.parametrize(
    ("rows", "in_both", "mismatched"), [(16, False, True), (1, False, None), (40, True, None)]
)
def test_a_caption_or_a_lamp_in_the_dark_image_alone_is_refused(rows, in_both, mismatched):
    """A phone's caption below one image: the response curve would lead to it, and areas of 5 % decide it."""
    light = scene(size=(400, 304))
    dark = darkened(light)
    dark[-rows:] = 255
    light[-rows:] = 255 if in_both else light[-rows:]
    found = [one for one in check_pairs([pair("kitchen", dark, light)]) if one.problem == "brighter"]
    assert [(one.fatal, one.mismatched) for one in found] == ([(False, mismatched)] if mismatched else [])
    if mismatched:
        assert "brighter than the light one in 4.0% of its area" in str(found[0])


def test_a_small_lamp_is_told():
    light = scene(size=(400, 304))
    dark = darkened(light)
    dark[40:80, 80:120] = 255
    found = [one for one in check_pairs([pair("kitchen", dark, light)]) if one.problem == "brighter"]
    assert [(one.fatal, one.mismatched) for one in found] == [(False, False)]


def test_no_real_pair_is_brighter_in_its_dark_image(shared_data):
    for low in [*shared_data.glob("lol/dev15/low/*.png"), *shared_data.glob("cameras/*/low/*.png")]:
        dark, light = (
            decode_rgb8((low.parents[1] / side / low.name).read_bytes())[0] for side in ("low", "high")
        )
        assert pair_problems._brighter_share(dark, light) == 0


def test_pairs_of_several_cameras_are_told():
    """One profile of two cameras is that of neither."""
    names = ["Canon 5D", "", "Nikon D2X", "Canon 5D"]
    pairs = [
        RealPair(str(number), darkened(scene(number)), scene(number), "", "", camera=name)
        for number, name in enumerate(names)
    ]
    (finding,) = check_pairs(pairs)
    assert (finding.problem, finding.fatal, finding.mismatched) == ("camera", False, False)
    assert str(finding).startswith("pair 2 is of the camera Nikon D2X, others are of Canon 5D: ")
    assert check_pairs(pairs[:2]) == check_pairs(pairs[1:3]) == []
