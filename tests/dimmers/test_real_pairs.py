"""Pairs are read from folders and CSV files, and pairs that do not fit together are found."""

import hashlib

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import affine_transform, gaussian_filter
from scipy.ndimage import shift as moved
from simulated_camera import SimulatedCamera

from dimmagen.core.errors import DimmagenError, UnknownNameError, UsageError
from dimmagen.dimmers import pair_alignment, real_pairs
from dimmagen.dimmers.pair_alignment import PairDetail, shift_between, turn_of
from dimmagen.dimmers.real_pairs import (
    PairProblem,
    RealPair,
    accept_pairs,
    check_pairs,
    check_pairs_for_fit,
    load_pairs,
    refuse_mismatched_pairs,
    refuse_unsuitable_pairs,
    split_held_out,
)


def scene(seed=0, size=(144, 176)):
    """A smooth random light image, uint8 (H, W, 3), with structure at several scales."""
    noise = np.random.default_rng(seed).normal(size=(*size, 3))
    image = sum(gaussian_filter(noise, (s, s, 0)) * s for s in (1.5, 4, 10))
    image = (image - image.min()) / (image.max() - image.min())
    return (image * 220 + 20).astype(np.uint8)


def darkened(light, seed=1):
    noise = np.random.default_rng(seed).normal(size=light.shape)
    return np.clip(np.rint(light * 0.08 + noise * 1.5), 0, 255).astype(np.uint8)


def pair(name, dark, light):
    return RealPair(name, dark, light, "", "")


def problems(*pairs):
    return [(finding.name, finding.problem, finding.fatal) for finding in check_pairs(pairs)]


@pytest.fixture
def folder(tmp_path):
    for name in ("10", "9", "2"):
        for side, image in (("low", darkened(scene())), ("high", scene())):
            (tmp_path / side).mkdir(exist_ok=True)
            Image.fromarray(image).save(tmp_path / side / f"{name}.png")
    return tmp_path


def test_pairs_of_a_folder_are_read_in_natural_order_with_the_hashes_of_their_files(folder):
    pairs = load_pairs(folder)
    assert [p.name for p in pairs] == ["2", "9", "10"]
    assert pairs[0].dark_sha256 == hashlib.sha256((folder / "low" / "2.png").read_bytes()).hexdigest()
    assert np.array_equal(pairs[0].light, scene())
    assert np.array_equal(pairs[0].dark, darkened(scene()))


def test_numbers_within_names_are_sorted_by_value_too(folder):
    for old, new in (("10", "img10b"), ("9", "img9b"), ("2", "a2")):
        for side in ("low", "high"):
            (folder / side / f"{old}.png").rename(folder / side / f"{new}.png")
    assert [p.name for p in load_pairs(folder)] == ["a2", "img9b", "img10b"]


def test_a_pair_records_the_hash_of_each_file_and_the_jpeg_quality(folder):
    Image.fromarray(darkened(scene())).save(folder / "low" / "9.jpg", quality=71)
    (folder / "low" / "9.png").unlink()
    stored = {p.name: p for p in load_pairs(folder)}
    assert stored["9"].dark_sha256 == hashlib.sha256((folder / "low" / "9.jpg").read_bytes()).hexdigest()
    assert stored["9"].light_sha256 == hashlib.sha256((folder / "high" / "9.png").read_bytes()).hexdigest()
    assert (stored["9"].jpeg_quality, stored["2"].jpeg_quality) == (71, 0)


def test_a_folder_without_high_is_refused(folder):
    (folder / "high").rename(folder / "elsewhere")
    with pytest.raises(UsageError, match="low/ and high/"):
        load_pairs(folder)


def test_pairs_are_held_out_by_name_but_not_unknown_ones_and_not_all():
    pairs = [pair(name, scene()[:4], scene()[:4]) for name in "abc"]
    kept, held = split_held_out(pairs, ["c", "a"])
    assert ([p.name for p in kept], [p.name for p in held]) == (["b"], ["a", "c"])
    assert split_held_out(pairs, []) == (pairs, [])
    with pytest.raises(UsageError, match="there is no pair named d"):
        split_held_out(pairs, ["a", "d"])
    with pytest.raises(UsageError):
        split_held_out(pairs, ["a", "b", "c"])


def test_names_select_pairs_and_their_order(folder):
    assert [p.name for p in load_pairs(folder, ["10", "2"])] == ["10", "2"]


def test_an_unknown_name_is_reported_with_the_known_ones(folder):
    with pytest.raises(UsageError, match=r"no pair named 7.*it has 2, 9, 10"):
        load_pairs(folder, ["2", "7"])


