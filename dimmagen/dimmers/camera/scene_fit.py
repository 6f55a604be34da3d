"""Step 3 of the fit: how scenes differ, from the pairs and, where they are few, from what other cameras show.

Three pairs say little about how exposure, white balance and noise vary between scenes, and a single pair
nothing. Their variances are therefore pulled towards a prior, as with a scaled inverse chi-square
distribution. Where the prior comes from: docs/camera-model.md.
"""

import math

import numpy as np

from dimmagen.dimmers.camera.model import REFERENCE_LEVEL
from dimmagen.dimmers.camera.response import ResponseCurve

# Spread between scenes by prior knowledge, and the number of pairs that it counts for.
EXPOSURE, EXPOSURE_PAIRS = 0.45, 1.0  # standard deviation of ln(brightness)
# Scales of Student's t: of ln of red against blue, and of ln of green; then of ln of the noise's level.
WARMTH, TINT, BALANCE_PAIRS = 0.055, 0.033, 8.0
# Added to the white balance's spread between scenes when it is drawn, as variances add up: light also differs
# within a scene, which no draw does, and enhancers learn more for other scenes from a wider draw.
ADDED_WARMTH, ADDED_TINT = 0.095, 0.055
LEVEL, LEVEL_PAIRS = 0.06, 8.0
_DEGREES = 4.0  # of freedom, as they are drawn
_ROUNDS = 50
CAST_PAIRS = 4.0  # for which the prior counts that a camera has no colour cast of its own


def camera_cast(balances: np.ndarray) -> np.ndarray:
    """The camera's own white balance.

    Scenes differ more in their white balance than cameras, and a few of them much more: three pairs of one
    room under one lamp agree, and are all red. So the mean is pulled towards 0, and a scene counts less the
    further it is from the cast, as with a bivariate Student's t of the scales by prior knowledge.

    Args:
        balances: float64 (pairs, 3), of the pairs.

    Returns:
        float64 (3,), which sum to 0.
    """
    seen = np.stack([(balances[:, 0] - balances[:, 2]) / 2, balances[:, 1]], 1) / (WARMTH, TINT)
    cast = np.zeros(2)
    for _ in range(_ROUNDS):
        shares = (_DEGREES + 2) / (_DEGREES + ((seen - cast) ** 2).sum(1))
        cast = shares @ seen / (shares.sum() + CAST_PAIRS)
    warmth, tint = cast * (WARMTH, TINT)
    return np.array([warmth - tint / 2, tint, -warmth - tint / 2])


def exposure_spread(curve: ResponseCurve, log_exposures: np.ndarray) -> float:
    """Standard deviation of ln(brightness) between scenes.

    Args:
        curve: of the camera.
        log_exposures: float64 (pairs,), ln of the light factors of the pairs.
    """
    levels = curve.level(curve.log_light(REFERENCE_LEVEL) + log_exposures)
    return _spread(np.log(np.maximum(levels, 0.5)), EXPOSURE, EXPOSURE_PAIRS, tails=False)


def balance_spread(balances: np.ndarray) -> tuple[float, float]:
    """Spread of the white balance as it is drawn, as :class:`.CameraModel` has it.

    Args:
        balances: float64 (pairs, 3), of the pairs.

    Returns:
        The scales of ln of red against blue and of ln of green.
    """
    warmth = _spread((balances[:, 0] - balances[:, 2]) / 2, WARMTH, BALANCE_PAIRS)
    tint = _spread(balances[:, 1], TINT, BALANCE_PAIRS)
    return round(math.hypot(warmth, ADDED_WARMTH), 6), round(math.hypot(tint, ADDED_TINT), 6)


def noise_spread(levels: np.ndarray) -> float:
    """Spread of ln of the noise's level between scenes; argument: float64 (pairs,), that of each pair."""
    return _spread(levels, LEVEL, LEVEL_PAIRS)


def _spread(values: np.ndarray, prior: float, weight: float, tails: bool = True) -> float:
    """Spread of the values (pairs,), pulled to a prior that counts for `weight` pairs.

    With tails it is the scale of Student's t, by expectation maximisation: a value far from the others counts
    less (Lange, Little and Taylor, "Robust statistical modeling using the t distribution", 1989).
    """
    squares = (values - (np.median(values) if tails else values.mean())) ** 2
    spread = prior
    for _ in range(_ROUNDS if tails else 1):
        shares = (_DEGREES + 1) / (_DEGREES + squares / spread**2) if tails else np.ones_like(squares)
        total = weight * prior**2 + (shares * squares).sum()
        spread = float(np.sqrt(total / (weight + len(values) - 1)))
    return round(spread, 6)
