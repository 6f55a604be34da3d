"""The camera model on torch tensors: the pixels of :mod:`dimmagen.dimmers.camera.kernel` on any device.

The kernel uses 32-bit integer arithmetic; here the same numbers are stored in int64 tensors, so that a GPU
gives the same bits as the CPU.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dimmagen.core.philox import split_key
from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.camera.kernel import BEND_SHIFT, LEVEL_BITS, LUMA, LUMA_BITS, MEAN_SHIFT, MIX_BITS
from dimmagen.dimmers.camera.structure import Structure
from dimmagen.dimmers.camera.torch_random import drawn_normals
from dimmagen.dimmers.camera.torch_structure import structured_normals


def dim_images(
    arguments: Sequence[tuple], lights: Tensor, draws: Sequence[Draw], structure: Structure | None = None
) -> Tensor:
    """Dim images of one size, each with the bits of :meth:`CameraModel.expose`.

    Args:
        arguments: :meth:`CameraModel.kernel_arguments` of each draw.
        lights: uint8 (B, 3, H, W), RGB, on any device.
        draws: one per image.
        structure: :attr:`CameraModel.structure`.

    Returns:
        uint8 (B, 3, H, W) on the same device.
    """
    device = lights.device
    mix, taps, spatial, luma, chroma, by_luma = arguments[0][4:]  # equal for all draws
    level, sigma, bend = (_tensor(np.stack([one[index] for one in arguments]), device) for index in range(3))
    skewed = any(one[3] for one in arguments)  # the bends of the others are 0
    keys = np.array([split_key(draw.noise_seed) for draw in draws], np.int64)
    low, high = (_tensor(keys[:, word], device)[:, None, None] for word in (0, 1))
    count, _, height, width = lights.shape
    quantiles = _tensor(luma, device), _tensor(chroma, device)
    if structure is not None:
        normals = structured_normals(height, width, quantiles, low, high, structure)
    elif spatial:
        drawn = drawn_normals(-1, height + 1, 0, width + 2, quantiles, low, high)
        normals = _filtered(drawn, _tensor(taps, device))
    else:
        normals = drawn_normals(0, height, 0, width + 2, quantiles, low, high)[:, :, :, 1:-1]
    mixed = _tensor(mix, device)[:, :, None, None]
    mixture = [mixed[:, normal] * normals[:, normal, None] for normal in range(3)]
    noise = (mixture[0] + mixture[1] + mixture[2]) >> MIX_BITS
    levels = lights.reshape(count, 3, -1).long()
    mean = level.gather(2, levels).view(lights.shape)
    if by_luma:
        weighted = (_tensor(np.array(LUMA), device)[:, None] * levels).sum(1, keepdim=True)
        own, levels = levels, ((weighted + (1 << (LUMA_BITS - 1))) >> LUMA_BITS).expand(-1, 3, -1)
        shift = (bend.gather(2, own) - bend.gather(2, levels)) << MEAN_SHIFT
        mean = mean + shift.view(lights.shape)
    scale = sigma.gather(2, levels).view(lights.shape)
    if skewed:
        scale = scale + (bend.gather(2, levels).view(lights.shape) * noise >> BEND_SHIFT)
    dark = (mean + scale * noise + (1 << (LEVEL_BITS - 1))) >> LEVEL_BITS
    return dark.clamp_(0, 255).to(torch.uint8)


def _tensor(values: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(values.astype(np.int64)).to(device)


def _filtered(normals: Tensor, taps: Tensor) -> Tensor:
    """The three-tap filter in both directions, as in the kernel: (B, 3, H + 2, W + 2) -> (B, 3, H, W)."""
    side, centre = (taps[[0, 1, 1], column, None, None] for column in (0, 1))
    across = (side * (normals[..., :-2] + normals[..., 2:]) + centre * normals[..., 1:-1]) >> MIX_BITS
    return (side * (across[..., :-2, :] + across[..., 2:, :]) + centre * across[..., 1:-1, :]) >> MIX_BITS
