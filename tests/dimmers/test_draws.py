"""Over thousands of pairs, the draws have the distribution that the paper and the profile specify.

Draws are functions of names, so the statistics are the same in every run.
"""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from dimmagen.core.errors import UsageError
from dimmagen.core.keyed_random import bits63
from dimmagen.dimmers.base import DimmerModel, Draw
from dimmagen.dimmers.closed_form import LinearModel
from dimmagen.dimmers.dimmer import ImageDimmer

LOW, HIGH, SPREAD = 0.5, 2.0, 0.3
LIMIT = 2.0  # ln exposure is clamped at this number of standard deviations
KEYS = [f"folder-{number:016x}" for number in range(2000)]
VARIANTS, SEEDS = (0, 1), (0, 1)
KINDS = ["gamma", "ln exposure", "noise seed"]


def dimmer(**settings) -> ImageDimmer:
    return ImageDimmer(
        LinearModel(exposure_spread=SPREAD, gamma_range=(LOW, HIGH)), "x", "0" * 64, **settings
    )


@pytest.fixture(scope="module")
def draws():
    """gamma, ln exposure and noise seed, each (key, variant, seed)."""
    draw = dimmer().draw
    found = [draw(*names) for names in itertools.product(KEYS, VARIANTS, SEEDS)]
    shape = (len(KEYS), len(VARIANTS), len(SEEDS))
    return {
        "gamma": np.array([one.gamma for one in found]).reshape(shape),
        "ln exposure": np.log([one.exposure for one in found]).reshape(shape),
        "noise seed": np.array([one.noise_seed for one in found]).reshape(shape),
    }


def test_gamma_is_uniform_in_its_range(draws):
    gamma = draws["gamma"].ravel()
    assert LOW <= gamma.min() < LOW + 0.002
    assert HIGH - 0.002 < gamma.max() <= HIGH
    assert stats.kstest(gamma, stats.uniform(LOW, HIGH - LOW).cdf).pvalue > 0.01


def test_ln_exposure_is_normal_and_clamped_at_two_standard_deviations(draws):
    standard = draws["ln exposure"].ravel() / SPREAD
    assert np.abs(standard).max() == pytest.approx(LIMIT, abs=1e-5)
    for side in (-1, 1):
        clamped = (side * standard > LIMIT - 1e-4).sum()
        assert stats.binomtest(int(clamped), standard.size, stats.norm.sf(LIMIT)).pvalue > 0.01
    inside = standard[np.abs(standard) < LIMIT - 1e-4]
    assert stats.kstest(inside, stats.truncnorm(-LIMIT, LIMIT).cdf).pvalue > 0.01


class ScatteredModel(LinearModel):
    balance_spread = (0.06, 0.03)
    noise_spread = 0.05


def test_white_balance_and_noise_level_have_tails_and_leave_the_other_draws_as_they_are():
    scattered = ImageDimmer(
        ScatteredModel(exposure_spread=SPREAD, gamma_range=(LOW, HIGH)), "x", "", temperature=2.0
    )
    found = [scattered.draw(key) for key in KEYS]
    balance = np.array([one.balance for one in found])
    warmth, tint = (balance[:, 0] - balance[:, 2]) / 2, balance[:, 1]
    level = np.log([one.tau / 2 for one in found])
    assert np.abs(balance.sum(1)).max() < 1e-5
    for values, scale in ((warmth, 0.06), (tint, 0.03), (level, 0.05)):
        inside = values[np.abs(values) < 3.9 * scale] / scale
        assert np.abs(values).max() < 4.001 * scale
        shares = stats.t(4).cdf(inside)
        assert (
            stats.kstest((shares - stats.t(4).cdf(-3.9)) / (1 - 2 * stats.t(4).cdf(-3.9)), "uniform").pvalue
            > 0.01
        )
    for one, other in itertools.combinations((warmth, tint, level), 2):
        assert stats.spearmanr(one, other).pvalue > 0.001
    plain = dimmer().draw(KEYS[0])
    assert (found[0].gamma, found[0].exposure, found[0].noise_seed) == (
        plain.gamma,
        plain.exposure,
        plain.noise_seed,
    )


def test_a_clip_and_a_ladder_have_one_white_balance_and_noise_level():
    model = ScatteredModel()
    clip = ImageDimmer(model, "x", "", group_by="clip")
    frames = [clip.draw(f"clip-00-{frame}") for frame in ("first", "last")]
    ladder = ImageDimmer(model, "x", "", ladder=(0.5, 1.0, 2.0))
    rungs = [ladder.draw("photo", variant) for variant in range(3)]
    for drawn in (frames, rungs):
        assert len({(one.tau, one.balance_red, one.balance_green, one.balance_blue) for one in drawn}) == 1
    assert frames[0].noise_seed != frames[1].noise_seed
    assert frames[0].of_frame(1).balance_red == frames[0].balance_red


