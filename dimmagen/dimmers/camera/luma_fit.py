"""Whether the noise of a pixel's channels depends on each channel's own level, or on the pixel's luma.

A sensor's noise depends on the light of each channel. A camera that denoises luma and chroma apart, as phones
and most cameras that save JPEGs do, leaves noise that all channels share, and whose level is that of luma. In
coloured areas the two differ: the noise of a red wall is strong in red alone, or in all channels.
"""

from collections.abc import Sequence

import numpy as np

from dimmagen.core.threads import in_threads
from dimmagen.dimmers.camera.tiles import Tile
from dimmagen.metrics.realism import noise

BLOCK = 16  # pixels
FEWEST_IN_BLOCK = 128  # pixels
ROUNDING = 1 / 12  # grey levels squared: the power of rounding to 8 bits
LARGEST_RATIO = 1.5  # of the ln of two powers
BLOCKS_TOGETHER = 16  # that are near each other, and not independent
BETWEEN_PAIRS = 0.5  # deviation of the shares that single pairs of one camera show
PRIOR_DEVIATION = 0.4  # of a camera's share, around 1 if it saves JPEGs and 0 if not


def channel_ratios(images: Sequence[np.ndarray], tiles: Sequence[Tile]) -> np.ndarray:
    """How the noise of red and of blue differs from that of green, block by block.

    Args:
        images: a dark image, float32 (H, W, 3), for each tile.
        tiles: on whose noise areas it is measured.

    Returns:
        float64 (blocks, 2): ln of the ratio of the powers, less its median over the blocks.
    """
    powers = np.concatenate(in_threads(_block_powers, images, [tile.noise_area for tile in tiles]))
    logs = np.log(powers + ROUNDING)
    ratios = logs[:, [0, 2]] - logs[:, [1]]
    return (
        np.clip(ratios - np.median(ratios, axis=0), -LARGEST_RATIO, LARGEST_RATIO) if len(ratios) else ratios
    )


def pairs_of_blocks(tiles: Sequence[Tile]) -> np.ndarray:
    """Index of the pair of each block of :func:`channel_ratios`: int (blocks,)."""
    return np.repeat([tile.pair for tile in tiles], [int(_enough(tile.noise_area).sum()) for tile in tiles])


def luma_share(
    real: np.ndarray,
    own: Sequence[np.ndarray],
    luma: Sequence[np.ndarray],
    pairs: np.ndarray,
    prior: float,
) -> float:
    """Share of luma in what the noise depends on, by regression of the real ratios on simulated ones.

    Real ratios are those of the channels' own levels, plus the share times the difference to those of luma.
    Each simulation is used twice and multiplied with one that has other noise, so noise does not bias it.

    Args:
        real: from :func:`channel_ratios`, of the real dark images.
        own, luma: of two simulations each, with the noise of the channels' own levels and with that of luma.
        pairs: from :func:`pairs_of_blocks`.
        prior: share in [0, 1] that is expected before the pairs are seen.

    Returns:
        The share that the pairs show, pulled towards the prior by as much as it is uncertain.
    """
    first, second = (two - one for one, two in zip(own, luma, strict=True))
    power = (first * second).sum(1)
    product = ((real - own[1]) * first + (real - own[0]) * second).sum(1) / 2
    total = float(power.sum())
    if total <= 0:
        return prior
    share = float(product.sum()) / total
    groups = np.arange(len(power)) // BLOCKS_TOGETHER
    error = np.bincount(groups, product - share * power)
    weights = np.bincount(pairs, power) / total
    variance = float((error**2).sum()) / total**2 + BETWEEN_PAIRS**2 * float((weights**2).sum())
    certainty, before = 1 / variance, PRIOR_DEVIATION**-2
    return (before * prior + certainty * share) / (before + certainty)


def _enough(area: np.ndarray) -> np.ndarray:
    """Which blocks have enough pixels of the area: bool (H // 16, W // 16)."""
    height, width = (size // BLOCK * BLOCK for size in area.shape)
    shape = height // BLOCK, BLOCK, width // BLOCK, BLOCK
    return area[:height, :width].reshape(shape).sum((1, 3)) >= FEWEST_IN_BLOCK


def _block_powers(image: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Mean square of the residual in each block with enough pixels of the area: float64 (blocks, 3)."""
    height, width = (size // BLOCK * BLOCK for size in area.shape)
    shape = height // BLOCK, BLOCK, width // BLOCK, BLOCK
    count, enough = area[:height, :width].reshape(shape).sum((1, 3)), _enough(area)
    squares = np.where(area[..., None], noise.residual(image).astype(np.float64) ** 2, 0.0)[:height, :width]
    return squares.reshape(*shape, 3).sum((1, 3))[enough] / count[enough][:, None]
