"""The network computes the paper's likelihood, the kernel agrees with its definition, and fits succeed."""

import numpy as np
import pytest
import torch
from scipy.stats import norm

from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.mdn.definition import dim_plainly
from dimmagen.dimmers.mdn.fit import fit_network
from dimmagen.dimmers.mdn.model import DeterministicModel, MdnFiles, MdnModel
from dimmagen.dimmers.mdn.network import (
    PixelTable,
    held_out_likelihood,
    negative_log_likelihood,
    recoloured,
)
from dimmagen.dimmers.mdn.reference import ReferenceModel
from dimmagen.dimmers.real_pairs import RealPair
from tests.dimmers.mdn.networks import random_network


def files(made=None, **changes) -> MdnFiles:
    made = made or random_network()
    levels = np.arange(256, dtype=np.float32)
    fields = {
        "network": made.tensors(),
        "mean": 0.1 + levels / 2000,
        "std": np.full(256, 0.02, np.float32),
        "published": False,
        "sigma_floor": made.sigma_floor,
        "tau": 1.0,
        "exposure_spread": 0.0,
    }
    return MdnFiles(**{**fields, **changes})


def light_image(size=(67, 93), seed=0):
    """Random pixels with some black and white ones; an odd number, so that the last tile is not full."""
    image = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    image[0, :5], image[1, :5], image[2, :5] = 0, 255, (0, 200, 0)
    return image


def test_the_network_has_the_size_of_the_papers_network():
    assert sum(parameter.numel() for parameter in random_network().parameters()) == 3492


def test_the_likelihood_is_that_of_the_mixture_of_gaussians():
    made = random_network(gain=3.0)
    x, target = torch.rand(50, 5), torch.rand(50, 3)
    means, sigmas, log_weights = (value.detach().double().numpy() for value in made(x))
    density = (np.exp(log_weights) * norm.pdf(target[:, :, None].numpy(), means, sigmas)).sum(2)
    expected = -np.log(density).sum(1)
    np.testing.assert_allclose(negative_log_likelihood(made, x, target).detach(), expected, rtol=1e-4)
    # A density integrates to 1; here over one channel.
    grid = np.linspace(-20, 20, 40001)
    mixture = (np.exp(log_weights[0, 0]) * norm.pdf(grid[:, None], means[0, 0], sigmas[0, 0])).sum(1)
    assert mixture.sum() * (grid[1] - grid[0]) == pytest.approx(1, abs=1e-3)


def test_black_pixels_are_masked_and_dark_values_dequantised():
    light, dark = np.full((2, 3, 3), 100, np.uint8), np.full((2, 3, 3), 7, np.uint8)
    light[0, 0], dark[1, 1] = 0, 0
    table = PixelTable([RealPair("a", dark, light, "", "")])
    assert len(table) == 4
    x, target = table.batch(torch.zeros(20_000, dtype=torch.long), torch.Generator().manual_seed(0))
    level = x[:, 4:] * target * 3 * 255
    assert 6.5 - 1e-3 <= level.min() < 6.51
    assert 7.49 < level.max() <= 7.5 + 1e-3
    torch.testing.assert_close(target.sum(1), torch.ones(20_000))


@pytest.mark.parametrize("gain", [1.0, 4.0])
@pytest.mark.parametrize("draw", [Draw(1.0, 1.0, 1.0, 5), Draw(2.0, 3.0, 1.4, 2**62 + 11)])
def test_the_kernel_agrees_with_the_plain_implementation(gain, draw):
    model = MdnModel(files(random_network(gain=gain)))
    light = light_image((300, 401))
    fast, plain = model.dim(light, draw).astype(int), dim_plainly(model, light, draw).astype(int)
    # A uniform at the boundary between two components may select either.
    assert (fast != plain).mean() < 2e-4
    assert np.abs(fast.mean((0, 1)) - plain.mean((0, 1))).max() < 0.01


def test_a_dark_pixel_depends_on_its_index_but_not_on_the_pixels_around_it():
    model, draw = MdnModel(files()), Draw(1.0, 1.0, 1.0, 5)
    whole, part = model.dim(light_image(), draw), model.dim(light_image()[:40], draw)
    assert np.array_equal(whole[:40], part)
    assert np.array_equal(whole, model.dim(np.asfortranarray(light_image()), draw))


def test_gamma_exposure_and_tau_have_the_documented_effect():
    model, light = MdnModel(files(random_network(gain=0.1))), np.full((200, 200, 3), 180, np.uint8)
    mean = model.dim(light, Draw(1.0, 0.0, 1.0, 1)).mean()
    assert model.dim(light, Draw(2.0, 0.0, 1.0, 1)).mean() == pytest.approx(2 * mean, rel=0.01)
    assert model.dim(light, Draw(1.0, 0.0, 0.5, 1)).mean() == pytest.approx(mean / 2, rel=0.02)
    luma = [model.dim(light, Draw(1.0, tau, 1.0, 1)).mean(2).std() for tau in (0.0, 1.0, 2.0)]
    assert luma[0] < 0.5
    assert luma[2] / luma[1] == pytest.approx(2, rel=0.05)