def test_a_model_without_a_spread_has_the_same_exposure_in_every_pair():
    plain = ImageDimmer(LinearModel(), "x", "0" * 64)
    assert {plain.draw(key, variant).exposure for key in KEYS[:50] for variant in VARIANTS} == {1.0}


def test_every_pair_has_its_own_noise_seed_of_63_independent_bits(draws):
    seeds = draws["noise seed"].ravel()
    assert len(np.unique(seeds)) == seeds.size
    assert seeds.min() >= 0
    bits = (seeds[:, None] >> np.arange(63)) & 1
    deviations = (bits.mean(0) - 0.5) / (0.5 / np.sqrt(seeds.size))
    assert np.abs(deviations).max() < 4
    between = np.corrcoef(bits.T) - np.eye(63)
    assert np.abs(between).max() < 5 / np.sqrt(seeds.size)


@pytest.mark.parametrize("axis", [0, 1, 2], ids=["keys", "variants", "seeds"])
@pytest.mark.parametrize(("one", "other"), list(itertools.product(KINDS, repeat=2)))
def test_draws_of_two_keys_variants_or_seeds_are_independent(draws, one, other, axis):
    neighbours = np.arange(draws[one].shape[axis] - 1)
    first, second = draws[one].take(neighbours, axis), draws[other].take(neighbours + 1, axis)
    assert stats.spearmanr(first.ravel(), second.ravel()).pvalue > 0.001


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(KINDS, 2)))
def test_the_draws_of_one_pair_are_independent_of_each_other(draws, one, other):
    assert stats.spearmanr(draws[one].ravel(), draws[other].ravel()).pvalue > 0.001


def test_another_temperature_or_range_changes_no_other_draw():
    for change in ({"temperature": 0.5}, {"gamma_range": (0.1, 9.0)}):
        before, after = dimmer().draw("photo", 1, 2), dimmer(**change).draw("photo", 1, 2)
        assert (after.exposure, after.noise_seed) == (before.exposure, before.noise_seed)
    assert after.gamma == pytest.approx(0.1 + 8.9 * (before.gamma - LOW) / (HIGH - LOW), abs=1e-5)
    assert dimmer(temperature=0.5).draw("photo").tau == 0.5


@pytest.mark.parametrize(
    ("names", "drawn"),
    [
        (("photo", 0, 0), Draw(1.305745, 1.0, 1.039321, 4691352921441594870)),
        (("photo", 1, 0), Draw(0.720152, 1.0, 0.548812, 8305585707371170611)),
        (("coco-0123456789abcdef", 3, 20231009), Draw(1.343734, 1.0, 1.044689, 8022292574719822941)),
    ],
)
def test_a_name_has_the_draws_that_it_had_in_every_version(names, drawn):
    """They are recorded in the data sets that there are: another draw for a name is another data set."""
    assert dimmer().draw(*names) == drawn


NOISE, OF_NEXT = 4567833454460499271, 3290737782484957854
BALANCE, OF_NEXT_BALANCE = (1.012857, 0.994448, 0.992818), (1.009774, 1.039369, 0.95281)


def test_the_rungs_of_a_ladder_and_its_repetitions_have_the_draws_that_they_always_had():
    ladder = ImageDimmer(ScatteredModel(), "x", "", ladder=(0.12345678, 2, 1.0)).draw
    first = [Draw(gamma, 1.061631, 1.0, NOISE, *BALANCE) for gamma in (0.123457, 2.0, 1.0)]
    again = [Draw(gamma, 1.02816, 1.0, OF_NEXT, *OF_NEXT_BALANCE) for gamma in (0.123457, 2.0, 1.0)]
    assert [ladder("photo", variant, 5) for variant in range(6)] == first + again


def test_the_frames_of_a_clip_have_the_draws_that_they_always_had():
    model = ScatteredModel(exposure_spread=SPREAD, gamma_range=(LOW, HIGH))
    clip = ImageDimmer(model, "x", "", group_by="clip", temperature=2.0).draw
    for name in ("photo-first", "photo-last", "photo"):
        drawn = Draw(0.789091, 2.05632, 0.730928, clip(name, 1, 5).noise_seed, *OF_NEXT_BALANCE)
        assert clip(name, 1, 5) == drawn
    assert clip("photo", 1, 5).noise_seed == OF_NEXT
    assert clip("photo-1", 1, 5).gamma != 0.789091
    assert len({dimmer().draw(name).gamma for name in ("photo-first", "photo-last", "photo")}) == 3


