"""The denoiser is the adaptive Wiener filter, and what it leaves has the size of closed forms."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import gaussian_filter
from scipy.signal import wiener

from dimmagen.metrics.realism.denoising import denoised, denoised_psnr

FLAT = np.ones((120, 160), bool)


def noisy(seed=0, deviation=2.0, blur=0.0):
    noise = np.random.default_rng(seed).standard_normal((120, 160, 3))
    noise = gaussian_filter(noise, (blur, blur, 0)) if blur else noise
    return (40 + deviation * noise / noise.std()).astype(np.float32)


def test_it_is_the_wiener_filter_of_scipy_away_from_the_borders():
    image = noisy().astype(float)
    image[:, 80:] *= 3
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), "reflect")
    noise = sliding_window_view(padded, (5, 5), (0, 1)).var((3, 4)).mean((0, 1))
    for channel in range(3):
        expected = wiener(image[..., channel], 5, noise[channel])
        assert denoised(image)[5:-5, 5:-5, channel] == pytest.approx(expected[5:-5, 5:-5])


def test_an_image_without_noise_is_kept():
    image = np.full((20, 30, 3), 7, np.float32)
    assert denoised(image) == pytest.approx(image)
    assert np.isfinite(denoised_psnr(image, FLAT[:20, :30]))


def test_the_psnr_is_that_of_the_distance_from_the_blurred_image_on_the_flat_area():
    """Stripes of one pixel on the left half: a blur with sigma 3 removes them, the filter only in part.

    They are +-10, so that a window has the mean +-2 and the variance 96, of which half counts as noise.
    """
    image = np.full((120, 160, 3), 40, np.float32)
    image[:, :80] += 10 * (-1.0) ** np.arange(80)[None, :, None]
    inside = np.zeros_like(FLAT)
    inside[20:-20, 20:60] = True
    left = 2 + (10 - 2) / 2
    assert denoised(image)[60, 40] == pytest.approx(40 + left, abs=0.1)
    assert denoised_psnr(image, inside) == pytest.approx(20 * np.log10(255 / left), abs=0.1)


def test_twice_the_noise_costs_six_decibels():
    gap = denoised_psnr(noisy(1, 4.0), FLAT) - denoised_psnr(noisy(2, 2.0), FLAT)
    assert gap == pytest.approx(-20 * np.log10(2), abs=0.2)


def test_white_noise_is_reduced_to_a_quarter():
    assert denoised(noisy()).std() == pytest.approx(2.0 / 4, abs=0.05)


@pytest.mark.parametrize("blur", [0.5, 1.0])
def test_noise_of_equal_deviation_is_harder_to_remove_where_it_is_correlated(blur):
    assert denoised_psnr(noisy(1, blur=blur), FLAT) < denoised_psnr(noisy(2), FLAT) - 1
