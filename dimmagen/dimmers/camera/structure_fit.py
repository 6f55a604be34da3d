"""Step 3 of the fit: noise that is correlated beyond neighbours, and noise of whole rows and columns.

Only cameras whose pairs show it have either, as both cost time: the simulated images must differ from the
real ones by more than scenes do. The autocorrelation is that of the residual of a wide blur, which keeps what
lies up to 8 pixels apart; like all statistics of the fit it is a median over blocks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter

from dimmagen.core.threads import in_threads
from dimmagen.dimmers.camera.model import CameraModel
from dimmagen.dimmers.camera.structure import RADIUS, response, spectrum, taps_of, unit_taps
from dimmagen.dimmers.camera.tiles import Tile
from dimmagen.metrics.realism import noise

BLOCK = 16  # pixels
WIDE_SIGMA = 5.0  # pixels, of the blur whose residual shows long correlation
TILES_PER_PAIR = 2
FEWEST_IN_BLOCK = 64  # pixels
SMALL_TEXTURE = 0.2  # of the power of a block
FEWEST_QUIET = 0.25  # of the blocks, however much texture they have
LARGEST_MISFIT = 0.04  # of an autocorrelation; those of cameras with white noise differ by up to 0.02
IMPROVEMENT = 0.7  # of the misfit, without which long filters are not worth their time
FIRST_STEP = 2.0  # exponent of the ratio of spectra
SMALLEST_STEP = 0.5
LEAST_POWER = 0.03  # of white noise: what is known of a spectrum
SMALLEST_BANDING = 0.004  # share of the variance: a sixteenth of the noise's standard deviation
CERTAINTY = 3.0  # standard errors by which banding must differ from 0
CERTAINTY_OF_LAGS = 3.5  # of 32, one is as far from 0 by chance in 1.5 % of fits
MEDIAN_ERROR = 1.25  # of the standard error of a mean: what that of a median is
_COMPONENTS = np.sqrt([1.0, 2.0])  # by which errors shrink: luma has one noise of its own, chroma two


@dataclass(frozen=True, eq=False)
class MeasuredStructure:
    """Statistics of the residuals over all tiles.

    Attributes:
        lags: float64 (2, 2, 8), [luma | chroma][along rows | along columns][lag - 1]: autocorrelation.
        errors: float64 (2, 2, 8), standard errors that white noise has there.
        bands: float64 (2, 2, N), [luma | chroma][rows | columns]: for bands of 16 rows or columns, the share
            of the power that far pixels of a row or column have in common.
    """

    lags: np.ndarray
    errors: np.ndarray
    bands: np.ndarray


def few_tiles(tiles: Sequence[Tile]) -> list[int]:
    """Indices of the tiles that structure is measured on."""
    chosen: list[int] = []
    for index, tile in enumerate(tiles):
        if sum(tiles[other].pair == tile.pair for other in chosen) < TILES_PER_PAIR:
            chosen.append(index)
    return chosen


@dataclass(frozen=True, eq=False)
class QuietParts:
    """Where the structure of the noise is measured in a tile, and what is there without noise.

    The texture of a scene is correlated far. What the model knows of it is subtracted; blocks where that is
    much are left out, as the model knows it but roughly.

    Attributes:
        area: bool (H, W), of the tile's noise.
        texture: float32 (H, W, 3), the dark image of the model without noise.
        blocks: bool (H // 16, W // 16) of luma and of chroma, which blocks are measured.
    """

    area: np.ndarray
    texture: np.ndarray
    blocks: tuple[np.ndarray, np.ndarray]


def quiet_parts(tiles: Sequence[Tile], textures: Sequence[np.ndarray]) -> list[QuietParts]:
    """Choose the blocks of all tiles in which noise is more than texture.

    Args:
        tiles: of all pairs.
        textures: of each tile, see :class:`QuietParts`.
    """
    shares = [_texture_shares(tile, texture) for tile, texture in zip(tiles, textures, strict=True)]
    largest = []
    for part in (0, 1):
        values = np.concatenate([one[part].ravel() for one in shares])
        values = values[np.isfinite(values)]
        largest.append(max(SMALL_TEXTURE, np.quantile(values, FEWEST_QUIET) if len(values) else 0.0))
    return [
        QuietParts(tile.noise_area, texture, (luma <= largest[0], chroma <= largest[1]))
        for tile, texture, (luma, chroma) in zip(tiles, textures, shares, strict=True)
    ]


def measured_structure(images: Sequence[np.ndarray], quiet: Sequence[QuietParts]) -> MeasuredStructure:
    """Measure one dark image, float32 (H, W, 3), for each tile."""

    def measure(image: np.ndarray, where: QuietParts) -> tuple[list[tuple], list[list[np.ndarray]]]:
        wide = _luma_and_chroma(_wide_residual(image - where.texture))
        lags = [
            _block_lags(part, where.area, blocks) for part, blocks in zip(wide, where.blocks, strict=True)
        ]
        parts = _luma_and_chroma(noise.residual(image))
        return lags, [[_bands(part, where.area, axis) for axis in (0, 1)] for part in parts]

    found, bands = zip(*in_threads(measure, images, quiet), strict=True)
    lags, pairs = ([[one[part][which] for one in found] for part in (0, 1)] for which in (0, 1))
    joined = [[np.concatenate([one[part][axis] for one in bands]) for axis in (0, 1)] for part in (0, 1)]
    length = max(len(values) for rows in joined for values in rows)
    padded = [[np.pad(v, (0, length - len(v)), constant_values=np.nan) for v in rows] for rows in joined]
    medians = [np.median(np.concatenate(part, axis=2), axis=2) for part in lags]
    errors = [_error_of_lags(np.concatenate(part, axis=2)) for part in pairs] / _COMPONENTS[:, None, None]
    return MeasuredStructure(np.stack(medians), errors, np.array(padded))


def misfit(real: MeasuredStructure, simulated: MeasuredStructure) -> np.ndarray:
    """Largest difference of the autocorrelations of luma and of chroma: (2,)."""
    return np.abs(real.lags - simulated.lags).max((1, 2))


def visible_lags(real: MeasuredStructure, simulated: MeasuredStructure) -> np.ndarray:
    """Whether luma and chroma are correlated otherwise in real images, by more than chance: bool (2,)."""
    chance = CERTAINTY_OF_LAGS * np.hypot(real.errors, simulated.errors)
    is_visible = np.abs(real.lags - simulated.lags) > np.maximum(chance, LARGEST_MISFIT)
    return np.asarray(is_visible.any((1, 2)))


def missing_banding(real: MeasuredStructure, simulated: MeasuredStructure) -> np.ndarray:
    """Share of the power of rows and columns in real images that the simulated ones lack: float64 (2, 2)."""
    return _known_median(real.bands - simulated.bands)


def visible_banding(real: MeasuredStructure, simulated: MeasuredStructure) -> np.ndarray:
    """Banding that the simulated images lack: float64 (2, 2), 0 where it is small or uncertain."""
    difference, share = real.bands - simulated.bands, missing_banding(real, simulated)
    spread = 1.4826 * _known_median(np.abs(difference - share[..., None]))
    error = MEDIAN_ERROR * spread / np.sqrt(np.isfinite(difference).sum(2))
    return np.where((share >= SMALLEST_BANDING) & (share >= CERTAINTY * error), share, 0.0)


def _known_median(values: np.ndarray) -> np.ndarray:
    """Median without NaN: (2, 2, N) -> (2, 2); NaN where nothing is known, as of small images."""
    known = np.isfinite(values).any(2)
    return np.where(known, np.nanmedian(np.where(known[..., None], values, 0.0), axis=2), np.nan)


def with_filters(model: CameraModel) -> CameraModel:
    """The same noise with long filters in place of the three taps; unchanged if it has them."""
    if model.filters.any():
        return model
    filters = np.zeros((2, 2, RADIUS + 1))
    filters[..., 0], filters[..., 1] = 1.0, model.spatial[:, None]
    return replace(model, filters=unit_taps(filters), spatial=np.zeros(2))


def updated_filters(
    filters: np.ndarray, real: MeasuredStructure, simulated: MeasuredStructure, step: np.ndarray
) -> np.ndarray:
    """Filters corrected by the ratio of the power spectra, in which high pass and JPEG cancel.

    Args:
        filters: float64 (2, 2, 9), of the model that was simulated.
        real, simulated: what was measured.
        step: float (2,), of luma and chroma: exponent of the ratio.
    """
    ratio = (spectrum(real.lags) + LEAST_POWER) / (spectrum(simulated.lags) + LEAST_POWER)
    wanted = np.maximum(np.abs(response(filters)), LEAST_POWER) * ratio ** (step[:, None, None] / 2)
    return taps_of(wanted)


def updated_banding(banding: np.ndarray, real: MeasuredStructure, simulated: MeasuredStructure) -> np.ndarray:
    """Banding, where there is any, corrected by the difference of the shares."""
    step = missing_banding(real, simulated)
    return np.where(banding > 0, np.clip(banding + step, SMALLEST_BANDING, 0.5), 0.0)


def _wide_residual(image: np.ndarray) -> np.ndarray:
    return image - gaussian_filter(image, (WIDE_SIGMA, WIDE_SIGMA, 0))


def _texture_shares(tile: Tile, texture: np.ndarray) -> list[np.ndarray]:
    """Share of the power of the blocks' luma and chroma that is texture; infinite with too few pixels."""
    few = _block_sums(tile.noise_area.astype(np.float32)) < FEWEST_IN_BLOCK
    known, dark = (_luma_and_chroma(_wide_residual(image)) for image in (texture, tile.dark))
    return [
        np.where(few, np.inf, _power(one, tile.noise_area) / (_power(other, tile.noise_area) + 1e-6))
        for one, other in zip(known, dark, strict=True)
    ]


def _power(part: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Sums of the squares of (H, W, C) over blocks."""
    return _block_sums(np.where(area, (part**2).sum(2), 0.0))


def _luma_and_chroma(residual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    luma = residual.mean(2, keepdims=True)
    return luma, residual - luma


def _block_sums(values: np.ndarray) -> np.ndarray:
    """Sums over whole blocks of 16x16 pixels: float (H, W) -> (H // 16, W // 16)."""
    height, width = (size // BLOCK * BLOCK for size in values.shape)
    return values[:height, :width].reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK).sum((1, 3))


def _block_lags(part: np.ndarray, area: np.ndarray, enough: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Autocorrelation of (H, W, C) along rows and columns at lags 1 to 8, in some blocks.

    Returns:
        float64 (2, 8, blocks), and the numbers of pairs of pixels, (2, 8, blocks).
    """
    masked = np.where(area[..., None], part, 0.0).astype(np.float32)
    count = _block_sums(area.astype(np.float32))
    power = _block_sums((masked**2).sum(2))[enough] / count[enough] + 1e-9
    lags, counts = np.zeros((2, 2, RADIUS, int(enough.sum())))
    for axis in (0, 1):
        values = np.swapaxes(masked, 0, 1) if axis else masked
        where = area.T if axis else area
        for lag in range(1, RADIUS + 1):
            product, both = np.zeros(where.shape, np.float32), np.zeros(where.shape, np.float32)
            product[:, lag:] = (values[:, lag:] * values[:, :-lag]).sum(2)
            both[:, lag:] = where[:, lag:] & where[:, :-lag]
            sums, pixels = _block_sums(product), _block_sums(both)
            sums, pixels = (array.T if axis else array for array in (sums, pixels))
            lags[axis, lag - 1] = sums[enough] / np.maximum(pixels[enough], 1.0) / power
            counts[axis, lag - 1] = pixels[enough]
    return lags, counts


def _error_of_lags(pairs: np.ndarray) -> np.ndarray:
    """Standard error of the blocks' median autocorrelation, by the numbers of pairs (..., blocks).

    That of n pairs of white noise is 1 / sqrt(n) (Bartlett, 1946), so the density of the blocks' values at
    their median is the mean of sqrt(n / 2 pi).
    """
    density = np.sqrt(pairs / (2 * np.pi)).sum(-1)
    return np.sqrt(pairs.shape[-1]) / (2 * np.maximum(density, 1e-9))


def _bands(part: np.ndarray, area: np.ndarray, axis: int) -> np.ndarray:
    """Share of the power of (H, W, C) that is common to far blocks of a row (axis 0) or a column (axis 1).

    Returns:
        float64 (bands,), one for 16 rows or columns each; NaN where there are no two such blocks.
    """
    values = np.where(area[..., None], part, 0.0)
    if axis:
        values, area = np.swapaxes(values, 0, 1), area.T
    height, width = (size // BLOCK * BLOCK for size in area.shape)
    blocks = values[:height, :width].reshape(height, width // BLOCK, BLOCK, -1).sum(2)
    pixels = area[:height, :width].reshape(height, width // BLOCK, BLOCK).sum(2).astype(np.float64)
    common, pairs = _far_products(blocks).sum(1), _far_products(pixels[..., None])[:, 0]
    common, pairs = (array.reshape(-1, BLOCK).sum(1) for array in (common, pairs))
    power = (values**2).sum() / max(int(area.sum()), 1) + 1e-9
    return np.where(pairs > 0, common / np.maximum(pairs, 1.0) / power, np.nan)


def _far_products(blocks: np.ndarray) -> np.ndarray:
    """Sum of the products of all blocks of a row that are not neighbours: (rows, blocks, C) -> (rows, C)."""
    near = (blocks**2).sum(1) + 2 * (blocks[:, 1:] * blocks[:, :-1]).sum(1)
    return (blocks.sum(1) ** 2 - near) / 2
