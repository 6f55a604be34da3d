"""Over thousands of pairs, the draws have the distribution that the paper and the profile specify.

Draws are functions of names, so the statistics are the same in every run.
"""

import itertools

import numpy as np
import pytest
from scipy import stats

from dimmagen.dimmers.base import Draw
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
