"""The tables of a batch, made on its device: those of :meth:`.CameraModel.tables`, to the last bit.

Tables for 128 images take the CPU 20 ms, and their pixels a GPU 1 ms. So they are computed there, in float64.
Its logarithm and exponential may differ from numpy's in the last bits, which decides a table's integer only
where a value lies between two integers: images with such a value are listed, and get their tables from numpy.
"""

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from dimmagen.dimmers.camera import kernel
from dimmagen.dimmers.camera.response import FINE, SIGMA_KNOTS, ResponseCurve, sigma_axis
from dimmagen.dimmers.camera.triton_kernel import ROW

_KNOTS: tl.constexpr = tl.constexpr(SIGMA_KNOTS)
_FINE: tl.constexpr = tl.constexpr(FINE)
_ROW: tl.constexpr = tl.constexpr(ROW)
_LARGEST_SIGMA: tl.constexpr = tl.constexpr(kernel.LARGEST_SIGMA)
_LARGEST_SLOPE: tl.constexpr = tl.constexpr(kernel.LARGEST_SLOPE)
_LARGEST_NOISE: tl.constexpr = tl.constexpr(kernel.LARGEST_NOISE)
_SMALLEST_LEVEL: tl.constexpr = tl.constexpr(kernel.SMALLEST_LEVEL)
_LEVEL_UNITS: tl.constexpr = tl.constexpr(float(1 << kernel.LEVEL_BITS))
_SIGMA_UNITS: tl.constexpr = tl.constexpr(float(1 << kernel.SIGMA_BITS))
_BEND_UNITS: tl.constexpr = tl.constexpr(float(1 << kernel.BEND_BITS))
# How far from the middle between two integers a value must be. Errors of a few units in the last place of
# float64 are below a tenth of it: 2e-13 grey levels are 2e-7 units of a level, and 1e-9 of sigma and bend.
_LEVEL_DOUBT: tl.constexpr = tl.constexpr(2e-6)
_FACTOR_DOUBT: tl.constexpr = tl.constexpr(2e-7)

# Where a part of :func:`model_numbers` begins; those of a channel are balance, toe, ln sigma and skew.
_LEVELS: tl.constexpr = tl.constexpr(256)
_CURVE: tl.constexpr = tl.constexpr(512)
_AXIS: tl.constexpr = tl.constexpr(512 + 2 * FINE)
_CHANNELS: tl.constexpr = tl.constexpr(512 + 2 * FINE + SIGMA_KNOTS)
_CHANNEL: tl.constexpr = tl.constexpr(1 + 2 * SIGMA_KNOTS)


def model_numbers(
    codes: tuple[np.ndarray, np.ndarray],
    curve: ResponseCurve,
    toe: np.ndarray,
    log_sigma: np.ndarray,
    skew: np.ndarray,
) -> np.ndarray:
    """What tables are made of and is equal for all draws of a camera, float64.

    Args:
        codes: level and log light of the codes of light, :meth:`.CameraModel.light_codes`.
        curve: its response.
        toe: float64 (3,), black offsets.
        log_sigma, skew: float64 (3, 12), the noise curves.
    """
    by_channel = np.concatenate([toe[:, None], log_sigma, skew], axis=1)
    levels, log_light = codes
    parts = [log_light, levels, *curve.knots, sigma_axis(), by_channel.ravel()]
    return np.concatenate(parts)


