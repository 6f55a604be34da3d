"""How dark a data set is beside the pairs of its profile, as `inspect` says it."""

import numpy as np
import pytest

from dimmagen.dimmers.profile import open_profile
from dimmagen.evaluation.darkness import darkness

LOL3 = {"profile": "lol3", "profile_fingerprint": open_profile("lol3").fingerprint}


def test_the_shares_that_no_dark_picture_of_the_pairs_reaches_are_told():
    said = darkness(LOL3, np.array([0.01, 0.08, 0.2, 0.3]))
    assert said.startswith("50% of the dark images are brighter than any dark image of the profile's pairs")
    assert "(lightness 0.076 to 0.098), 25% darker; median 0.140, of the pairs 0.077" in said


@pytest.mark.parametrize(
    "settings",
    [
        {"profile": "linear", "profile_fingerprint": open_profile("linear").fingerprint},
        {**LOL3, "profile_fingerprint": "0" * 64},
        {**LOL3, "profile": "nowhere"},
        {"profile": "lol3 + lol8"},
    ],
)
def test_nothing_is_told_of_a_profile_without_pairs_or_that_is_not_here(settings):
    assert darkness(settings, np.array([0.1])) == ""