class OnlyRed(LinearModel):
    balance_spread = (0.06, 0.0)


class OnlyGreen(LinearModel):
    balance_spread = (0.0, 0.03)


def test_a_white_balance_may_vary_along_one_axis_alone():
    red, green = (ImageDimmer(model(), "x", "").draw("photo").balance for model in (OnlyRed, OnlyGreen))
    assert red == pytest.approx([-red[2], 0.0, red[2]], abs=1e-6)
    assert green == pytest.approx([-green[1] / 2, green[1], -green[1] / 2], abs=2e-6)
    assert abs(red[2]) > 1e-3 < abs(green[1])


def test_a_frame_of_a_clip_has_a_noise_seed_of_its_own_and_all_else_of_the_draw():
    draw = Draw(0.5, 1.0, 1.5, 7, 1.1, 1.0, 0.9)
    assert draw.of_frame(0) == draw
    seeds = [bits63(7, "frame", frame, "noise") for frame in (1, 2)]
    assert [draw.of_frame(frame) for frame in (1, 2)] == [replace(draw, noise_seed=seed) for seed in seeds]
    plain = Draw(0.5, 1.0, 1.5, 7)
    assert plain.record() == {"gamma": 0.5, "tau": 1.0, "exposure": 1.5, "noise_seed": 7}
    assert plain.balance.tolist() == [0.0, 0.0, 0.0]
    assert draw.balance == pytest.approx(np.log([1.1, 1.0, 0.9]))


class FromBefore(LinearModel):
    """A model of a package that was written when there were no such draws."""

    def __getattribute__(self, name):
        if name in ("balance_spread", "noise_spread"):
            raise AttributeError(name)
        return super().__getattribute__(name)


def test_a_model_of_before_there_was_a_white_balance_draws_none():
    old = ImageDimmer(FromBefore(exposure_spread=SPREAD, gamma_range=(LOW, HIGH)), "x", "")
    assert old.scene_spreads == ((0.0, 0.0), 0.0)
    assert old.draw("photo") == dimmer().draw("photo")


class Seen(LinearModel):
    """Gives back what it was asked for."""

    def dim(self, light, draw):
        return ("image", light, draw)

    def dim_frame(self, light, draw, frame):
        return ("frame", light, draw, frame)


def test_one_image_is_dimmed_or_a_frame_of_a_clip_and_nothing_else():
    seen, light, draw = ImageDimmer(Seen(), "x", ""), np.zeros((2, 1, 3), np.uint8), Draw(1.0, 1.0, 1.0, 0)
    assert seen.dim(light, draw) == ("image", light, draw)
    assert seen.dim(light, draw, 3) == ("frame", light, draw, 3)
    for wrong in (light.astype(np.int8), light[:, :, 0], light[None], light[:, :, :2]):
        with pytest.raises(UsageError, match=r"`light` is"):
            seen.dim(wrong, draw)


class Echo(DimmerModel):
    def dim(self, light, draw):
        return light, draw


def test_a_frame_of_a_model_without_frames_is_an_image_of_its_own_draw():
    light, draw = np.zeros((2, 1, 3), np.uint8), Draw(1.0, 1.0, 1.0, 0)
    assert ImageDimmer(Echo(), "x", "").dim(light, draw, 3) == (light, draw.of_frame(3))


def test_what_is_not_given_is_the_first_variant_of_the_first_seed_and_what_the_model_says():
    assert dimmer().draw("photo") == dimmer().draw("photo", variant=0, seed=0)
    model = LinearModel(gamma_range=(0.5, 1.5))
    plain = {"profile": "x", "profile_fingerprint": "1", "model": "linear"}
    settings = {**plain, "gamma_range": [0.5, 1.5], "temperature": 1.0, **model.settings()}
    assert ImageDimmer(model, "x", "1").settings() == settings


def test_the_same_dimmer_with_other_gammas_keeps_all_but_its_ladder():
    base = dimmer(ladder=(0.5, 1.0), temperature=0.25, group_by="clip")
    changed = base.with_gammas(0.1, 0.2)
    expected = ImageDimmer(base.model, "x", "0" * 64, (0.1, 0.2), 0.25, (), "clip")
    assert vars(changed) == vars(expected)
