"""Fitting the camera model to a few dark/light pairs.

Two steps, a few seconds for three pairs:

1. Response: the mean dark level of every light level, on flat areas, is explained by one response curve and
   one light factor per pair (and a small factor per channel), by robust least squares.
2. Noise: dark images are simulated with the model itself and compared with the real ones; noise levels,
   correlations and tails are adjusted until both show the same statistics. Clipping at black, rounding to
   8 bits, the texture of the light image and the filter that isolates the noise therefore need no formula.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.optimize import least_squares
from scipy.sparse import coo_array
from scipy.special import ndtr

from dimmagen.core.errors import DimmagenError
from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.camera.model import REFERENCE_LEVEL, SIGMA_KNOTS, CameraModel, sigma_axis
from dimmagen.dimmers.camera.response import KNOTS, ResponseCurve, level_axis
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.metrics.realism import noise

TILE = 512  # pixels
TILES_PER_PAIR = 6  # a 12-megapixel pair is measured on 1.5 megapixels
SMOOTHING = 1.5  # pixels: reduces the noise before mean levels are measured
ASSUMED_NOISE = 1.2  # grey levels: only to predict by how much clipping at black raises the mean
SMOOTHNESS = 30.0  # of the response curve, chosen by cross-validation over Table 4's five splits
DISPLAY_GAMMA = 2.2
ROUNDS = 8
FEW_PIXELS = 2000.0  # noise-level knots with fewer pixels depend mostly on their neighbours
SMALLEST_EIGENVALUE = 1e-3
TAILS = (0.0, 30.0, 12.0, 7.0, 5.0)


@dataclass(frozen=True, eq=False)
class _Tile:
    """Aligned part of a pair.

    Attributes:
        pair: index of the pair.
        dark, light: float32 (H, W, 3), grey levels.
        flat: bool (H, W), where the light image is flat.
    """

    pair: int
    dark: np.ndarray
    light: np.ndarray
    flat: np.ndarray


@dataclass(frozen=True, eq=False)
class _Response:
    """The result of step 1.

    Attributes:
        log_slopes: float64 (14,), of the response curve.
        log_exposures: float64 (pairs,), ln of each pair's light factor.
        balances: float64 (pairs, 3), difference of each channel's ln light factor from the pair's.
    """

    log_slopes: np.ndarray
    log_exposures: np.ndarray
    balances: np.ndarray


def fit_camera(pairs: Sequence[RealPair], seed: int = 0) -> CameraModel:
    """Fit the camera model.

    Args:
        pairs: aligned dark/light pairs of one camera, at least one; 3 to 8 are enough.
        seed: random seed of the simulated noise with which the fit compares.

    Raises:
        DimmagenError: the pairs contain too little signal for a fit (black or blank images).
    """
    tiles = [tile for index, pair in enumerate(pairs) for tile in _tiles(index, pair)]
    response = _fit_response(tiles, len(pairs))
    curve = ResponseCurve(response.log_slopes)
    centre = float(response.log_exposures.mean())
    model = CameraModel(
        log_slopes=response.log_slopes,
        log_exposure=centre,
        # Shrunk towards 0: the white balance of scenes varies as much.
        balance=response.balances.sum(0) / (len(pairs) + 2),
        log_sigma=np.zeros((3, SIGMA_KNOTS)),
        correlation=np.eye(3),
        spatial=np.zeros(2),
        tail=0.0,
        exposure_spread=_exposure_spread(curve, response.log_exposures),
        jpeg_quality=_common_quality(pairs),
    )
    return _fit_noise(model, tiles, response, seed)


def _common_quality(pairs: Sequence[RealPair]) -> int:
    """The median quality of the dark files if all of them are JPEGs, otherwise 0."""
    qualities = sorted(pair.jpeg_quality for pair in pairs)
    return qualities[len(qualities) // 2] if qualities[0] else 0


def _tiles(index: int, pair: RealPair) -> list[_Tile]:
    height, width = pair.light.shape[:2]
    corners = [(y, x) for y in range(0, max(height - TILE, 0) + 1, TILE) for x in range(0, width, TILE)]
    if height * width <= TILES_PER_PAIR * TILE * TILE:
        spans = [(slice(None), slice(None))]
    else:
        chosen = np.linspace(0, len(corners) - 1, TILES_PER_PAIR).round().astype(int)
        spans = [(slice(y, y + TILE), slice(x, x + TILE)) for y, x in (corners[i] for i in chosen)]
    tiles = []
    for span in spans:
        light = pair.light[span].astype(np.float32)
        flat = noise.flat_area(light.mean(2))
        tiles.append(_Tile(index, pair.dark[span].astype(np.float32), light, flat))
    return tiles


# --- step 1: response ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Levels:
    """Mean dark level of each light level: arrays (N,) of pair, channel, light level, dark mean, weight."""

    pair: np.ndarray
    channel: np.ndarray
    light: np.ndarray
    dark: np.ndarray
    weight: np.ndarray


def _level_means(tiles: Sequence[_Tile], pairs: int) -> _Levels:
    count = np.zeros((pairs, 3, 256))
    total = np.zeros((pairs, 3, 256))
    for tile in tiles:
        smooth = (SMOOTHING, SMOOTHING, 0)
        light = gaussian_filter(tile.light, smooth)[tile.flat].round().astype(int)
        dark = gaussian_filter(tile.dark, smooth)[tile.flat]
        for c in range(3):
            count[tile.pair, c] += np.bincount(light[:, c], minlength=256)
            total[tile.pair, c] += np.bincount(light[:, c], dark[:, c], minlength=256)
    pair, channel, level = np.nonzero(count)
    pixels = count[pair, channel, level]
    enough = 1e-3 * count.sum(2).max()  # the mean of a level with this many pixels is accurate
    mean = total[pair, channel, level] / pixels
    return _Levels(pair, channel, level, mean, np.minimum(pixels / enough, 1.0))


def _fit_response(tiles: Sequence[_Tile], pairs: int) -> _Response:
    levels = _level_means(tiles, pairs)
    if len(levels.light) < 3 * KNOTS or levels.dark.max() < 2:
        raise DimmagenError(
            "the pairs show too few grey levels to fit a response curve",
            "give pairs whose dark images are not black and whose light images are not blank",
            code="unsuitable-pairs",
        )
    weight = np.sqrt(levels.weight)

    def unpack(values: np.ndarray) -> _Response:
        red, blue = values[KNOTS + pairs :].reshape(2, pairs)
        balances = np.stack([red, -red - blue, blue], 1)
        return _Response(values[:KNOTS], values[KNOTS : KNOTS + pairs], balances)

    def residuals(values: np.ndarray) -> np.ndarray:
        response = unpack(values)
        curve = ResponseCurve(response.log_slopes)
        shift = response.log_exposures[levels.pair] + response.balances[levels.pair, levels.channel]
        dark = _clipped_mean(curve.level(curve.log_light(levels.light) + shift))
        return np.concatenate(
            [
                weight * (dark - levels.dark),
                SMOOTHNESS * np.diff(response.log_slopes, 2),
                0.3 * (response.log_slopes - np.log(DISPLAY_GAMMA)),
                3.0 * response.balances.ravel(),
            ]
        )

    start = np.concatenate([np.full(KNOTS, np.log(DISPLAY_GAMMA)), np.full(pairs, -3.0), np.zeros(2 * pairs)])
    solution = least_squares(
        residuals, start, loss="soft_l1", max_nfev=60, jac_sparsity=_sparsity(levels, pairs), tr_solver="lsmr"
    )
    return unpack(solution.x)


def _sparsity(levels: _Levels, pairs: int) -> coo_array:
    """Which residual depends on which unknown: the unknowns of a pair affect only its own levels."""
    data = np.arange(len(levels.pair))
    own = (KNOTS + levels.pair, KNOTS + pairs + levels.pair, KNOTS + 2 * pairs + levels.pair)
    rows = [np.repeat(data, KNOTS), *[data] * 3]
    columns = [np.tile(np.arange(KNOTS), len(data)), *own]
    bend, pull = len(data), len(data) + KNOTS - 2
    rows += [bend + np.repeat(np.arange(KNOTS - 2), 3), pull + np.arange(KNOTS)]
    columns += [(np.arange(KNOTS - 2)[:, None] + np.arange(3)).ravel(), np.arange(KNOTS)]
    balance = pull + KNOTS + np.repeat(np.arange(3 * pairs), 2)
    rows.append(balance)
    columns.append(KNOTS + pairs + np.tile([0, pairs], 3 * pairs) + np.repeat(np.arange(pairs), 6))
    row, column = np.concatenate(rows), np.concatenate(columns)
    return coo_array((np.ones(len(row)), (row, column)), (pull + KNOTS + 3 * pairs, KNOTS + 3 * pairs))


def _clipped_mean(level: np.ndarray) -> np.ndarray:
    """Mean of max(0, level + noise) for Gaussian noise: a dark level after clipping at black."""
    ratio = level / ASSUMED_NOISE
    density = np.exp(-(ratio**2) / 2) / np.sqrt(2 * np.pi)
    return level * ndtr(ratio) + ASSUMED_NOISE * density


def _exposure_spread(curve: ResponseCurve, log_exposures: np.ndarray) -> float:
    """Standard deviation of ln(brightness) between the pairs; 0 for a single pair."""
    if len(log_exposures) < 2:
        return 0.0
    levels = curve.level(curve.log_light(REFERENCE_LEVEL) + log_exposures)
    return round(float(np.std(np.log(np.maximum(levels, 0.5)), ddof=1)), 6)


# --- step 2: noise ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _MeasuredNoise:
    """Statistics of the residuals over all tiles.

    Attributes:
        power, count: (3, SIGMA_KNOTS), mean square of the residual around each knot, and its number of
            pixels.
        correlation: (3, 3), between the channels.
        lags: (2,), luma and chroma autocorrelation at lag 1.
        shape: (41,), histogram of the standardised luma residual.
    """

    power: np.ndarray
    count: np.ndarray
    correlation: np.ndarray
    lags: np.ndarray
    shape: np.ndarray


def _fit_noise(model: CameraModel, tiles: Sequence[_Tile], response: _Response, seed: int) -> CameraModel:
    knots = [_nearest_knots(model, tile, response) for tile in tiles]
    real = _measure([tile.dark for tile in tiles], tiles, knots)
    for iteration in range(ROUNDS):
        simulated = _measure(_simulate(model, tiles, response, seed, iteration), tiles, knots)
        model = replace(
            model,
            log_sigma=_updated_sigma(model.log_sigma, real, simulated),
            correlation=_nearest_correlation(model.correlation + real.correlation - simulated.correlation),
            spatial=np.clip(model.spatial + 0.5 * (real.lags - simulated.lags), 0.0, 1.0),
        )
    spatial = np.where(model.spatial < 0.05, 0.0, model.spatial).round(4)  # cannot be distinguished from 0
    candidates = [replace(model, spatial=spatial, tail=tail) for tail in TAILS]
    return min(
        candidates, key=lambda candidate: _shape_distance(candidate, real, tiles, knots, response, seed)
    )


def _nearest_knots(model: CameraModel, tile: _Tile, response: _Response) -> np.ndarray:
    """Index of the noise-curve knot nearest to each flat pixel's dark level: int (3, N)."""
    levels = _model_of_pair(model, tile.pair, response).dark_levels()
    light = tile.light[tile.flat].astype(int)
    axis = sigma_axis()
    position = (level_axis(np.stack([levels[c, light[:, c]] for c in range(3)])) - axis[0]) / (
        axis[1] - axis[0]
    )
    return np.clip(position.round().astype(int), 0, SIGMA_KNOTS - 1)


