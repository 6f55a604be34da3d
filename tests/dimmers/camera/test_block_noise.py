"""Statistics of the noise of blocks, each by its definition on a few numbers."""

import numpy as np
import pytest

from dimmagen.dimmers.camera import block_noise


def test_a_weighted_median_has_half_of_the_weight_below_it():
    median = block_noise._weighted_median
    values, weights = np.array([3.0, 1.0, 2.0, 9.0]), np.array([1.0, 1.0, 1.0, 5.0])
    assert median(values, weights) == 9.0
    assert median(values, np.array([1.0, 2.0, 1.0, 0.5])) == 2.0
    assert median(values[:3], np.ones(3)) == 2.0
    assert median(values[:2], np.ones(2)) == 1.0
    assert median(values[:0], np.ones(0)) == 0.0


def test_blocks_are_numbered_row_by_row():
    numbers = block_noise._block_numbers(33, 33)
    assert numbers.shape == (33, 33)
    assert (numbers[15, 15], numbers[15, 16], numbers[16, 15], numbers[32, 32]) == (0, 1, 3, 8)


def test_cells_are_the_pixels_of_a_block_near_a_knot(random):
    area = random.random((20, 36)) < 0.8
    residual = random.normal(0, 3, (20, 36, 3)).astype(np.float32)
    knots = random.integers(4, 7, (3, int(area.sum())))
    expected = []
    for channel in range(3):
        cells: dict[tuple[int, int], list[float]] = {}
        for (y, x), knot in zip(np.argwhere(area), knots[channel], strict=True):
            cells.setdefault((y // 16 * 3 + x // 16, knot), []).append(float(residual[y, x, channel]))
        for (_, knot), values in sorted(cells.items()):
            if len(values) >= 24:
                second, third = (np.mean(np.power(values, moment)) for moment in (2, 3))
                expected.append((channel, knot, second, third / (second + 1e-3) ** 1.5, len(values)))
    assert block_noise.cells_of_blocks(residual, area, knots) == pytest.approx(np.array(expected))
    assert len(expected) > 10


def test_statistics_of_a_block_are_those_of_its_pixels_in_the_area(random):
    area = random.random((20, 36)) < 0.6
    area[16:, 30:], area[:16, 16:32] = False, False  # nothing of the last block
    area[:8, 16:24] = True  # 64 pixels of the second one
    residual = random.normal(0, 3, (20, 36, 3))
    residual[..., 1] += residual[..., 0]
    blocks = block_noise._block_numbers(20, 36)
    expected = []
    for block in range(6):
        own = area & (blocks == block)
        if own.sum() < 64:
            continue
        pixels = residual[own]
        products = pixels.T @ pixels
        deviation = np.sqrt(np.diag(products))
        luma = residual.mean(2, keepdims=True)
        lags, kurtoses = [], []
        for part in (luma, residual - luma):
            power = (part[own] ** 2).sum() / own.sum()
            kurtoses.append(part.shape[2] * (part[own] ** 4).sum() / own.sum() / power**2)
            lag = 0.0
            for dy, dx in ((0, 1), (1, 0)):
                ends = [
                    (y, x) for y, x in np.argwhere(own) if min(y - dy, x - dx) >= 0 and area[y - dy, x - dx]
                ]
                lag += np.mean([(part[y, x] * part[y - dy, x - dx]).sum() for y, x in ends]) / 2
            lags.append(lag / power)
        expected.append([*(products / np.outer(deviation, deviation)).ravel(), *lags, *kurtoses, own.sum()])
    found = block_noise.structure_of_blocks(residual, area)
    assert len(found) == 2
    assert found == pytest.approx(np.array(expected))


def test_a_knot_has_the_median_of_its_cells_by_their_pixels():
    own = [[0, 3, 1.0, 0.1, 30], [0, 3, 2.0, 0.3, 40], [0, 3, 5.0, 0.2, 30]]
    others = [[0, 11, 9.0, 0.5, 50], [2, 3, 8.0, 0.6, 50], [2, 11, 7.0, -1.0, 24]]
    power, skewness, count = block_noise._by_knot(np.array([*own, *others]))
    assert (power.shape, power[0, 3], power[2, 11], power.sum()) == ((3, 12), 2.0, 7.0, 26.0)
    assert (skewness[0, 3], skewness[2, 11]) == (0.2, -1.0)
    assert (count[0, 3], count[2, 11], count.sum()) == (100, 24, 224)
