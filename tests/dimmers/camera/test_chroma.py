"""The fine chroma of the light image: what is taken away, on every device, and what the fit finds."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d

from dimmagen.dimmers.camera.chroma import suppress_fine_chroma, suppress_fine_chroma_of_tensors
from dimmagen.dimmers.camera.chroma_fit import fine_chroma
from dimmagen.dimmers.camera.fit import fit_camera
from dimmagen.dimmers.camera.response_fit import fit_response
from dimmagen.dimmers.camera.tiles import tiles_of
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.metrics.realism import noise
from tests.dimmers.camera.simulated_pairs import SIZE, camera, draw, pairs_of

TAPS = np.array([1, 4, 6, 4, 1]) / 16


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (37, 52)])
@pytest.mark.parametrize("share", [0.0, 0.35])
def test_a_share_of_the_fine_chroma_stays_on_every_device(size, share):
    lights = np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8)
    found = [suppress_fine_chroma(light, share) for light in lights]
    for light, filtered in zip(lights, found, strict=True):
        level = light.astype(float)
        blurred = convolve1d(convolve1d(level, TAPS, 0, mode="nearest"), TAPS, 1, mode="nearest")
        fine = level - blurred
        wanted = level - (1 - share) * (fine - fine.mean(2, keepdims=True))
        assert np.abs(filtered - wanted.clip(0, 255)).max() < 0.8  # of rounding to a level, and of the share
    tensors = suppress_fine_chroma_of_tensors(torch.from_numpy(lights).permute(0, 3, 1, 2), share)
    assert np.array_equal(tensors.permute(0, 2, 3, 1).numpy(), np.stack(found))
    assert tensors.dtype == torch.uint8


def test_an_empty_image_stays_empty():
    empty = np.zeros((0, 5, 3), np.uint8)
    assert suppress_fine_chroma(empty, 0.3) is empty
    assert suppress_fine_chroma_of_tensors(torch.zeros((2, 3, 0, 5), dtype=torch.uint8), 0.3).shape == (
        2,
        3,
        0,
        5,
    )


def test_grey_images_and_slow_changes_of_colour_stay_as_they_are():
    grey = np.random.default_rng(0).integers(0, 256, (40, 50, 1), np.uint8).repeat(3, axis=2)
    slope = np.linspace([40, 90, 200], [90, 90, 100], 60)[None].repeat(40, axis=0).astype(np.uint8)
    assert np.array_equal(suppress_fine_chroma(grey, 0.0), grey)
    assert np.abs(suppress_fine_chroma(slope, 0.0)[:, 2:-2].astype(int) - slope[:, 2:-2]).max() <= 1
    assert suppress_fine_chroma(slope, 1.0) is slope


def with_noisy_lights(pairs: list[RealPair]) -> list[RealPair]:
    """The light images with chroma noise and texture of luma; only the latter is in the dark images."""
    random = np.random.default_rng(1)
    noisy = []
    for pair in pairs:
        colour = random.normal(0, 6, (SIZE, SIZE, 3))
        colour -= colour.mean(2, keepdims=True)
        light = (pair.light + colour).round().clip(0, 255).astype(np.uint8)
        noisy.append(replace(pair, light=light))
    return noisy


def textured_pairs() -> list[RealPair]:
    pairs = []
    for index, pair in enumerate(pairs_of(camera())):
        texture = np.random.default_rng(index).normal(0, 8, (SIZE, SIZE, 1))
        light = (pair.light + texture).round().clip(0, 255).astype(np.uint8)
        dark = camera().dim(light, replace(draw(noise_seed=index + 9), exposure=0.7 + 0.3 * index))
        pairs.append(replace(pair, light=light, dark=dark))
    return pairs


def test_the_fit_finds_that_the_chroma_of_light_images_is_their_own_noise():
    pairs = with_noisy_lights(textured_pairs())
    fitted = fit_camera(pairs)
    assert fitted.fine_chroma < 0.3
    real = chroma_noise(pairs[1].dark)
    # The exposure of the model is the mean one, that of the second pair.
    made, whole = (
        chroma_noise(model.dim(pairs[1].light, draw()))
        for model in (fitted, fitted.switched_off("fine-chroma"))
    )
    assert made == pytest.approx(real, rel=0.08)
    assert whole > 1.1 * real


def test_light_images_are_left_alone_whose_chroma_is_the_scenes():
    pairs = textured_pairs()
    tiles = [tile for index, pair in enumerate(pairs) for tile in tiles_of(index, pair)]
    assert fine_chroma(camera(), tiles, fit_response(tiles, len(pairs))) == 1.0


def chroma_noise(image: np.ndarray) -> float:
    residual = noise.residual(image.astype(np.float32))
    return float((residual - residual.mean(2, keepdims=True)).std())
