"""Of few pixels, a fit takes no chance for a property of the camera."""

import pytest

from dimmagen.dimmers.camera.fit import fit_camera
from dimmagen.dimmers.real_pairs import RealPair
from tests.simulated_camera import SimulatedCamera, simulated_light


def fitted(camera, seed, height, width):
    """The model of three pairs."""
    seeds = range(10 * seed, 10 * seed + 3)
    lights = [simulated_light(one)[:height, :width].copy() for one in seeds]
    darks = [camera.shoot(light, one) for light, one in zip(lights, seeds, strict=True)]
    return fit_camera(
        [RealPair(str(n), *images, "", "") for n, images in enumerate(zip(darks, lights, strict=True))]
    )


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_white_gaussian_noise_of_tiny_pairs_gets_no_structure_and_no_tails(seed):
    model = fitted(SimulatedCamera(), seed, 40, 64)
    assert not model.filters.any()
    assert not model.banding.any()
    assert (model.tail, model.chroma_tail) == (0.0, 0.0)


def test_strong_structure_and_tails_are_found_in_small_pairs_too():
    assert fitted(SimulatedCamera(blur=1.0), 0, 96, 128).filters.any()
    assert 0 < fitted(SimulatedCamera(heavy_tails=True), 0, 96, 128).tail < 12
