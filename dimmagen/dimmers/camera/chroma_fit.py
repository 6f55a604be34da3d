"""How much of the light image's fine chroma the dark images show.

Where there is texture, the fine residual of the real dark image is regressed on that of the response to the
light image, for chroma; a curve that is too flat or too steep is found by the coarse residual of luma, and
divided out.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.ndimage import gaussian_filter

from dimmagen.dimmers.camera.model import OPPONENT, CameraModel
from dimmagen.dimmers.camera.response_fit import PairResponses
from dimmagen.dimmers.camera.tiles import Tile

FINE, COARSE = 0.7, (1.4, 2.8)  # pixels: of the blur under fine, and of those around coarse texture
TEXTURED = 0.3  # of the pixels: those with most texture of luma
LARGEST_SHARE = 0.5  # a larger one is not worth a filter: docs/camera-model.md
_DARKEST, _BRIGHTEST = 3, 250  # grey levels of the light image, beyond which it is clipped
_SMOOTH = 4.0  # pixels, over which texture is looked for
_FEWEST = 1000  # pixels of a tile


def fine_chroma(model: CameraModel, tiles: Sequence[Tile], responses: PairResponses) -> float:
    """The share of the light images' fine chroma that the dark images show; 1 above `LARGEST_SHARE`.

    Args:
        model: with its response.
        tiles: of all pairs.
        responses: of the pairs.
    """
    slopes = list(_slopes(model, tiles, responses))
    if not slopes:
        return 1.0
    chroma, luma = np.median(slopes, axis=0)
    share = float(np.clip(chroma / max(luma, 0.1), 0.0, 1.0))
    return round(share, 3) if share <= LARGEST_SHARE else 1.0


def _slopes(
    model: CameraModel, tiles: Sequence[Tile], responses: PairResponses
) -> Iterator[tuple[float, float]]:
    """Of the fine chroma, the mean of both axes, and of the coarse luma of each tile: real on expected."""
    for tile in tiles:
        expected = _expected(model, tile, responses)
        inside = (tile.light.max(2) < _BRIGHTEST) & (tile.light.min(2) > _DARKEST)
        (fine, coarse), (real_fine, real_coarse) = _bands(expected), _bands(tile.dark)
        power = gaussian_filter(fine[..., 0] ** 2, _SMOOTH)
        textured = inside & (power >= np.quantile(power, 1 - TEXTURED))
        axes = [(fine[textured, axis], real_fine[textured, axis]) for axis in (1, 2)]
        axes.append((coarse[textured, 0], real_coarse[textured, 0]))
        powers = [float((one**2).sum()) for one, _ in axes]
        if textured.sum() >= _FEWEST and min(powers) > 0:
            red, green, luma = (
                float((one * real).sum()) / power for (one, real), power in zip(axes, powers, strict=True)
            )
            yield (red + green) / 2, luma


def _expected(model: CameraModel, tile: Tile, responses: PairResponses) -> np.ndarray:
    """The response to the light image without noise: float64 (H, W, 3)."""
    shifts = responses.log_exposures[tile.pair] + responses.balances[tile.pair]
    levels = model.curve.level(model.curve.log_light(np.arange(256.0)) + shifts[:, None])
    light = tile.light.astype(np.intp)
    return np.stack([levels[channel][light[..., channel]] for channel in range(3)], axis=-1)


def _bands(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fine and coarse residual as luma and two chroma axes: float (H, W, 3) each."""
    blurs = [gaussian_filter(image, (sigma, sigma, 0)) for sigma in (FINE, *COARSE)]
    return (image - blurs[0]) @ OPPONENT.T, (blurs[1] - blurs[2]) @ OPPONENT.T
