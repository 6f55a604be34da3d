"""Whether a fitted profile is good: what is held out, what is said about it, and the sheet that shows it."""

import io
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.profile import Profile
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.evaluation import profile_check
from dimmagen.evaluation.profile_check import ProfileCheck, Quality, check_profile, hold_out_pairs
from dimmagen.evaluation.profile_sheet import profile_sheet
from tests.cameras import camera
from tests.simulated_camera import simulated_light

CAMERA = camera(
    log_exposure=-2.2,
    balance=np.zeros(3),
    log_sigma=np.log([[2.0], [1.2], [1.6]]) + np.linspace(0.0, 0.4, 12),
    spatial=np.zeros(2),
    tail=0.0,
    chroma_tail=None,
    toe=np.zeros(3),
    skew=np.zeros((3, 12)),
)


def made_pairs(count: int = 3) -> list[RealPair]:
    pairs = []
    for index in range(count):
        light = simulated_light(index, 160, 192)
        dark = CAMERA.dim(light, Draw(1.0, 1.0, (0.8, 1.0, 1.25)[index % 3], 90 + index))
        pairs.append(RealPair(f"scene {index}", dark, light, f"dark {index}", f"light {index}"))
    return pairs


@pytest.fixture(scope="module")
def pairs():
    return made_pairs()


@pytest.fixture(scope="module")
def held_out(pairs):
    return hold_out_pairs(pairs)


def made_check(tone=0.0, colour=0.0, noise=0.0, luma_noise=0.0) -> ProfileCheck:
    """A check with these shares of plain darkening's error."""
    qualities = (Quality(profile=1 + 2 * share, linear=3.0, limit=1.0) for share in (tone, colour, noise))
    tone, colour, noise = qualities
    return ProfileCheck(
        pairs=3, held_out="a pair", tone=tone, colour=colour, noise=noise, luma_noise=luma_noise
    )


def test_a_fit_to_pairs_of_one_camera_is_close_to_it_on_each_pair_that_it_did_not_see(pairs, held_out):
    assert [one.images[0] for one in held_out] == ["scene 0", "scene 1", "scene 2"]
    check = check_profile(pairs, held_out)
    assert check.pairs == 3
    assert check.share < 0.3
    assert check.noise.profile < 0.35 < 0.8 < check.noise.linear
    assert check.tone.profile < check.tone.linear / 2
    assert check.verdict.startswith(("Very close to the camera. On the pair", "Close to the camera."))
    assert check.advice == ""


def test_what_is_said_of_a_pair_comes_from_a_fit_that_did_not_see_it(pairs, monkeypatch):
    fits = []

    def fitted(pairs, *_):
        fits.append(({pair.name for pair in pairs}, replace(CAMERA)))
        return fits[-1][1]

    monkeypatch.setattr(profile_check, "fit_camera", fitted)
    for one in hold_out_pairs(pairs):
        [seen] = [names for names, model in fits if model is one.dimmer.model]
        assert seen == {"scene 0", "scene 1", "scene 2"} - {one.images[0]}


def test_a_pair_with_other_noise_is_told(pairs, held_out, monkeypatch):
    """The fit that leaves it out is that of `held_out`."""
    monkeypatch.setattr(profile_check, "fit_camera", lambda *_: held_out[0].dimmer.model)
    quiet = CAMERA.dim(pairs[0].light, Draw(1.0, 0.3, 1.0, 7))
    mixed = [replace(pairs[0], dark=quiet), *pairs[1:]]
    check = check_profile(mixed, hold_out_pairs(mixed)[:1])
    assert check.luma_noise > 0.4
    assert "more noise than the camera's" in check.verdict


def test_of_one_pair_each_half_is_held_out_and_of_many_a_few_are_measured(monkeypatch):
    seen = []

    def fitted(pairs, seed, tiles_per_pair):
        seen.append([pair.name for pair in pairs])
        return CAMERA

    monkeypatch.setattr(profile_check, "fit_camera", fitted)
    found = hold_out_pairs(made_pairs(1))
    assert seen == [["scene 0, lower half"], ["scene 0, upper half"]]
    assert [one.images[0] for one in found] == ["scene 0, upper half", "scene 0, lower half"]
    seen.clear()
    many = [replace(made_pairs(1)[0], name=str(number), light_sha256=str(number)) for number in range(12)]
    done = []
    found = hold_out_pairs(many, progress=done.append)
    assert [len(names) for names in seen] == [8, 8, 8]
    assert [one.images[0] for one in found] == ["0", "6", "9", "1", "7", "10", "2", "8", "11"]
    assert [one.result.name for one in found] == [one.images[0] for one in found]
    assert done == [1 / 3, 2 / 3, 1.0]


def test_pairs_that_show_too_little_without_one_of_them_are_not_checked(pairs):
    black = [replace(pair, dark=np.zeros_like(pair.dark)) for pair in pairs]
    assert hold_out_pairs([pairs[0], *black[1:]]) == []
    assert check_profile(pairs, []) is None


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.1, "Very close to the camera."),
        (0.4, "Close to the camera."),
        (0.6, "Half-way between"),
        (0.9, "Hardly closer"),
        (1.3, "No closer to the camera than plain darkening."),
    ],
)
def test_the_verdict_follows_the_share_of_plain_darkenings_error(share, words):
    check = made_check(share, share, share)
    assert check.verdict.startswith(words)
    assert f"have {share:.0%} of the error of plain darkening" in check.verdict
    assert bool(check.advice) == (share > 0.5)


