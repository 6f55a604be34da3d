"""Clipped highlights: what is white in the light image may be any brighter in the dark one.

Where all channels of a light image are clipped, its level does not tell the light, but how the clipped pixels
lie does: light rises from the border of a clipped area to its middle. The share of clipped values in a square
around a pixel therefore chooses one of 15 steps up to a multiple of white, which the fit finds
(:mod:`~dimmagen.dimmers.camera.highlights_fit`). In a pixel with one or two clipped channels these are white:
raised alone, they would give it a colour.

The steps take the place of light levels: a light image is coded in 256 codes, 14 for the 28 darkest levels,
one for each level from 28 to 253, and 16 for clipped light. Integers only: the same bits on every device.
"""

from typing import TYPE_CHECKING

import numpy as np

from dimmagen.core.compiled import jit

if TYPE_CHECKING:
    from torch import Tensor

CLIPPED = 254  # light level from which a channel is clipped
STEPS = 16  # white, and 15 above it
LEAST_RISE = 0.4  # of the headroom at the border of a clipped area
_MERGED = CLIPPED + STEPS - 256  # codes of two levels each, of the darkest light
_FIRST = 256 - STEPS  # code of clipped light
_SIDES_PER_RADIUS = 16  # the square's half side is this part of an image's short side
_LARGEST_RADIUS = 512  # pixels: keeps the counts within 32 bits


def code_levels() -> np.ndarray:
    """Light level of each code: float64 (256,), rising; 255 for all of clipped light."""
    merged = 2 * np.arange(_MERGED) + 0.5
    return np.concatenate([merged, np.arange(2.0 * _MERGED, CLIPPED), np.full(STEPS, 255.0)])


def code_rises() -> np.ndarray:
    """Share of the headroom that each code has: float64 (256,), 0 up to white."""
    rises = np.zeros(256)
    rises[_FIRST + 1 :] = LEAST_RISE + (1 - LEAST_RISE) * np.arange(STEPS - 1) / (STEPS - 2)
    return rises


def _radius_of(height: int, width: int) -> int:
    return min(max(1, min(height, width) // _SIDES_PER_RADIUS), _LARGEST_RADIUS)


@jit()
def _encode_unclipped(light, filtered, clipped, out):
    """Write the codes of light that is not clipped, and count the clipped channels of each pixel.

    The loop over a row is one that the compiler can vectorise; counts are 0 where a row has none.

    Args:
        light, filtered: uint8 (H, 3 W).
        clipped: int32 (H, W), zeros; receives the counts.
        out: uint8 (H, 3 W).
    """
    merged = np.int32(_MERGED)
    for y in range(light.shape[0]):
        brightest = np.int32(0)
        for i in range(light.shape[1]):
            level = np.int32(filtered[y, i])
            code = min(level, np.int32(CLIPPED - 1)) - merged
            out[y, i] = (level >> np.int32(1)) if level < np.int32(2) * merged else code
            brightest = max(brightest, np.int32(light[y, i]))
        if brightest >= CLIPPED:
            for i in range(light.shape[1]):
                clipped[y, i // 3] += np.int32(light[y, i] >= CLIPPED)


@jit()
def _encode_clipped(light, clipped, radius, out):
    """Write the codes of clipped light: light and out uint8 (H, W, 3), clipped int32 (H, W).

    Clipped channels are counted in squares whose column sums move down row by row; pixels beyond an edge are
    those of the edge.
    """
    height, width = clipped.shape
    columns = np.zeros(width, np.int32)
    for y in range(-radius, radius + 1):
        for x in range(width):
            columns[x] += clipped[min(max(y, 0), height - 1), x]
    full = np.int32(3 * (2 * radius + 1) ** 2)
    for y in range(height):
        if y > 0:
            first, last = clipped[max(y - 1 - radius, 0)], clipped[min(y + radius, height - 1)]
            for x in range(width):
                columns[x] += last[x] - first[x]
        if not clipped[y].any():
            continue
        count = np.int32(0)
        for x in range(-radius - 1, radius):
            count += columns[min(max(x, 0), width - 1)]
        for x in range(width):
            count += columns[min(x + radius, width - 1)] - columns[max(x - 1 - radius, 0)]
            if clipped[y, x] > 0:
                step = (np.int32(140) * count - np.int32(53) * full) // (np.int32(6) * full)
                code = _FIRST + 1 + min(max(step, 0), STEPS - 2) if clipped[y, x] == 3 else _FIRST
                for channel in range(3):
                    if light[y, x, channel] >= CLIPPED:
                        out[y, x, channel] = code


def encode_light(light: np.ndarray, filtered: np.ndarray) -> np.ndarray:
    """The codes of a light image, for :func:`code_levels` and :func:`code_rises`.

    Args:
        light: uint8 (H, W, 3), RGB, which shows where it is clipped.
        filtered: uint8 (H, W, 3), the same after :func:`.suppress_fine_chroma`, whose levels are coded.

    Returns:
        uint8 (H, W, 3).
    """
    light, codes = np.ascontiguousarray(light), np.empty(light.shape, np.uint8)
    clipped = np.zeros(light.shape[:2], np.int32)
    rows = (len(light), 3 * light.shape[1])
    flat = light.reshape(rows), np.ascontiguousarray(filtered).reshape(rows)
    _encode_unclipped(*flat, clipped, codes.reshape(rows))
    if clipped.any():
        _encode_clipped(light, clipped, _radius_of(len(light), light.shape[1]), codes)
    return codes


def encode_light_of_tensors(lights: "Tensor", filtered: "Tensor") -> "Tensor":
    """:func:`encode_light` for a batch on any device, with the same bits: uint8 (B, 3, H, W)."""
    import torch

    if not lights.numel():
        return filtered
    height, width = lights.shape[2:]
    radius = _radius_of(height, width)
    clipped = lights >= CLIPPED
    count = clipped.sum(1, dtype=torch.int32)
    for axis, size in ((1, height), (2, width)):
        at = torch.arange(-radius - 1, size + radius, device=lights.device).clamp_(0, size - 1)
        sums = count.index_select(axis, at).cumsum(axis, dtype=torch.int32)
        side = 2 * radius + 1
        count = sums.narrow(axis, side, size) - sums.narrow(axis, 0, size)
    full = 3 * (2 * radius + 1) ** 2
    steps = torch.div(140 * count - 53 * full, 6 * full, rounding_mode="floor").clamp_(0, STEPS - 2)
    steps = torch.where(clipped.all(1), steps + 1, 0)
    codes = torch.where(filtered < 2 * _MERGED, filtered >> 1, filtered.clamp(max=CLIPPED - 1) - _MERGED)
    return torch.where(clipped, (_FIRST + steps[:, None]).to(torch.uint8), codes)