def draw_numbers(shifts: np.ndarray, tau: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """What tables are made of and differs between draws.

    Args:
        shifts: float64 (B, 3), see :meth:`.CameraModel.light_shifts`.
        tau: float64 (B,), factor of the noise.
        seeds: int64 (B,), keys of Philox.

    Returns:
        int64 (B, 5): the bits of the shifts, those of tau, and the key.
    """
    return np.column_stack([shifts.view(np.int64), tau.view(np.int64), seeds])


def make_rows(model: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
    """The rows of a batch, as :func:`.triton_kernel.dim_rows` takes them.

    Args:
        model: :func:`model_numbers`.
        draws: :func:`draw_numbers`, on the same device.

    Returns:
        int64 (B, 769), and int32 (B, 3), not 0 where a row of an image is in doubt and numpy must make it.
    """
    count = len(draws)
    rows = torch.empty((count, ROW), dtype=torch.int64, device=draws.device)
    doubts = torch.empty((count, 3), dtype=torch.int32, device=draws.device)
    _make_rows[(count, 3)](model, draws, rows, doubts, num_warps=8)
    return rows, doubts


@triton.jit
def _interpolated(x, xs, ys, COUNT: tl.constexpr):
    """numpy.interp with `COUNT` knots, at most 1024."""
    at = tl.zeros_like(x).to(tl.int32)
    for bit in tl.static_range(10):
        next = at + (512 >> bit)
        right = tl.load(xs + next, mask=next < COUNT - 1, other=float("inf")) <= x
        at = tl.where(right, next, at)
    x0, x1, y0, y1 = tl.load(xs + at), tl.load(xs + at + 1), tl.load(ys + at), tl.load(ys + at + 1)
    inner = (y1 - y0) / (x1 - x0) * (x - x0) + y0
    return tl.where(x <= x0, y0, tl.where(x >= x1, y1, inner))


@triton.jit
def _fixed(value, units, doubt):
    """The nearest integer to a value times `units`, and whether another arithmetic could give another one."""
    scaled = value * units
    whole = tl.floor(scaled)
    part = scaled - whole
    return (whole + tl.where(part > 0.5, 1.0, 0.0)).to(tl.int64), tl.abs(part - 0.5) < doubt


@triton.jit
def _make_rows(model, draws, rows, doubts):
    image, channel = tl.program_id(0).to(tl.int64), tl.program_id(1)
    value = tl.arange(0, 256)
    draw, mine = draws + image * 5, model + _CHANNELS + channel * _CHANNEL
    shift = tl.load(draw + channel).to(tl.float64, bitcast=True)
    tau = tl.load(draw + 3).to(tl.float64, bitcast=True)
    log_light = tl.load(model + value) + shift
    curve = _interpolated(log_light, model + _CURVE, model + _CURVE + _FINE, _FINE)
    on_axis = tl.log((curve + 2.0) / 257.0)
    sigma = tau * tl.exp(_interpolated(on_axis, model + _AXIS, mine + 1, _KNOTS))
    sigma = tl.minimum(sigma, _LARGEST_SIGMA)
    largest = tl.maximum(-(sigma - _LARGEST_SLOPE), 0.0) / _LARGEST_NOISE
    bend = sigma * _interpolated(on_axis, model + _AXIS, mine + 1 + _KNOTS, _KNOTS)
    bend = tl.minimum(tl.maximum(bend, -largest), largest)
    toe = tl.load(mine)
    mean = tl.minimum(curve - toe * tl.exp(-curve / 6.0), tl.maximum(tl.load(model + _LEVELS + value), curve))
    mean = tl.where(toe == 0.0, curve, tl.maximum(mean, _SMALLEST_LEVEL))
    level, level_doubt = _fixed(mean - bend, _LEVEL_UNITS, _LEVEL_DOUBT)
    factor, factor_doubt = _fixed(sigma, _SIGMA_UNITS, _FACTOR_DOUBT)
    square, square_doubt = _fixed(bend, _BEND_UNITS, _FACTOR_DOUBT)
    doubt = level_doubt | factor_doubt | square_doubt
    row = rows + image * _ROW
    tl.store(row, tl.load(draw + 4))
    tl.store(row + 1 + channel * 256 + value, (level & 0xFFFFFFFF) | (factor << 32) | (square << 48))
    tl.store(doubts + image * 3 + channel, tl.max(doubt.to(tl.int32), 0))