def test_the_advice_is_on_the_weakest_part_and_the_noise_is_told_in_percent():
    assert "white balance" in made_check(tone=0.5, colour=2.0, noise=0.5).advice
    assert "ISO" in made_check(tone=0.5, colour=0.5, noise=2.0).advice
    assert "(tone 90%, colour 10%, noise 0%)" in made_check(tone=0.9, colour=0.1).verdict
    assert "have 41% more noise" in made_check(luma_noise=0.5).verdict
    assert "have 29% less noise" in made_check(luma_noise=-0.5).verdict
    assert "have the camera's amount of noise" in made_check(luma_noise=0.01).verdict


def test_a_share_is_bounded_where_plain_darkening_is_as_good_as_the_camera():
    assert Quality(profile=1.0, linear=1.0, limit=1.0).share == 0.0
    assert Quality(profile=9.0, linear=1.0, limit=1.0).share == 2.0
    assert Quality(profile=0.5, linear=3.0, limit=1.0).share == 0.0


@pytest.mark.parametrize("kept", [None, 3, {}, {"pairs": "many"}, {"tone": float("nan")}])
def test_a_profile_from_elsewhere_may_remember_anything(kept):
    check = made_check(0.2)
    profile = Profile("mine", None, "0" * 64, "camera", {}, {profile_check.KEY: check.model_dump()})
    assert ProfileCheck.of_profile(profile) == check
    assert ProfileCheck.of_profile(replace(profile, provenance={profile_check.KEY: kept})) is None


def test_the_sheet_shows_curves_and_pictures_and_is_the_same_each_time(pairs, held_out):
    check = check_profile(pairs, held_out)
    named = [replace(one, images=("$x_{$", *one.images[1:])) for one in held_out[:1]] + held_out[1:]
    data = profile_sheet("手机 $a_{", CAMERA, check, named)  # neither a formula nor letters of the font
    assert data == profile_sheet("手机 $a_{", CAMERA, check, named)
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert pixels.shape == (750, 1100, 3)
    red = np.all(abs(pixels - [0xD1, 0x49, 0x5B]) < 12, axis=2)
    assert red[80:500, :370].sum() > 300  # the response curve
    assert red[80:500, 740:].sum() > 300  # the residuals
    crops = pixels[560:720]
    assert (np.ptp(crops, axis=2) > 20).mean() > 0.3  # noisy colours
    alone = np.asarray(Image.open(io.BytesIO(profile_sheet("x", CAMERA, None, []))))
    assert alone.shape == (520, 1100, 4)


def test_the_sheet_says_that_what_it_compares_with_pairs_is_a_fit_without_them(held_out, monkeypatch):
    said = []
    monkeypatch.setattr(Axes, "set_title", lambda panel, text, **_: said.append(text))
    monkeypatch.setattr(
        Axes, "legend", lambda panel, *_, **__: said.extend(panel.get_legend_handles_labels()[1])
    )
    profile_sheet("mine", CAMERA, made_check(), held_out[:2])
    assert sum(text.startswith("fit without it") for text in said) == 3  # the residuals, and two images
    assert said.count("this profile") == 1  # the response curve


@pytest.mark.parametrize("without", [(), ("highlights",)])
def test_the_response_curve_goes_on_to_the_middle_of_clipped_areas(without, monkeypatch):
    curves, plot = [], Axes.plot

    def recorded(panel, x, y, **options):
        if options.get("label") == "this profile":
            curves.append((x, y))
        return plot(panel, x, y, **options)

    monkeypatch.setattr(Axes, "plot", recorded)
    model = replace(CAMERA, headroom=1.4).switched_off(*without)
    profile_sheet("mine", model, None, [])
    [(light, dark)] = curves
    assert dark[:256] == pytest.approx(model.dark_levels().mean(0))
    white = model.curve.log_light(255.0) + model.light_shifts(np.ones(1))[0]
    middle = 0.0 if without else 1.4
    assert dark[-1] == pytest.approx(model.curve.level(white + middle).mean())
    assert (light[-1] > 255) == (not without)


def test_the_dark_images_of_one_light_image_are_held_out_together(monkeypatch):
    """As SID and bursts have them: with one of them fitted, the check of another is that of a known scene."""
    scenes = made_pairs(3)
    pairs = [replace(pair, name=f"{pair.name} {burst}") for pair in scenes for burst in range(2)]
    folds = profile_check._folds(pairs)
    assert len(folds) == 3
    for rest, measured in folds:
        lights = [{pair.light_sha256 for pair in some} for some in (rest, measured)]
        assert not lights[0] & lights[1]
        assert [len(some) for some in lights] == [2, 1]
    assert profile_check._held_out(pairs) == "pairs of scenes that a fit to the others did not see"
    of_one_light = pairs[:2]
    for rest, measured in profile_check._folds(of_one_light):
        halves = [{pair.name.rsplit(", ")[1] for pair in some} for some in (rest, measured)]
        assert len(rest) == len(measured) == 2
        assert not halves[0] & halves[1]
    assert profile_check._held_out(of_one_light) == "the half of the picture that a fit did not see"


def test_pairs_of_different_scenes_are_held_out_in_turns():
    pairs = made_pairs(7)
    names = [
        ([pair.name[-1] for pair in rest], [pair.name[-1] for pair in measured])
        for rest, measured in profile_check._folds(pairs)
    ]
    assert names == [
        ([*"1245"], [*"036"]),
        ([*"02356"], [*"14"]),
        ([*"01346"], [*"25"]),
    ]
    assert profile_check._held_out(pairs) == "pairs that a fit to the others did not see"
