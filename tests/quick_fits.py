"""Fits of profiles that are cut short, for tests that need a profile but are not about how it is fitted."""

import pytest

from dimmagen.dimmers.camera import noise_fit, response_fit
from dimmagen.dimmers.mdn.fit import fit_network

STEPS = 40  # of a network; the 2,000 of a whole fit take half a minute


def cut_fits(patch: pytest.MonkeyPatch) -> None:
    """Let each part of a fit stop early."""
    patch.setattr(fit_network, "__defaults__", (0, lambda done: None, STEPS))
    patch.setattr(response_fit, "EVALUATIONS", 3)
    patch.setattr(response_fit, "HELPED", 0.0)  # so that no search is continued
    patch.setattr(noise_fit, "ROUNDS", 1)
    patch.setattr(noise_fit, "LUMA_ROUNDS", 1)
    patch.setattr(noise_fit, "STRUCTURE_ROUNDS", 4)
    patch.setattr(noise_fit, "TAILS", (0.0, 5.0))
