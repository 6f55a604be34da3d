"""Step 2 of the fit: the noise, by simulating dark images until they have the noise of the real ones.

Statistics are taken of blocks of 16x16 pixels, and their median over all blocks is compared: a few blocks of
texture that the light image does not show (leaves in the wind, a reflection) would decide a mean of powers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.camera import kernel
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
BLOCK = 16  # pixels
FEWEST_IN_CELL = 24  # pixels of one block near one knot
FEWEST_IN_BLOCK = 64  # pixels: fewer do not show a correlation
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


@dataclass(frozen=True, eq=False)
class _MeasuredNoise:
    """Statistics of the residuals over all tiles.

    Attributes:
        power, skewness, count: (3, SIGMA_KNOTS), mean square and skewness of the residual around each knot,
            and number of pixels.
        correlation: (3, 3), between the channels.
        lags: (2,), luma and chroma autocorrelation at lag 1.
        kurtosis: (2,), of luma and chroma.
        pixels: number of those in which these three are measured.
    """

    power: np.ndarray
    skewness: np.ndarray
    count: np.ndarray
    correlation: np.ndarray
    lags: np.ndarray
    kurtosis: np.ndarray
    pixels: float


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
) -> tuple[CameraModel, "_NoiseFit", _MeasuredNoise]:
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
    model: CameraModel, fit: "_NoiseFit", real: _MeasuredNoise, iterations: Sequence[int]
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


def _corrected(model: CameraModel, real: _MeasuredNoise, simulated: _MeasuredNoise) -> CameraModel:
    """The model with level, skew and channel correlation of its noise nearer to the real ones."""
    return replace(
        model,
        log_sigma=_updated_sigma(model.log_sigma, real, simulated),
        skew=_updated_skew(model.skew, real, simulated),
        correlation=_nearest_correlation(model.correlation + real.correlation - simulated.correlation),
    )


def _with_structure(model: CameraModel, fit: "_NoiseFit", real: _MeasuredNoise) -> CameraModel:
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

    def simulated(self, model: CameraModel, iteration: int) -> _MeasuredNoise:
        """Statistics of the tiles as the model dims them."""
        return self.measured(self.dimmed(model, iteration))

    def dimmed(self, model: CameraModel, iteration: int, tau: float = 1.0) -> list[np.ndarray]:
        """The tiles as the model dims them, float32 (H, W, 3)."""
        images = []
        for index, tile in enumerate(self.tiles):
            key = (self.seed * 1000 + iteration) * 100003 + index
            draw = Draw(gamma=1.0, tau=tau, exposure=1.0, noise_seed=key)
            dark = _model_of_pair(model, tile.pair, self.responses).dim(tile.light.astype(np.uint8), draw)
            images.append(dark.astype(np.float32))
        return images

    def measured(self, images: Sequence[np.ndarray]) -> _MeasuredNoise:
        """Statistics of one dark image, float32 (H, W, 3), for each tile."""
        cells, blocks = [], []
        for image, tile, knots in zip(images, self.tiles, self.knots, strict=True):
            residual = noise.residual(image)
            cells.append(_cells(residual, tile.noise_area, knots))
            blocks.append(_blocks(residual, tile.noise_area))
        power, skewness, count = _by_knot(np.concatenate(cells))
        table = np.concatenate(blocks)
        medians = np.array([_weighted_median(column, table[:, -1]) for column in table[:, :-1].T])
        correlation, pixels = medians[:9].reshape(3, 3), float(table[:, -1].sum())
        return _MeasuredNoise(power, skewness, count, correlation, medians[9:11], medians[11:], pixels)


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


# --- statistics of blocks -----------------------------------------------------------------------------


def _block_numbers(height: int, width: int) -> np.ndarray:
    """Number of the 16x16 block of each pixel: int (H, W)."""
    rows, columns = np.arange(height) // BLOCK, np.arange(width) // BLOCK
    return rows[:, None] * (columns[-1] + 1) + columns


def _cells(residual: np.ndarray, area: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """The pixels of one block near one knot: float64 (cells, 5) of channel, knot, power, skewness, pixels."""
    block = _block_numbers(*area.shape)
    tables = []
    for channel in range(3):
        cell = block[area] * SIGMA_KNOTS + knots[channel]
        values = residual[area, channel].astype(np.float64)
        count = np.bincount(cell)
        enough = np.flatnonzero(count >= FEWEST_IN_CELL)
        second, third = (np.bincount(cell, values**moment)[enough] / count[enough] for moment in (2, 3))
        skewness = third / (second + 1e-3) ** 1.5
        columns = (np.full(len(enough), channel), enough % SIGMA_KNOTS, second, skewness, count[enough])
        tables.append(np.stack(columns, axis=1).astype(np.float64))
    return np.concatenate(tables)


def _blocks(residual: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Structure and tails of each block.

    Returns:
        float64 (blocks, 14): the channels' nine correlations, luma and chroma autocorrelation at lag 1, luma
        and chroma kurtosis, pixels.
    """
    block = _block_numbers(*area.shape)
    blocks = int(block[-1, -1]) + 1

    def sums(values: np.ndarray, where: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        return np.bincount(numbers[where], values[where], minlength=blocks)

    count = np.bincount(block[area], minlength=blocks)
    enough = count >= FEWEST_IN_BLOCK
    channels = np.moveaxis(residual, 2, 0)
    products = np.stack([sums(one * other, area, block) for one in channels for other in channels])
    deviation = np.sqrt(np.maximum(products[[0, 4, 8]], 1e-9))
    correlation = products / np.repeat(deviation, 3, axis=0) / np.tile(deviation, (3, 1))
    luma = residual.mean(2, keepdims=True)
    lags, kurtoses = [], []
    for part in (luma, residual - luma):
        power = np.maximum(sums((part**2).sum(2), area, block) / np.maximum(count, 1), 1e-9)
        fourth = sums((part**4).sum(2), area, block) / np.maximum(count, 1)
        kurtoses.append(part.shape[2] * fourth / power**2)
        lag = np.zeros(blocks)
        for one, other in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1])):
            both = area[one] & area[other]
            number = np.bincount(block[one][both], minlength=blocks)
            lag += sums((part[one] * part[other]).sum(2), both, block[one]) / np.maximum(number, 1) / 2
        lags.append(lag / power)
    return np.stack([*correlation, *lags, *kurtoses, count], axis=1)[enough]


