"""Step 1 of the fit: one response curve and black offsets of a camera, one light factor for each pair.

The mean dark level of every light level, on flat areas, is explained by robust least squares.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.optimize import OptimizeResult, least_squares
from scipy.sparse import coo_array
from scipy.special import ndtr

from dimmagen.core.errors import DimmagenError
from dimmagen.dimmers.camera.model import toe_level
from dimmagen.dimmers.camera.response import BLACK, KNOTS, ResponseCurve, level_axis
from dimmagen.dimmers.camera.tiles import Tile

SMOOTHING = 1.5  # pixels: reduces the noise before mean levels are measured
ASSUMED_NOISE = 1.2  # grey levels, until it is known: only to predict how clipping at black raises the mean
# How the log-slopes are pulled towards those of the standard response, in residuals of a grey level: each by
# itself, but the last one (of highlights, which cameras compress as they like) hardly, and their second
# differences. Chosen by five splits of LOL and eight of two other cameras.
PULL = np.array([80.0] * (KNOTS - 1) + [4.0])
SMOOTHNESS = 60.0
UNPULLED = 0.3 / 80.0  # the share of PULL that only settles the scale of log light
# Grey levels by which one curve misses the mean levels of pairs. Pairs that it misses by less show more of
# their response than those of LOL and two other cameras (0.32 to 1.4), and are pulled less.
USUAL_MISFIT = 0.3
EVALUATIONS, MORE_EVALUATIONS = 60, 20  # of the residuals: at first, and each time that they helped
HELPED = 0.99  # of the cost or less: more evaluations were worth it
# Of the solver of each step. Its own limit is the number of unknowns, with which time grows with the square
# of the pairs; those of up to 11 pairs are no more than this.
SOLVER_ITERATIONS = 50
TOE_PULL = 3.0  # of the black offsets towards 0, in residuals of a grey level: dark areas must show them


NoiseOfLevels = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray | float, np.ndarray | float]]
"""(dark level (N,), channel (N,)) -> deviation and bend of the noise there, (N,) each or one for all: see
:func:`clipped_mean`."""


def assumed_noise(level: np.ndarray, channel: np.ndarray) -> tuple[float, float]:
    """The noise of a camera of which nothing is known yet."""
    return ASSUMED_NOISE, 0.0


@dataclass(frozen=True, eq=False)
class PairResponses:
    """How a camera responded to the light of each pair.

    Attributes:
        log_slopes: float64 (14,), of the response curve.
        log_exposures: float64 (pairs,), ln of each pair's light factor.
        balances: float64 (pairs, 3), difference of each channel's ln light factor from the pair's.
        toe: float64 (3,), black offset of each channel, see :func:`toe_level`.
    """

    log_slopes: np.ndarray
    log_exposures: np.ndarray
    balances: np.ndarray
    toe: np.ndarray


@dataclass(frozen=True, eq=False)
class _Levels:
    """Mean dark level of each light level: arrays (N,) of pair, channel, light level, dark mean, weight."""

    pair: np.ndarray
    channel: np.ndarray
    light: np.ndarray
    dark: np.ndarray
    weight: np.ndarray


def _level_means(tiles: Sequence[Tile], pairs: int, brightest: int = 255) -> _Levels:
    count = np.zeros((pairs, 3, 256))
    total = np.zeros((pairs, 3, 256))
    for tile in tiles:
        smooth = (SMOOTHING, SMOOTHING, 0)
        light = gaussian_filter(tile.light, smooth)[tile.flat].round().astype(int)
        dark = gaussian_filter(tile.dark, smooth)[tile.flat]
        for c in range(3):
            count[tile.pair, c] += np.bincount(light[:, c], minlength=256)
            total[tile.pair, c] += np.bincount(light[:, c], dark[:, c], minlength=256)
    pair, channel, level = np.nonzero(count[:, :, : brightest + 1])
    pixels = count[pair, channel, level]
    enough = 1e-3 * count.sum(2).max()  # the mean of a level with this many pixels is accurate
    mean = total[pair, channel, level] / pixels
    return _Levels(pair, channel, level, mean, np.minimum(pixels / enough, 1.0))


def fit_response(
    tiles: Sequence[Tile], pairs: int, brightest: int = 255, noise: NoiseOfLevels = assumed_noise
) -> PairResponses:
    """Fit the responses.

    Args:
        tiles: of all pairs.
        pairs: number of pairs.
        brightest: light level above which a light image does not tell the light.
        noise: of the camera.

    Raises:
        DimmagenError: the pairs contain too little signal (black or blank images).
    """
    levels = _level_means(tiles, pairs, brightest)
    if len(levels.light) < 3 * KNOTS or levels.dark.max() < 2:
        raise DimmagenError(
            "the pairs show too few grey levels to fit a response curve",
            "give pairs whose dark images are not black and whose light images are not blank",
            code="unsuitable-pairs",
        )
    standard, weight, sparsity = standard_log_slopes(), np.sqrt(levels.weight), _sparsity(levels, pairs)

    def unpack(values: np.ndarray) -> PairResponses:
        red, blue = values[KNOTS + pairs : -3].reshape(2, pairs)
        balances = np.stack([red, -red - blue, blue], 1)
        return PairResponses(values[:KNOTS], values[KNOTS : KNOTS + pairs], balances, values[-3:])

    def errors(response: PairResponses) -> np.ndarray:
        curve = ResponseCurve(response.log_slopes)
        shift = response.log_exposures[levels.pair] + response.balances[levels.pair, levels.channel]
        level = curve.level(curve.log_light(levels.light) + shift)
        offset = toe_level(level, response.toe[levels.channel])
        return clipped_mean(level - offset, *noise(level, levels.channel)) - levels.dark

    def minimised(start: np.ndarray, pulled: float) -> np.ndarray:
        def residuals(values: np.ndarray) -> np.ndarray:
            response = unpack(values)
            departure = response.log_slopes - standard
            return np.concatenate(
                [
                    weight * errors(response),
                    SMOOTHNESS * np.diff(departure, 2),
                    pulled * PULL * departure,
                    3.0 * response.balances.ravel(),
                    TOE_PULL * response.toe,
                ]
            )

        return _minimised(residuals, start, sparsity)

    exposures = _first_exposures(levels, pairs, ResponseCurve(standard))
    unpulled = minimised(np.concatenate([standard, exposures, np.zeros(2 * pairs + 3)]), UNPULLED)
    misfit = np.average(np.abs(errors(unpack(unpulled))), weights=levels.weight)
    return unpack(minimised(unpulled, min(misfit / USUAL_MISFIT, 1.0)))


def standard_log_slopes() -> np.ndarray:
    """Log-slopes (14,), see :class:`.ResponseCurve`, of the transfer function of sRGB (IEC 61966-2-1).

    Half a level is added to each level: what is stored as 0 is not without light.
    """
    level = np.linspace(level_axis(0.0), 0.0, KNOTS)
    level = np.exp(level) * (255 + BLACK) - BLACK
    value = (level + 0.5) / 255
    slope = np.where(value <= 0.04045, 1 / value, 2.4 / (value + 0.055))  # of ln light over the value
    return np.log(slope * (level + BLACK) / 255)


def _first_exposures(levels: _Levels, pairs: int, curve: ResponseCurve) -> np.ndarray:
    """The ln of each pair's light factor with a given response: the median over its levels."""
    ratios = curve.log_light(levels.dark) - curve.log_light(levels.light)
    return np.array([np.median(ratios[levels.pair == pair]) for pair in range(pairs)])