def _model_of_pair(model: CameraModel, pair: int, response: _Response) -> CameraModel:
    return replace(model, log_exposure=response.log_exposures[pair], balance=response.balances[pair])


def _simulate(
    model: CameraModel, tiles: Sequence[_Tile], response: _Response, seed: int, iteration: int
) -> list[np.ndarray]:
    images = []
    for index, tile in enumerate(tiles):
        draw = Draw(gamma=1.0, tau=1.0, exposure=1.0, noise_seed=(seed * 1000 + iteration) * 100003 + index)
        dark = _model_of_pair(model, tile.pair, response).dim(tile.light.astype(np.uint8), draw)
        images.append(dark.astype(np.float32))
    return images


def _measure(images: list[np.ndarray], tiles: Sequence[_Tile], knots: list[np.ndarray]) -> _MeasuredNoise:
    power, count = np.zeros((3, SIGMA_KNOTS)), np.zeros((3, SIGMA_KNOTS))
    statistics = []
    for image, tile, knot in zip(images, tiles, knots, strict=True):
        residual = noise.residual(image)[tile.flat]
        for c in range(3):
            power[c] += np.bincount(knot[c], residual[:, c] ** 2, minlength=SIGMA_KNOTS)
            count[c] += np.bincount(knot[c], minlength=SIGMA_KNOTS)
        bins = noise.intensity_bin(tile.light.mean(2))
        statistics.append(noise.noise_statistics(image, tile.flat, bins))
    correlation = np.eye(3)
    correlation[np.triu_indices(3, 1)] = np.mean([s.channel_correlation for s in statistics], 0)
    return _MeasuredNoise(
        power=power / np.maximum(count, 1),
        count=count,
        correlation=np.maximum(correlation, correlation.T),
        lags=np.mean([s.lags[:, 0] for s in statistics], 0),
        shape=np.mean([s.shape_histogram for s in statistics], 0),
    )


