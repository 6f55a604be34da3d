"""The parts of the pairs that the camera model is fitted to."""

from dataclasses import dataclass

import numpy as np

from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.metrics.realism import noise

TILE = 512  # pixels
NARROWEST = 128  # pixels, of a tile at the right edge of a large pair: narrower ones show little
TILES_PER_PAIR = 6  # a 12-megapixel pair is measured on 1.5 megapixels
DARKEST = 8  # grey levels of a pixel's brightest channel, below which it shows little of the response
LEAST_LIT = 0.5  # of the flat parts


@dataclass(frozen=True, eq=False)
class Tile:
    """Aligned part of a pair.

    Attributes:
        pair: index of the pair.
        dark, light: float32 (H, W, 3), grey levels.
        flat: bool (H, W), where the light image is flat; clipped lamps included, whose dark level is learned.
        noise_area: bool (H, W), where noise is measured: flat and not saturated.
    """

    pair: int
    dark: np.ndarray
    light: np.ndarray
    flat: np.ndarray
    noise_area: np.ndarray


def tiles_of(index: int, pair: RealPair, most: int = TILES_PER_PAIR) -> list[Tile]:
    """A pair as one tile or, if it has more pixels than `most` tiles, so many tiles spread over it."""
    height, width = pair.light.shape[:2]
    rows = range(0, max(height - TILE, 0) + 1, TILE)
    columns = range(0, max(width - NARROWEST, 0) + 1, TILE)
    corners = [(y, x) for y in rows for x in columns]
    if height * width <= most * TILE * TILE:
        spans = [(slice(None), slice(None))]
    else:
        chosen = np.linspace(0, len(corners) - 1, most).round().astype(int)
        spans = [(slice(y, y + TILE), slice(x, x + TILE)) for y, x in (corners[i] for i in chosen)]
    tiles = []
    for span in spans:
        light = pair.light[span].astype(np.float32)
        flat, noise_area = _flat_parts(light)
        tiles.append(Tile(index, pair.dark[span].astype(np.float32), light, flat, noise_area))
    return tiles


def _flat_parts(light: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`flat` and `noise_area` of a :class:`Tile`, from its light image, float32 (H, W, 3)."""
    noise_area = noise.noise_area(light)
    # Both, because an overexposed sky may be all of the flattest 40 %.
    flat = noise.flat_area(light.mean(2)) | noise_area
    lit = light.max(2) >= DARKEST
    if (flat & lit).sum() < LEAST_LIT * flat.sum():  # as may be a black background
        of_lit = noise.noise_area(light, among=lit)
        return flat | of_lit, noise_area | of_lit
    return flat, noise_area
