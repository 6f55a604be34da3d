"""Step 2 of the fit: the noise, by simulating dark images until they have the noise of the real ones."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dimmagen.core.threads import in_threads
from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.camera import kernel
from dimmagen.dimmers.camera.block_noise import (
    MeasuredNoise,
    cells_of_blocks,
    over_all_blocks,
    structure_of_blocks,
)
from dimmagen.dimmers.camera.luma_fit import channel_ratios, luma_share, pairs_of_blocks
from dimmagen.dimmers.camera.model import LARGEST_SKEW, CameraModel
from dimmagen.dimmers.camera.response import SIGMA_KNOTS, level_axis, sigma_axis
from dimmagen.dimmers.camera.response_fit import PairResponses
from dimmagen.dimmers.camera.structure_fit import (
    CERTAINTY,
    FIRST_STEP,
    IMPROVEMENT,
    MEDIAN_ERROR,
    SMALLEST_STEP,
    MeasuredStructure,
    few_tiles,
    measured_structure,
    misfit,
    missing_banding,
    quiet_parts,
    updated_banding,
    updated_filters,
    visible_banding,
    visible_lags,
    with_filters,
)
from dimmagen.dimmers.camera.tiles import Tile
from dimmagen.metrics.realism import noise

ROUNDS = 8
LUMA_ROUNDS = 3  # after these, with noise that depends on luma; as many as before where it does
COMPARISON = (31, 32, 33, 34)  # numbers of simulations, other than those of the rounds
LEAST_SHARE = 0.5  # of luma in what the noise depends on
STRUCTURE_ROUNDS = 14  # with noise of their own, after the others
LAST_ROUNDS = 3  # of them, in which the filters are those that fitted best, and the rest adapts
FEW_PIXELS = 2000.0  # knots with fewer pixels depend mostly on their neighbours
SMALLEST_EIGENVALUE = 1e-3
LEAST_POWER = 0.05  # grey levels squared, of rounding to 8 bits: a pair with less noise shows no level
SKEW_STEP = 0.15  # of s for each unit of skewness, of which s makes about 6
SKEW_PULL = 0.01  # of the skew towards 0
TAILS = (0.0, 30.0, 12.0, 7.0, 5.0)  # simulated; those of a camera lie between them
KURTOSIS_VARIANCE = np.array([24.0, 9.0])  # of a Gaussian's luma and chroma, times the pixels
FEWEST_DEGREES, MOST_DEGREES = 5.0, 100.0  # of freedom; more are a Gaussian

# Of curves over the knots: differences of second and first order.
_BEND, _TILT = (np.diff(np.eye(SIGMA_KNOTS), order, axis=0) for order in (2, 1))
_ROUGHNESS = 0.05 * _BEND.T @ _BEND + 0.01 * _TILT.T @ _TILT


def fit_noise(model: CameraModel, tiles: Sequence[Tile], responses: PairResponses, seed: int) -> CameraModel:
    """Fit the noise of a model whose signal is known.

    Args:
        model: with its response; its noise is replaced.
        tiles: of all pairs.
        responses: of the pairs, so that each is simulated with its own exposure and white balance.
        seed: of the simulated noise.
    """
    model, fit, real = _by_own_level_or_by_luma(model, tiles, responses, seed)
    spatial = np.where(model.spatial < 0.05, 0.0, model.spatial).round(4)  # cannot be distinguished from 0
    model = _with_structure(replace(model, spatial=spatial), fit, real)
    kurtoses = [fit.simulated(replace(model, tail=tail, chroma_tail=tail), ROUNDS).kurtosis for tail in TAILS]
    chance = CERTAINTY * MEDIAN_ERROR * np.sqrt(2 * KURTOSIS_VARIANCE / max(real.pixels, 1.0))
    luma, chroma = (
        _tail(real.kurtosis[part], [one[part] for one in kurtoses], chance[part]) for part in range(2)
    )
    return replace(model, tail=luma, chroma_tail=chroma)


def _by_own_level_or_by_luma(
    model: CameraModel, tiles: Sequence[Tile], responses: PairResponses, seed: int
) -> tuple[CameraModel, "_NoiseFit", MeasuredNoise]:
    """The model with noise that depends on what the pairs show, what it was fitted with, and the target."""
    fit = _noise_fit(model, tiles, responses, seed)
    darks = [tile.dark for tile in tiles]
    real = fit.measured(darks)
    model = _rounds(model, fit, real, range(ROUNDS))
    of_luma = replace(model, noise_by_luma=True)
    luma_fit = _noise_fit(of_luma, tiles, responses, seed)
    luma_real = luma_fit.measured(darks)
    of_luma = _rounds(of_luma, luma_fit, luma_real, range(LUMA_ROUNDS))
    own, luma = (
        [channel_ratios(fit.dimmed(one, key), tiles) for key in keys]
        for one, keys in ((model, COMPARISON[:2]), (of_luma, COMPARISON[2:]))
    )
    prior = 1.0 if model.jpeg_quality else 0.0
    share = luma_share(channel_ratios(darks, tiles), own, luma, pairs_of_blocks(tiles), prior)
    if share <= LEAST_SHARE:
        return model, fit, real
    return _rounds(of_luma, luma_fit, luma_real, range(LUMA_ROUNDS, ROUNDS)), luma_fit, luma_real


def _noise_fit(model: CameraModel, tiles: Sequence[Tile], responses: PairResponses, seed: int) -> "_NoiseFit":
    return _NoiseFit(tiles, responses, [_nearest_knots(model, tile, responses) for tile in tiles], seed)


def _rounds(
    model: CameraModel, fit: "_NoiseFit", real: MeasuredNoise, iterations: Sequence[int]
) -> CameraModel:
    """The model after it was simulated and corrected so often."""
    for iteration in iterations:
        simulated = fit.simulated(model, iteration)
        model = replace(
            _corrected(model, real, simulated),
            spatial=np.clip(model.spatial + 0.5 * (real.lags - simulated.lags), 0.0, 1.0),
        )
    return model


def noise_levels(
    model: CameraModel, tiles: Sequence[Tile], responses: PairResponses, seed: int
) -> np.ndarray:
    """How much more noise each pair has than the model: float64 (pairs,), ln of the factor.

    Args:
        model: fitted to the pairs.
        tiles, responses, seed: as for :func:`fit_noise`.
    """
    levels = []
    for pair in range(len(responses.log_exposures)):
        own = [tile for tile in tiles if tile.pair == pair]
        fit = _noise_fit(model, own, responses, seed)
        real, simulated = fit.measured([tile.dark for tile in own]), fit.simulated(model, ROUNDS + 1)
        step = 0.5 * np.log((real.power + LEAST_POWER) / (simulated.power + LEAST_POWER))
        count = np.minimum(real.count, simulated.count)
        levels.append((step * count).sum() / max(count.sum(), 1.0))
    return np.array(levels)


def _tail(real: float, simulated: Sequence[float], chance: float) -> float:
    """Degrees of freedom with the real kurtosis, by interpolation of their reciprocals over `TAILS`.

    0, a Gaussian's, where the kurtosis is not above that of Gaussian noise by more than chance.
    """
    if real - simulated[0] <= chance:
        return 0.0
    reciprocals = [1 / tail if tail else 0.0 for tail in TAILS]
    found = float(np.interp(real, np.maximum.accumulate(simulated), reciprocals))
    return round(max(1 / found, FEWEST_DEGREES), 1) if found > 1 / MOST_DEGREES else 0.0


def _corrected(model: CameraModel, real: MeasuredNoise, simulated: MeasuredNoise) -> CameraModel:
    """The model with level, skew and channel correlation of its noise nearer to the real ones."""
    return replace(
        model,
        log_sigma=_updated_sigma(model.log_sigma, real, simulated),
        skew=_updated_skew(model.skew, real, simulated),
        correlation=_nearest_correlation(model.correlation + real.correlation - simulated.correlation),
    )


def _with_structure(model: CameraModel, fit: "_NoiseFit", real: MeasuredNoise) -> CameraModel:
    """The model with long filters and banding, if the real images have what it cannot express without."""
    few = few_tiles(fit.tiles)
    textures = fit.dimmed(model, ROUNDS, tau=0.0)
    quiet = quiet_parts([fit.tiles[index] for index in few], [textures[index] for index in few])

    def structure(images: Sequence[np.ndarray]) -> MeasuredStructure:
        return measured_structure([images[index] for index in few], quiet)

    target = structure([tile.dark for tile in fit.tiles])
    before = structure(fit.dimmed(model, ROUNDS))
    long = visible_lags(target, before)
    banding = visible_banding(target, before)
    if not long.any() and not banding.any():
        return model
    changed = replace(with_filters(model), banding=banding)
    steps, last = np.full(2, FIRST_STEP), np.full(2, np.inf)
    best, least = changed.filters, misfit(target, before)
    for iteration in range(ROUNDS + 1, ROUNDS + 1 + STRUCTURE_ROUNDS):
        images = fit.dimmed(changed, iteration)
        found = structure(images)
        now = misfit(target, found)
        best = np.where((now < least)[:, None, None], changed.filters, best)
        least = np.minimum(now, least)
        steps, last = np.where(now > last, np.maximum(steps / 2, SMALLEST_STEP), steps), now
        filters = updated_filters(changed.filters, target, found, steps)
        if iteration >= ROUNDS + STRUCTURE_ROUNDS - LAST_ROUNDS:  # level and correlation
            filters = np.where(long[:, None, None], best, with_filters(model).filters)
        changed = replace(
            _corrected(changed, real, fit.measured(images)),
            filters=filters,
            banding=updated_banding(changed.banding, target, found),
        )
    followed = least <= IMPROVEMENT * misfit(target, before)
    explained = missing_banding(target, found) <= IMPROVEMENT * banding
    return changed if (followed | ~long).all() and (explained | (banding == 0)).all() else model


@dataclass(frozen=True, eq=False)
class _NoiseFit:
    """What stays the same while images are simulated.

    Attributes:
        tiles: of all pairs.
        responses: of the pairs.
        knots: for each tile, int (3, N): the knot nearest to the dark level of each pixel of its noise area.
        seed: of the simulated noise.
    """

    tiles: Sequence[Tile]
    responses: PairResponses
    knots: Sequence[np.ndarray]
    seed: int

    def simulated(self, model: CameraModel, iteration: int) -> MeasuredNoise:
        """Statistics of the tiles as the model dims them."""
        return self.measured(self.dimmed(model, iteration))

    def dimmed(self, model: CameraModel, iteration: int, tau: float = 1.0) -> list[np.ndarray]:
        """The tiles as the model dims them, float32 (H, W, 3)."""

        def dim(index: int, tile: Tile) -> np.ndarray:
            key = (self.seed * 1000 + iteration) * 100003 + index
            draw = Draw(gamma=1.0, tau=tau, exposure=1.0, noise_seed=key)
            own = _model_of_pair(model, tile.pair, self.responses)
            return own.dim(tile.light.astype(np.uint8), draw).astype(np.float32)

        return in_threads(dim, range(len(self.tiles)), self.tiles)

    def measured(self, images: Sequence[np.ndarray]) -> MeasuredNoise:
        """Statistics of one dark image, float32 (H, W, 3), for each tile."""

        def tables(image: np.ndarray, tile: Tile, knots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            residual = noise.residual(image)
            return (
                cells_of_blocks(residual, tile.noise_area, knots),
                structure_of_blocks(residual, tile.noise_area),
            )

        return over_all_blocks(in_threads(tables, images, self.tiles, self.knots))


def _nearest_knots(model: CameraModel, tile: Tile, responses: PairResponses) -> np.ndarray:
    """Index of the knot nearest to the dark level that the noise of each pixel depends on: int (3, N)."""
    levels = _model_of_pair(model, tile.pair, responses).dark_levels()
    light = tile.light[tile.noise_area].astype(int)
    if model.noise_by_luma:
        luma = (light @ np.array(kernel.LUMA) + (1 << (kernel.LUMA_BITS - 1))) >> kernel.LUMA_BITS
        light = np.repeat(luma[:, None], 3, axis=1)
    axis = sigma_axis()
    position = (level_axis(np.stack([levels[c, light[:, c]] for c in range(3)])) - axis[0]) / (
        axis[1] - axis[0]
    )
    return position.round().astype(int)


def _model_of_pair(model: CameraModel, pair: int, responses: PairResponses) -> CameraModel:
    return replace(model, log_exposure=responses.log_exposures[pair], balance=responses.balances[pair])


def _updated_sigma(log_sigma: np.ndarray, real: MeasuredNoise, simulated: MeasuredNoise) -> np.ndarray:
    """Noise curves corrected by the ratio of powers."""
    step = 0.5 * np.log((real.power + 1e-3) / (simulated.power + 1e-3))
    return _smoothed(log_sigma, step, real.count, _ROUGHNESS)


def _updated_skew(skew: np.ndarray, real: MeasuredNoise, simulated: MeasuredNoise) -> np.ndarray:
    """Skew curves corrected by the difference of skewnesses, and pulled towards 0."""
    step = SKEW_STEP * (real.skewness - simulated.skewness)
    curves = _smoothed(skew, step, real.count, _ROUGHNESS + SKEW_PULL * np.eye(SIGMA_KNOTS))
    return np.clip(curves, -LARGEST_SKEW, LARGEST_SKEW)


def _smoothed(curves: np.ndarray, step: np.ndarray, count: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    """Curves (3, SIGMA_KNOTS) after a step; where there are few pixels, as the penalty wants them."""
    trust = count / (count + FEW_PIXELS)
    target = trust * (curves + trust * step)
    return np.stack([np.linalg.solve(np.diag(trust[c]) + penalty, target[c]) for c in range(3)])


def _nearest_correlation(matrix: np.ndarray) -> np.ndarray:
    """A valid correlation matrix near a symmetric (3, 3) one: positive definite, diagonal 1."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    valid = vectors @ np.diag(np.maximum(values, SMALLEST_EIGENVALUE)) @ vectors.T
    scale = np.sqrt(np.diag(valid))
    return valid / np.outer(scale, scale)