def _updated_sigma(log_sigma: np.ndarray, real: _MeasuredNoise, simulated: _MeasuredNoise) -> np.ndarray:
    """Noise curves corrected by the ratio of powers; smooth where there are few pixels."""
    trust = real.count / (real.count + FEW_PIXELS)
    step = 0.5 * np.log((real.power + 1e-3) / (simulated.power + 1e-3))
    bend, tilt = np.diff(np.eye(SIGMA_KNOTS), 2, axis=0), np.diff(np.eye(SIGMA_KNOTS), axis=0)
    penalty = 0.05 * bend.T @ bend + 0.01 * tilt.T @ tilt
    target = log_sigma + trust * step
    return np.stack([np.linalg.solve(np.diag(trust[c]) + penalty, trust[c] * target[c]) for c in range(3)])


def _nearest_correlation(matrix: np.ndarray) -> np.ndarray:
    """A valid correlation matrix near a symmetric (3, 3) one: positive definite, diagonal 1."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    valid = vectors @ np.diag(np.maximum(values, SMALLEST_EIGENVALUE)) @ vectors.T
    scale = np.sqrt(np.diag(valid))
    return valid / np.outer(scale, scale)


def _shape_distance(
    model: CameraModel,
    real: _MeasuredNoise,
    tiles: Sequence[_Tile],
    knots: list[np.ndarray],
    response: _Response,
    seed: int,
) -> float:
    """KL divergence of the histograms of the standardised luma residual: real from simulated."""
    simulated = _measure(_simulate(model, tiles, response, seed, ROUNDS), tiles, knots)
    return noise.kl_divergence(real.shape, simulated.shape)
