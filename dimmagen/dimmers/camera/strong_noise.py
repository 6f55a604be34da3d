"""Noise so strong that clipping at black decides how bright a dark image is.

The response is fitted before the noise is known. Where black is a deviation or two away, a dark level is
raised by what clipping cuts off its noise; taken for signal, this made simulated cameras of ISO 12800 too
bright by up to a seventh.
"""

from collections.abc import Sequence

import numpy as np

from dimmagen.dimmers.camera.model import CameraModel, toe_level
from dimmagen.dimmers.camera.response import level_axis, sigma_axis
from dimmagen.dimmers.camera.response_fit import NoiseOfLevels, PairResponses, clipped_mean
from dimmagen.dimmers.camera.tiles import Tile

SMALL_GAP = 0.2  # grey levels
SMALL_SHARE = 0.02  # of the mean dark level; LOL's fits have up to 0.003


def noise_of(model: CameraModel) -> NoiseOfLevels:
    """The noise of a fitted model, as the fit of the response takes it."""
    log_sigma, skew = model.noise_curves
    axis = sigma_axis()

    def noise(level: np.ndarray, channel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        at = level_axis(level)
        deviation = np.exp(np.choose(channel, [np.interp(at, axis, curve) for curve in log_sigma]))
        return deviation, deviation * np.choose(channel, [np.interp(at, axis, curve) for curve in skew])

    return noise


def decides_brightness(
    model: CameraModel,
    tiles: Sequence[Tile],
    responses: PairResponses,
    one: NoiseOfLevels,
    other: NoiseOfLevels,
) -> bool:
    """Whether the mean dark levels differ by more than a little if the noise is the one or the other.

    Args:
        model: with its response.
        tiles: of all pairs.
        responses: of the pairs.
        one, other: noise of the camera.
    """
    channel = np.repeat(np.arange(3), 256)
    gap = total = pixels = 0.0
    for tile in tiles:
        shifts = responses.log_exposures[tile.pair] + responses.balances[tile.pair]
        level = model.curve.level(model.curve.log_light(np.arange(256.0)) + shifts[:, None]).ravel()
        light = tile.light[tile.flat].astype(np.intp) + 256 * np.arange(3)
        count = np.bincount(light.ravel(), minlength=3 * 256)
        mean = level - toe_level(level, responses.toe[channel])
        means = [clipped_mean(mean, *noise(level, channel)) for noise in (one, other)]
        gap += float((count * np.abs(means[0] - means[1])).sum())
        total += float((count * means[1]).sum())
        pixels += float(count.sum())
    return gap > max(SMALL_GAP * pixels, SMALL_SHARE * total)