def test_black_stays_black_and_values_beyond_white_do_not_wrap_around():
    bright = files(mean=np.full(256, 5.0, np.float32))
    light, draw = light_image(), Draw(1.0, 1.0, 1.0, 1)
    assert not MdnModel(bright).dim(light, draw)[0, :5].any()
    dark = DeterministicModel(bright).dim(light, draw)
    assert not dark[0, :5].any()
    assert dark[1, :5].min() > 150


def test_the_deterministic_model_gives_the_mean_of_the_drawn_images():
    network = random_network()
    drawn, expected = MdnModel(files(network)), DeterministicModel(files(network))
    light = np.full((300, 300, 3), (200, 150, 100), np.uint8)
    draw = Draw(1.0, 0.0, 1.0, 1)
    dark = expected.dim(light, draw)
    assert np.ptp(dark.reshape(-1, 3), axis=0).max() == 0
    assert np.array_equal(dark, expected.dim(light, Draw(1.0, 1.0, 1.0, 99)))
    # Without noise, the illumination is exactly that of the drawn image, whatever its colour.
    assert dark[0, 0].sum() == pytest.approx(drawn.dim(light, draw).sum(2).mean(), abs=1.5)


def test_models_compute_the_likelihood_of_a_real_pair():
    pair = camera_pairs(1)[0]
    model = MdnModel(files())
    expected = held_out_likelihood(random_network(), PixelTable([pair]))
    assert model.negative_log_likelihood(pair.light, pair.dark) == pytest.approx(expected, abs=1e-6)
    assert ReferenceModel(files()).negative_log_likelihood(pair.light, pair.dark) == pytest.approx(expected)


def camera_pairs(count, seed=0, size=96):
    """A simulated camera with a colour cast and noise, uint8."""
    random = np.random.default_rng(seed)
    pairs = []
    for index in range(count):
        light = random.integers(20, 256, (size, size, 3)).astype(np.uint8)
        dark = light * np.array([0.20, 0.15, 0.12]) + random.normal(0, 1.0, light.shape)
        dark = np.clip(np.rint(dark), 0, 255).astype(np.uint8)
        pairs.append(RealPair(str(index), dark, light, "", ""))
    return pairs


def test_a_fit_finds_the_colour_cast_of_a_camera():
    fit = fit_network(camera_pairs(2), steps=300)
    fresh = PixelTable(camera_pairs(1, seed=1))
    assert held_out_likelihood(fit.network, fresh) == pytest.approx(fit.nats, abs=0.3)
    light = np.full((100, 100, 3), 180, np.uint8)
    dark = MdnModel(files(fit.network)).dim(light, Draw(1.0, 0.0, 1.0, 1)).mean((0, 1))
    assert dark[0] / dark[1] == pytest.approx(0.20 / 0.15, rel=0.08)
    assert dark[2] / dark[1] == pytest.approx(0.12 / 0.15, rel=0.08)


def test_recolouring_keeps_the_darkness_of_each_channel_and_skips_pixels_that_would_clip():
    generator = torch.Generator().manual_seed(0)
    light = torch.tensor([[200.0, 150, 100]]).repeat(50_000, 1)
    dark, other = recoloured(light * 0.2, light, 0.3, generator)
    changed = (other != light).any(1)
    assert 0.2 < changed.float().mean() < 0.5
    assert other.amax() <= 255
    ratio = dark[changed] / other[changed]
    assert ratio.mean() == pytest.approx(0.2, abs=0.002)
    assert (dark[changed] - 0.2 * other[changed]).abs().max() < 0.61  # two roundings
    assert other[changed].std(0).min() > 10


def test_the_same_seed_gives_the_same_network_and_another_seed_another():
    pairs = camera_pairs(1, size=48)
    first, again, other = (fit_network(pairs, seed, steps=20).network.tensors() for seed in (3, 3, 4))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["head.weight"], other["head.weight"])


def test_whole_pairs_are_held_out_from_four_pairs_on():
    assert fit_network(camera_pairs(3, size=32), steps=2).held_out == "the lowest eighth of each picture"
    assert fit_network(camera_pairs(4, size=32), steps=2).held_out.startswith("pairs ")


def test_the_best_network_of_all_checks_is_kept():
    fit = fit_network(camera_pairs(1, size=48), steps=300)
    held = camera_pairs(1, size=48)[0]
    lowest = RealPair("0", held.dark[42:], held.light[42:], "", "")
    assert held_out_likelihood(fit.network, PixelTable([lowest])) == pytest.approx(fit.nats, abs=1e-6)
