"""The camera model on tensors gives the same bits as the kernel, with and without each of its parts."""

import numpy as np
import pytest
import torch

from dimmagen.core.philox import philox4x32
from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.camera import torch_random
from tests.cameras import camera, structured

NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
WITHOUT = [
    (),
    ("spatial",),
    ("spatial", "tails", "correlation"),
    ("response",),
    ("skew",),
    ("toe", "tails"),
    ("toe", "skew", "spatial"),
]
DEVICES = ["cpu", pytest.param("cuda", marks=NO_GPU)]


@pytest.mark.parametrize("device", DEVICES)
def test_philox_gives_the_same_words_as_in_the_kernel(device):
    words = np.random.default_rng(0).integers(0, 2**32, (200, 4))
    key = (0xFFFFFFFF, 0x7FABCDEF)
    tensors = torch.from_numpy(words).to(device).unbind(1)
    on_tensors = torch.stack(torch_random.philox4x32(*tensors, *key), 1).cpu().numpy()
    kernel = [philox4x32(*map(np.uint32, row), *map(np.uint32, key)) for row in words]
    assert np.array_equal(on_tensors, np.array(kernel, np.int64))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", [(1, 1), (37, 52), (64, 53)])
@pytest.mark.parametrize("by_luma", [False, True])
@pytest.mark.parametrize("without", WITHOUT)
def test_dimming_tensors_gives_the_same_pixels_as_the_kernel(device, size, without, by_luma):
    lights = np.random.default_rng(1).integers(0, 256, (3, *size, 3), np.uint8)
    model = camera(noise_by_luma=by_luma).switched_off(*without)
    seeds = (1, 2**63 - 1, 0xFFFFFFFF00000000 >> 1)
    draws = [
        Draw(gamma=1.7 - index / 2, tau=2.0, exposure=0.8, noise_seed=s) for index, s in enumerate(seeds)
    ]
    tensor = torch.from_numpy(lights).permute(0, 3, 1, 2).to(device)
    dark = model.expose_tensors(tensor, draws).permute(0, 2, 3, 1).cpu().numpy()
    assert dark.dtype == np.uint8
    for light, draw, result in zip(lights, draws, dark, strict=True):
        assert np.array_equal(result, model.expose(light, draw))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", [(1, 1), (37, 52), (3, 53)])
@pytest.mark.parametrize("without", [(), ("spatial",), ("banding", "skew")])
def test_structured_noise_is_the_same_on_tensors(device, size, without):
    model = structured(fine_chroma=0.4).switched_off(*without)
    lights = np.random.default_rng(1).integers(0, 256, (2, *size, 3), np.uint8)
    draws = [Draw(gamma=1.2, tau=1.5, exposure=0.8, noise_seed=seed) for seed in (1, 2**63 - 1)]
    dark = model.expose_tensors(torch.from_numpy(lights).permute(0, 3, 1, 2).to(device), draws)
    for light, draw, result in zip(lights, draws, dark.permute(0, 2, 3, 1).cpu().numpy(), strict=True):
        assert np.array_equal(result, model.expose(light, draw))