@pytest.mark.needs("links")
def test_the_root_of_lol_stands_for_its_training_pairs(folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("lol")
    (root / "our485").symlink_to(folder)
    assert len(load_pairs(root)) == 3


@pytest.mark.parametrize("header", ["", "dark,light\n", "\ufeffDark,Light\n", "low, high\n", "\ufeff"])
def test_a_csv_of_two_columns_is_read_relative_to_itself(folder, header):
    """Spreadsheets write a byte order mark at the beginning."""
    listing = folder / "pairs.csv"
    listing.write_text(header + "low/9.png,high/9.png\nlow/2.png, high/2.png\n")
    assert [p.name for p in load_pairs(listing)] == ["9", "2"]


def test_a_missing_file_in_a_csv_is_reported_with_its_line(folder):
    listing = folder / "pairs.csv"
    listing.write_text("low/9.png,high/9.png\nlow/3.png,high/3.png\n")
    with pytest.raises(UsageError, match=r"line 2: there is no file .*3.png"):
        load_pairs(listing)


def test_an_image_without_a_partner_is_reported(folder):
    (folder / "low" / "9.png").unlink()
    with pytest.raises(UsageError, match=r"without a partner.*9"):
        load_pairs(folder)


def test_a_folder_without_pairs_is_refused_with_the_expected_layout(tmp_path):
    with pytest.raises(UsageError, match="low/ and high/"):
        load_pairs(tmp_path)


def test_a_truncated_image_is_reported_with_its_name(folder):
    file = folder / "high" / "2.png"
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(DimmagenError, match=r"2\.png: "):
        load_pairs(folder)


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
        assert shift_between(dark, light)[2] > real_pairs.MAX_STRUCTURE_ERROR
        [found] = check_pairs([pair("a", dark, light)])
        assert (found.problem, found.fatal, found.mismatched) == ("hidden", False, False)
        assert "very noisy, or something moved" in str(found)
    for other in (scene(6, (288, 352)), light[:, ::-1], light[::-1]):
        assert problems(pair("a", noisy(np.ascontiguousarray(other), 14.0), light)) == [
            ("a", "unrelated", False)
        ]


def test_an_overexposed_light_image_and_a_black_dark_image_are_reported():
    overexposed = scene()
    overexposed[:72] = 255
    black = darkened(scene())
    black[:120] = 0
    assert ("light", "saturated", False) in problems(pair("light", darkened(scene()), overexposed))
    assert ("dark", "saturated", False) in problems(pair("dark", black, scene()))


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


def test_a_pair_that_cannot_be_fitted_is_told_with_its_numbers():
    small, large = scene()[:40, :50], scene()[:41, :50]
    cropped, turned = pair("a", small, large), pair("b", small, small // 2)
    swapped = f"seems swapped: dark has mean {small.mean():.0f}, light {(small // 2).mean():.0f}"
    assert check_pairs([cropped, turned, pair("c", small, small)]) == [
        PairProblem("a", "size", "differs in size: dark 50x40, light 50x41", True),
        PairProblem("b", "swapped", swapped, True),
        PairProblem("c", "identical", "is twice the same picture", True),
    ]
    assert [one.problem for one in check_pairs([pair("d", small, small[::-1])])] == ["swapped"]


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
    monkeypatch.setattr(real_pairs, "shift_of", lambda detail: shift)
    light = np.full((side, 130, 3), 200, np.uint8)
    expected = [PairProblem("a", problem, said(shift, problem), False, wrong) for problem, wrong in found]
    assert check_pairs([pair("a", light // 8, light)]) == (expected if side == 128 else [])


def said(shift, problem):
    rows, columns, _ = shift
    return {
        "unrelated": "has no structure in common: two scenes, or nothing in the picture",
        "shifted": f"is shifted by {rows:+.2f} rows and {columns:+.2f} columns (tolerance 0.5)",
    }[problem]


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


def test_pictures_are_read_in_srgb_and_with_the_camera_that_took_the_dark_one(folder, monkeypatch):
    noted = []
    monkeypatch.setattr(real_pairs, "decode_rgb8", lambda data, **given: noted.append(given) or (data, None))
    exif = Image.Exif()
    exif[271], exif[272] = "NIKON", "D2X"
    Image.fromarray(darkened(scene())).save(folder / "low/2.png", exif=exif)
    assert [one.camera for one in load_pairs(str(folder), ["2", "9"])] == ["NIKON D2X", ""]
    assert noted == [{"color_managed": True}] * 4


def test_a_dark_picture_that_cannot_be_decoded_is_named(folder):
    (folder / "low/2.png").write_bytes(b"no picture")
    with pytest.raises(DimmagenError, match=r"low.2\.png: ") as caught:
        load_pairs(folder, ["2"])
    assert caught.value.fields == {"path": str(folder / "low/2.png")}


def test_a_pattern_is_read_as_one(folder):
    found = load_pairs(f"{folder}/low/{{a}}.png -> {folder}/high/{{a}}.png")
    assert [one.name for one in found] == ["2", "9", "10"]


def test_a_pair_that_is_there_twice_is_refused_and_never_to_be_held_out(folder):
    """A fit is checked on pairs that another fit did not see: with a copy of one it did."""
    for side in ("low", "high"):
        (folder / side / "copy.png").write_bytes((folder / side / "9.png").read_bytes())
    Image.fromarray(darkened(scene(3), 4)).save(folder / "low" / "10.png")
    Image.fromarray(scene(3)).save(folder / "high" / "10.png")
    findings = check_pairs(load_pairs(folder, ["9", "10", "copy"]))
    assert [(one.name, one.problem, one.fatal) for one in findings] == [("copy", "repeated", False)]
    with pytest.raises(UsageError, match=r"copy has the two files of pair 9: .*remove the copies, or accept"):
        refuse_mismatched_pairs(findings)
    refuse_mismatched_pairs(findings, ["copy"])
    assert [one.name for one in load_pairs(folder, ["9", "9"])] == ["9"]


def test_one_dark_image_of_two_scenes_or_one_scene_twice_is_no_repetition(folder):
    (folder / "low" / "9.png").write_bytes((folder / "low" / "2.png").read_bytes())
    Image.fromarray(darkened(scene(), 5)).save(folder / "low" / "10.png")
    found = [one.problem for one in check_pairs(load_pairs(folder, ["2", "10"]))]
    assert found == []


@pytest.mark.filterwarnings("error")
def test_a_black_image_has_nothing_in_common_with_its_light_one():
    light = scene()
    assert problems(pair("cap", np.zeros_like(light), light)) == [
        ("cap", "unrelated", False),
        ("cap", "saturated", False),
    ]
    with pytest.raises(UsageError, match="no structure in common"):
        refuse_mismatched_pairs(check_pairs([pair("cap", np.zeros_like(light), light)]))


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
    with pytest.raises(UsageError, match="pair x is twice the same picture"):
        accept_pairs([pair("x", scene(), scene())])


@pytest.mark.parametrize(("height", "width", "is_told"), [(32, 32, False), (31, 33, True), (33, 31, True)])
def test_a_pair_with_a_side_below_32_pixels_is_too_small(height, width, is_told):
    light = scene()[:height, :width]
    text = f"is too small: {width}x{height}, with sides below 32"
    assert [(one.detail, one.fatal) for one in check_pairs([pair("a", light // 8, light)])] == [
        (text, True)
    ] * is_told


def test_pictures_of_one_colour_have_no_shift_and_nothing_in_common():
    flat = np.full((40, 50, 3), 200, np.uint8)
    for dark, light in ((flat // 8, scene()[:40, :50]), (scene()[:40, :50] // 8, flat)):
        assert shift_between(dark, light) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize("count", [5, 6, 7])
def test_five_pairs_that_do_not_fit_are_warned_of_and_the_others_counted(count, monkeypatch, caplog):
    findings = [PairProblem(str(number), "shifted", "is off", False, True) for number in range(count)]
    monkeypatch.setattr(real_pairs, "check_pairs", lambda pairs: [*findings, *pairs])
    with caplog.at_level("WARNING", "dimmagen"):
        real_pairs.accept_pairs([PairProblem("x", "saturated", "is white", False)])
    more = [f"{count - 5} more pairs do not fit together"] if count > 5 else []
    assert caplog.messages == [f"pair {number} is off" for number in range(5)] + more
    with pytest.raises(UsageError, match="pair x is twice"):
        real_pairs.accept_pairs([PairProblem("x", "identical", "is twice", True)])


def test_small_pairs_are_no_problem_where_no_noise_is_measured():
    light = scene()[:20, :20]
    small = pair("a", light // 8, light)
    assert [(one.problem, one.fatal) for one in check_pairs([small])] == [("small", True)]
    real_pairs.accept_pairs([small])


def test_pairs_for_a_fit_are_refused_or_given_with_their_other_problems(monkeypatch):
    monkeypatch.setattr(real_pairs, "check_pairs", list)
    other, wrong = (PairProblem(name, "shifted", "is off", False, name == "b") for name in "ab")
    assert real_pairs.check_pairs_for_fit((other, wrong), ["b"]) == [other, wrong]
    with pytest.raises(UsageError, match="pair b is off"):
        real_pairs.check_pairs_for_fit((other, wrong))
    with pytest.raises(UsageError, match="pair c is twice"):
        real_pairs.check_pairs_for_fit((PairProblem("c", "identical", "is twice", True),), ["c"])


@pytest.mark.parametrize(("shape", "said"), [((48, 64, 3), "on its side"), ((48, 65, 3), "light 65x48")])
def test_a_pair_of_which_one_lies_on_its_side_is_told_as_such(shape, said):
    dark, light = np.zeros((64, 48, 3), np.uint8), np.full(shape, 200, np.uint8)
    [problem] = check_pairs([RealPair("a", dark, light, "", "")])
    assert problem.fatal
    assert problem.detail.endswith(said)
