"""AKLD and KLD have the values of closed forms, and their floors are those that the documentation states."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dimmagen.metrics.realism.noise import residual
from dimmagen.metrics.realism.published import (
    average_kl_divergence,
    histogram_divergence,
    local_variance,
    noise_histogram,
)


def signs(deviation):
    """Noise whose square is the same everywhere, so that its local variance is known exactly."""
    return deviation * np.random.default_rng(0).choice([-1.0, 1.0], (30, 40, 3))


def white(seed, deviation=2.0, blur=0.0, shape=(300, 400, 3)):
    noise = np.random.default_rng(seed).standard_normal(shape)
    noise = gaussian_filter(noise, (blur, blur, 0)) if blur else noise
    return deviation * noise / noise.std()


def akld(real, synthetic):
    return average_kl_divergence(local_variance(real), local_variance(synthetic))


def kld(real, synthetic):
    return histogram_divergence(noise_histogram(real), noise_histogram(synthetic))


@pytest.mark.parametrize(
    ("real", "synthetic", "nats"),
    [
        (3.0, 3.0, 0.0),
        (2.0, 4.0, (4 - 1 - np.log(4)) / 2),  # KL(N(0, 16) || N(0, 4))
        (4.0, 2.0, (1 / 4 - 1 + np.log(4)) / 2),
        (1.0, 20.0, (10 - 1 - np.log(10)) / 2),  # a ratio of 400 counts as 10
        (20.0, 1.0, (1 / 10 - 1 + np.log(10)) / 2),
        (0.0, 0.0, 0.0),
    ],
)
def test_akld_of_known_variances_is_the_divergence_of_two_gaussians(real, synthetic, nats):
    assert akld(signs(real), signs(synthetic)) == pytest.approx(nats, abs=1e-9)


def test_the_local_variance_is_a_mean_of_the_squares_in_windows_of_7_pixels():
    point = np.zeros((21, 21, 3))
    point[10, 10, 1] = 2.0
    variance = local_variance(point)
    assert variance[..., 1].sum() == pytest.approx(4.0, abs=0.01)
    weights = np.exp(-(np.arange(-3, 4) ** 2) / (2 * 1.4**2))
    assert variance[10, 8:13, 1] == pytest.approx(4 * weights[3] * weights[1:6] / weights.sum() ** 2)
    assert variance[10, 14, 1] == pytest.approx(0, abs=1e-4)
    assert variance[..., (0, 2)].max() < 1e-4


def test_kld_of_two_gaussians_is_their_divergence():
    real, synthetic = (white(seed, deviation) for seed, deviation in ((1, 10.0), (2, 15.0)))
    nats = np.log(15 / 10) + 10**2 / (2 * 15**2) - 1 / 2
    assert kld(real, synthetic) == pytest.approx(nats, abs=0.01)
    assert kld(synthetic, real) != pytest.approx(nats, abs=0.05)


def test_kld_compares_only_bins_that_both_have():
    narrow, wide = np.array([0.5, 0.5, 0.5, 0.5]), np.array([0.5, 0.5, 100.0, -100.0])
    assert kld(narrow, wide) == pytest.approx(np.log(2))
    assert kld(wide, narrow) == pytest.approx(np.log(1 / 2) / 2)  # which no divergence of whole laws can be
    assert noise_histogram(np.array([0.1, 1.9])).max() == 1.0  # one bin
    assert noise_histogram(np.array([0.1, 2.1])).max() == 0.5


@pytest.mark.parametrize(
    ("blur", "of_noise", "of_residual"), [(0.0, 0.044, 0.046), (0.7, 0.108, 0.077), (1.0, 0.214, 0.134)]
)
def test_akld_of_two_draws_of_one_law_is_not_zero(blur, of_noise, of_residual):
    one, other = white(1, blur=blur), white(2, blur=blur)
    assert akld(one, other) == pytest.approx(of_noise, rel=0.06)
    assert akld(residual(one), residual(other)) == pytest.approx(of_residual, rel=0.06)


def test_kld_of_two_draws_of_one_law_is_all_but_zero():
    assert abs(kld(white(1), white(2))) < 1e-3
