"""How dark a data set is compared with the pairs that its profile was fitted to, in words."""

from collections.abc import Mapping

import numpy as np

from dimmagen.core.errors import DimmagenError
from dimmagen.dimmers.pair_facts import PairFacts
from dimmagen.dimmers.profile import open_profile


def darkness(settings: Mapping, lightness: np.ndarray) -> str:
    """Share of a data set's dark images that are brighter or darker than any dark image of the pairs.

    Args:
        settings: of the data set's manifest.
        lightness: float (N,), of its dark images in [0, 1].

    Returns:
        A few words; empty if the profile is a formula, is not here, or remembers no pairs.
    """
    try:
        profile = open_profile(str(settings["profile"]), settings.get("profile_fingerprint"))
    except DimmagenError:
        return ""
    facts = PairFacts.of_profile(profile)
    if facts is None or profile.fingerprint != settings.get("profile_fingerprint"):
        return ""
    low, high = facts.dark[0], facts.dark[-1]
    brighter, darker = float((lightness > high).mean()), float((lightness < low).mean())
    return (
        f"{brighter:.0%} of the dark images are brighter than any dark image of the profile's pairs "
        f"(lightness {low:.3f} to {high:.3f}), {darker:.0%} darker; median {np.median(lightness):.3f}, "
        f"of the pairs {np.median(facts.dark):.3f}"
    )