def _minimised(
    residuals: Callable[[np.ndarray], np.ndarray], start: np.ndarray, sparsity: coo_array
) -> np.ndarray:
    """The unknowns with the least robust cost; the search continues as long as the cost falls."""

    def search(begin: np.ndarray, evaluations: int) -> OptimizeResult:
        options = {"jac_sparsity": sparsity, "tr_solver": "lsmr", "max_nfev": evaluations}
        most = {"maxiter": min(len(begin), SOLVER_ITERATIONS)}
        return least_squares(residuals, begin, loss="soft_l1", tr_options=most, **options)

    found = search(start, EVALUATIONS)
    while found.status == 0:  # it was stopped before it was at a minimum
        further = search(found.x, MORE_EVALUATIONS)
        if further.cost > HELPED * found.cost:
            break
        found = further
    return np.asarray(found.x)


def _sparsity(levels: _Levels, pairs: int) -> coo_array:
    """Which residual depends on which unknown: those of a pair or channel affect only its own levels."""
    data = np.arange(len(levels.pair))
    toe = KNOTS + 3 * pairs
    of_pair = [KNOTS + block * pairs + levels.pair for block in range(3)]
    own = (*of_pair, toe + levels.channel)
    rows = [np.repeat(data, KNOTS), *[data] * 4]
    columns = [np.tile(np.arange(KNOTS), len(data)), *own]
    bend, pull = len(data), len(data) + KNOTS - 2
    rows += [bend + np.repeat(np.arange(KNOTS - 2), 3), pull + np.arange(KNOTS)]
    columns += [(np.arange(KNOTS - 2)[:, None] + np.arange(3)).ravel(), np.arange(KNOTS)]
    balance = pull + KNOTS + np.repeat(np.arange(3 * pairs), 2)
    rows.append(balance)
    columns.append(KNOTS + pairs + np.tile([0, pairs], 3 * pairs) + np.repeat(np.arange(pairs), 6))
    toe_pull = pull + KNOTS + 3 * pairs
    rows.append(toe_pull + np.arange(3))
    columns.append(toe + np.arange(3))
    row, column = np.concatenate(rows), np.concatenate(columns)
    return coo_array((np.ones(len(row)), (row, column)), (toe_pull + 3, toe + 3))


def clipped_mean(
    level: np.ndarray, deviation: np.ndarray | float = ASSUMED_NOISE, bend: np.ndarray | float = 0.0
) -> np.ndarray:
    """Mean of a dark level after clipping at black.

    Args:
        level: float (N,), before clipping.
        deviation, bend: of the noise, which adds deviation · z + bend · (z² - 1) for a normal z, grey levels;
            the bend counts to first order.
    """
    ratio = level / deviation
    density = np.exp(-(ratio**2) / 2) / np.sqrt(2 * np.pi)
    return level * ndtr(ratio) + deviation * density - bend * ratio * density
