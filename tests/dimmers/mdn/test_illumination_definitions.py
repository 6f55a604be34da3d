"""The statistics of illumination, each by its definition on a few numbers."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dimmagen.dimmers.mdn import illumination
from dimmagen.dimmers.mdn.illumination import fill, fit_illumination, light_levels, repair_published, smooth
from dimmagen.dimmers.real_pairs import RealPair
from tests.dimmers.mdn.pairs import a_pair


def ratios_of(pair: RealPair) -> dict[int, list[float]]:
    by_level: dict[int, list[float]] = {}
    for light, dark in zip(
        pair.light.reshape(-1, 3).astype(int), pair.dark.reshape(-1, 3).astype(int), strict=True
    ):
        if light.sum():
            by_level.setdefault((light.sum() + 1) // 3, []).append(dark.sum() / light.sum())
    return by_level


def test_statistics_are_those_of_the_ratios_at_each_level():
    pair = a_pair(2, (24, 30))
    pair.light[0, :4] = 0
    levels = light_levels(pair.light)
    assert levels[0, 0] == 0
    assert light_levels(np.array([1, 0, 0], np.uint8)) == 0
    assert light_levels(np.array([1, 1, 0], np.uint8)) == 1
    by_level = ratios_of(pair)
    mean, std, known = np.zeros(256), np.zeros(256), np.zeros(256, bool)
    for level, values in by_level.items():
        mean[level], std[level], known[level] = np.mean(values), np.std(values), len(values) >= 2
    found = fit_illumination([pair])
    assert found.mean == pytest.approx(smooth(fill(mean, known)), abs=1e-5)
    assert found.std == pytest.approx(smooth(fill(std, known)), abs=1e-4)
    assert (found.mean.dtype, found.std.dtype, found.exposure_spread) == (np.float32, np.float32, 0.0)
    counts, sums, squares = illumination._tables(pair)
    for level, values in by_level.items():
        assert (counts[level], sums[level]) == (len(values), pytest.approx(sum(values)))
        assert squares[level] == pytest.approx(sum(np.square(values)))
    assert counts.sum() == 24 * 30 - 4


def test_exposures_are_factors_on_a_common_curve():
    counts = np.array([[5.0, 3.0, 0.0], [0.0, 4.0, 4.0]])
    curve, true = np.array([0.1, 0.2, 0.3]), np.array([[0.5], [2.0]])
    found = illumination._exposures(counts, counts * curve * true)
    assert found == pytest.approx(true, rel=1e-3)
    pairs = [a_pair(0, (24, 30), 0.1), a_pair(1, (24, 30), 0.3)]
    tables = [illumination._tables(pair) for pair in pairs]
    exposure = illumination._exposures(*(np.stack(one) for one in list(zip(*tables, strict=True))[:2]))
    assert fit_illumination(pairs).exposure_spread == pytest.approx(np.log(exposure).std(ddof=1))
    count, total, square = (np.stack(one) for one in zip(*tables, strict=True))
    mean = (total / exposure).sum(0) / np.maximum(count.sum(0), 1)
    std = np.sqrt(np.maximum((square / exposure**2).sum(0) / np.maximum(count.sum(0), 1) - mean**2, 0))
    known = count.sum(0) >= 2
    assert fit_illumination(pairs).mean == pytest.approx(smooth(fill(mean, known)), abs=1e-6)
    assert fit_illumination(pairs).std == pytest.approx(smooth(fill(std, known)), abs=1e-6)


def temperature_of(pair: RealPair, std: np.ndarray) -> float:
    """The median, by pixels, of measured on predicted noise of the flat pixels in 16 ranges of level."""
    light, dark = (image.astype(float).mean(2) for image in (pair.light, pair.dark))
    impulse = np.zeros((15, 15))
    impulse[7, 7] = 1
    passed = ((impulse - gaussian_filter(impulse, 1.5)) ** 2).sum()
    texture = gaussian_filter((light - gaussian_filter(light, 2)) ** 2, 2)
    flat = (texture <= np.quantile(texture, 0.4)) & (light > 0) & (dark > 1)
    residual, levels, found = dark - gaussian_filter(dark, 1.5), light_levels(pair.light), []
    for low in range(0, 256, 16):
        chosen = flat & (levels >= low) & (levels < low + 16)
        if chosen.sum() >= 500:
            predicted = np.mean((std[levels[chosen]] * light[chosen]) ** 2)
            measured = max(residual[chosen].var() / passed - 1 / 36, 1e-4)
            found += [np.sqrt(measured / predicted)] * int(chosen.sum())
    return round(float(np.sort(found)[(len(found) - 1) // 2]), 4)


def test_the_temperature_is_the_noise_of_flat_pixels_as_a_share_of_the_deviation():
    random = np.random.default_rng(0)
    light = (
        np.linspace(60, 140, 120)[None]
        + 40 * (random.random((90, 120)) < 0.05) * (np.arange(90) > 60)[:, None]
    )
    light = np.stack([light.clip(0, 255)] * 3, 2).astype(np.uint8)
    dark = (0.2 * light + random.normal(0, 1, light.shape)).clip(0, 255).astype(np.uint8)
    pair, std = RealPair("", dark, light, "", ""), np.linspace(0.03, 0.09, 256)
    assert illumination._temperature([pair], std) == pytest.approx(temperature_of(pair, std), abs=2e-4)
    assert illumination._temperature([a_pair()], std) == 0.1  # no range has 500 flat pixels


def test_published_arrays_without_any_pixels_stay_as_they_are():
    assert not repair_published(np.zeros(256)).any()
    assert repair_published(np.zeros(256)).dtype == np.float32
