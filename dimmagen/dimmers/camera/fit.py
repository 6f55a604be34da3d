"""Fitting the camera model to a few dark/light pairs.

Three steps, a few seconds for three pairs. Where the dark images lack much of the light ones' fine chroma
(:mod:`~dimmagen.dimmers.camera.chroma_fit`), it is taken from these first, and the response fitted again.
Where scenes are much brighter than white where light images are clipped
(:mod:`~dimmagen.dimmers.camera.highlights_fit`), the response is that of light that is not clipped:

1. Response (:mod:`~dimmagen.dimmers.camera.response_fit`): the mean dark level of every light level, on flat
   areas, is explained by one response curve, black offsets and one light factor per pair (and a small factor
   per channel), by robust least squares.
2. Noise (:mod:`~dimmagen.dimmers.camera.noise_fit`): dark images are simulated with the model itself and
   compared with the real ones; noise levels, skews, correlations and tails are adjusted until both show the
   same statistics. Clipping at black, rounding to 8 bits, the texture of the light image and the filter that
   isolates the noise therefore need no formula. Where it turns out to be so strong that clipping at black
   decides the brightness (:mod:`~dimmagen.dimmers.camera.strong_noise`), the first two steps are repeated.
3. Scenes (:mod:`~dimmagen.dimmers.camera.scene_fit`): how exposure, white balance and noise level differ
   between scenes.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dimmagen.core.errors import DimmagenError
from dimmagen.core.threads import one_thread
from dimmagen.dimmers.camera.chroma import suppress_fine_chroma
from dimmagen.dimmers.camera.chroma_fit import fine_chroma
from dimmagen.dimmers.camera.highlights_fit import BRIGHTEST, headroom
from dimmagen.dimmers.camera.model import CameraModel
from dimmagen.dimmers.camera.noise_fit import fit_noise, noise_levels
from dimmagen.dimmers.camera.response import SIGMA_KNOTS, ResponseCurve
from dimmagen.dimmers.camera.response_fit import NoiseOfLevels, PairResponses, assumed_noise, fit_response
from dimmagen.dimmers.camera.scene_fit import balance_spread, camera_cast, exposure_spread, noise_spread
from dimmagen.dimmers.camera.strong_noise import decides_brightness, noise_of
from dimmagen.dimmers.camera.tiles import TILES_PER_PAIR, Tile, tiles_of
from dimmagen.dimmers.real_pairs import RealPair

MOST_REPETITIONS = 3  # of the fit, for noise so strong that the response depends on it


@one_thread()
def fit_camera(pairs: Sequence[RealPair], seed: int = 0, tiles_per_pair: int = TILES_PER_PAIR) -> CameraModel:
    """Fit the camera model.

    Args:
        pairs: aligned dark/light pairs of one camera, at least one; 3 to 8 are enough.
        seed: random seed of the simulated noise with which the fit compares.
        tiles_per_pair: of 512x512 pixels that are used at most; all pixels of a pair that has no more.

    Raises:
        DimmagenError: the pairs contain too little signal for a fit (black or blank images).
    """
    tiles, responses, model = _fit_signal(pairs, tiles_per_pair)
    share, filtered, above_white = fine_chroma(model, tiles, responses), pairs, 0.0
    if share < 1.0:
        filtered = [replace(pair, light=suppress_fine_chroma(pair.light, share)) for pair in pairs]
        tiles, responses, model = _fit_signal(filtered, tiles_per_pair)
    if unclipped := _fit_unclipped(filtered, tiles_per_pair):
        above_white = headroom(pairs, unclipped[1])
        if above_white:
            tiles, responses, model = unclipped
    brightest = BRIGHTEST if above_white else 255
    model = fit_noise(model, tiles, responses, seed)
    model, responses = _fit_strong_noise(model, tiles, responses, brightest, seed)
    levels = noise_levels(model, tiles, responses, seed)
    return replace(model, noise_spread=noise_spread(levels), fine_chroma=share, headroom=above_white)


def _fit_unclipped(
    pairs: Sequence[RealPair], tiles_per_pair: int
) -> tuple[list[Tile], PairResponses, CameraModel] | None:
    """:func:`_fit_signal` for light that is not clipped; None where dark images show little of it."""
    try:
        return _fit_signal(pairs, tiles_per_pair, BRIGHTEST)
    except DimmagenError:  # too few grey levels, of which there are enough with clipped light
        return None


def _fit_signal(
    pairs: Sequence[RealPair], tiles_per_pair: int, brightest: int = 255
) -> tuple[list[Tile], PairResponses, CameraModel]:
    """What is fitted to, how each pair responded to light up to a level, and the model without noise."""
    tiles = [tile for index, pair in enumerate(pairs) for tile in tiles_of(index, pair, tiles_per_pair)]
    responses = fit_response(tiles, len(pairs), brightest)
    return tiles, responses, _noiseless(responses, _common_quality(pairs))


def _noiseless(responses: PairResponses, jpeg_quality: int) -> CameraModel:
    """The model with these responses, without noise."""
    return CameraModel(
        log_slopes=responses.log_slopes,
        log_exposure=float(responses.log_exposures.mean()),
        balance=camera_cast(responses.balances),
        log_sigma=np.zeros((3, SIGMA_KNOTS)),
        correlation=np.eye(3),
        spatial=np.zeros(2),
        tail=0.0,
        exposure_spread=exposure_spread(ResponseCurve(responses.log_slopes), responses.log_exposures),
        jpeg_quality=jpeg_quality,
        toe=responses.toe,
        balance_spread=balance_spread(responses.balances),
    )


def _fit_strong_noise(
    model: CameraModel, tiles: Sequence[Tile], responses: PairResponses, brightest: int, seed: int
) -> tuple[CameraModel, PairResponses]:
    """The model and the responses, fitted again for as long as the noise that is found changes them."""
    assumed: NoiseOfLevels = assumed_noise
    for _ in range(MOST_REPETITIONS):
        found = noise_of(model)
        if not decides_brightness(model, tiles, responses, assumed, found):
            break
        responses = fit_response(tiles, len(responses.log_exposures), brightest, found)
        model = fit_noise(_noiseless(responses, model.jpeg_quality), tiles, responses, seed)
        assumed = found
    return model, responses


def _common_quality(pairs: Sequence[RealPair]) -> int:
    """The median quality of the dark images if all of them are or were JPEGs, otherwise 0."""
    qualities = sorted(pair.jpeg_quality for pair in pairs)
    return qualities[len(qualities) // 2] if qualities[0] else 0
