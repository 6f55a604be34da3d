"""How much brighter than white the scene is where the light images are clipped.

With a response that was fitted without clipped light, each pair shows the light of its clipped pixels, above
its white, in its dark image. It is regressed on the rise that the model gives them.
"""

from collections.abc import Sequence

import numpy as np

from dimmagen.dimmers.camera.highlights import CLIPPED, code_rises, encode_light
from dimmagen.dimmers.camera.response import ResponseCurve
from dimmagen.dimmers.camera.response_fit import PairResponses
from dimmagen.dimmers.real_pairs import RealPair

BRIGHTEST = 249  # light level: brighter ones are clipped in part, in a blur of their neighbourhood
PRIOR, PRIOR_PAIRS = 0.9, 1.0  # headroom before any pair is seen, and the pairs that it counts for
LARGEST_SHOWN = 3.0  # in a dark image four stops darker, as brackets are, what is brighter is clipped too
SMALLEST = 0.8  # a smaller headroom is not worth the code: docs/camera-model.md
_LITTLE = 1.5e-3  # mean square of the rise with which a pair counts for half
_MOST = 1_000_000  # pixels of a pair
_BLACK = 0.5  # grey levels


def headroom(pairs: Sequence[RealPair], responses: PairResponses) -> float:
    """ln of the light in the middle of clipped areas to white; 0 below `SMALLEST`.

    Args:
        pairs: with their light images as they are.
        responses: of the pairs, fitted to light levels up to `BRIGHTEST`.
    """
    curve = ResponseCurve(responses.log_slopes)
    ends = responses.log_exposures[:, None] + responses.balances
    total, weight = PRIOR * PRIOR_PAIRS, PRIOR_PAIRS
    for pair, end in zip(pairs, ends, strict=True):
        found, counts = _shown(pair, curve, end)
        total += counts * found
        weight += counts
    return round(total / weight, 3) if total >= SMALLEST * weight else 0.0


def _shown(pair: RealPair, curve: ResponseCurve, end: np.ndarray) -> tuple[float, float]:
    """The headroom that a pair shows, in [0, `LARGEST_SHOWN`], and what it counts for, in [0, 1)."""
    rises, dark = _rises(pair)
    clipped = rises > 0
    if not clipped.any():
        return 0.0, 0.0
    above = curve.log_light(np.maximum(dark, _BLACK)) - (curve.log_light(255.0) + end)
    found = float((rises * above)[clipped].sum() / (rises[clipped] ** 2).sum())
    return min(max(found, 0.0), LARGEST_SHOWN), _weight(rises)


def _weight(rises: np.ndarray) -> float:
    power = float((rises**2).mean())
    return power / (power + _LITTLE)


def _rises(pair: RealPair) -> tuple[np.ndarray, np.ndarray]:
    """Share of the headroom, 0 where the light is not clipped, and dark level: (H', W', 3) each."""
    height, width = pair.light.shape[:2]
    step = max(1, int(np.ceil(np.sqrt(height * width / _MOST))))
    codes = encode_light(pair.light, pair.light)[::step, ::step]
    clipped = pair.light[::step, ::step] >= CLIPPED
    return np.where(clipped, code_rises()[codes], 0.0), pair.dark[::step, ::step]