def _by_knot(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Median power and skewness, and pixels, of each knot: (3, SIGMA_KNOTS) each; 0 without cells."""
    power, skewness, count = (np.zeros((3, SIGMA_KNOTS)) for _ in range(3))
    for channel, knot in np.unique(cells[:, :2].astype(int), axis=0):
        own = cells[(cells[:, 0] == channel) & (cells[:, 1] == knot)]
        power[channel, knot] = _weighted_median(own[:, 2], own[:, 4])
        skewness[channel, knot] = _weighted_median(own[:, 3], own[:, 4])
        count[channel, knot] = own[:, 4].sum()
    return power, skewness, count


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """The value below and above which lies half of the weight; 0 without values."""
    if not len(values):
        return 0.0
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


# --- corrections --------------------------------------------------------------------------------------


def _updated_sigma(log_sigma: np.ndarray, real: _MeasuredNoise, simulated: _MeasuredNoise) -> np.ndarray:
    """Noise curves corrected by the ratio of powers."""
    step = 0.5 * np.log((real.power + 1e-3) / (simulated.power + 1e-3))
    return _smoothed(log_sigma, step, real.count, _ROUGHNESS)


def _updated_skew(skew: np.ndarray, real: _MeasuredNoise, simulated: _MeasuredNoise) -> np.ndarray:
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
