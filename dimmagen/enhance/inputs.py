"""The network's inputs: ten channels computed from the stored dark image, and the requested lightness change.

Training, evaluation and enhancement all use these functions, so that the network gets the same input in each
of them.
"""

import numpy as np
import torch
from torch import Tensor

from dimmagen.images import retinex

CHANNELS = 10
CONDITION_STEPS = 1000
MANY_PIXELS = 2**18
FIXED_LIGHTNESS = 0.5  # of well-lit images: those of LOL have 0.55 on average


def equalisation(dark: np.ndarray) -> np.ndarray:
    """The look-up tables that equalise the histogram of each channel of an image.

    Args:
        dark: uint8 (H, W, 3), RGB.

    Returns:
        uint8 (3, 256): a channel's darkest value maps to 0, its lightest to 255, and values between by
        their rank; a channel with a single value is left unchanged.
    """
    tables = np.tile(np.arange(256, dtype=np.uint8), (3, 1))
    for channel, table in enumerate(tables):
        counts = np.bincount(dark[..., channel].ravel(), minlength=256)
        cumulated = counts.cumsum()
        below = counts[counts > 0][0]
        if below < cumulated[-1]:
            ranks = (cumulated - below) / (cumulated[-1] - below)
            table[:] = np.rint(255 * ranks.clip(0, 1))
    return tables


def network_input(dark: np.ndarray, tables: np.ndarray | None = None) -> np.ndarray:
    """The network's input (paper, Section 3.2).

    Args:
        dark: uint8 (H, W, 3), RGB.
        tables: from :func:`equalisation`; of the whole image if `dark` is a tile. Default: of `dark`.

    Returns:
        float32 (10, H, W) in [0, 1]: the dark image (3), its equalisation (3), its colour map (3), whose
        channels sum to 1, and its illumination (1).
    """
    tables = equalisation(dark) if tables is None else tables
    equalised = np.stack([table[dark[..., channel]] for channel, table in enumerate(tables)])
    planes = np.ascontiguousarray(dark.transpose(2, 0, 1)).astype(np.float32) / 255
    reflectance, illumination = retinex.split(planes, axis=0)
    return np.concatenate([planes, equalised.astype(np.float32) / 255, reflectance, illumination])


def equalisations(dark: Tensor) -> Tensor:
    """:func:`equalisation` of each image of a batch, on its device: equal tables, entry by entry.

    Args:
        dark: uint8 (N, H, W, 3), RGB.

    Returns:
        uint8 (N, 3, 256).
    """
    counts = _counts(dark)
    cumulated = counts.cumsum(2)
    pixels = cumulated[..., -1:]
    below = counts.gather(2, (counts > 0).int().argmax(2, keepdim=True))
    ranks = (cumulated - below) / (pixels - below).double()
    tables = (255 * ranks.clamp(0, 1)).round()
    unchanged = torch.arange(256, dtype=torch.float64, device=dark.device).expand_as(tables)
    return torch.where(below < pixels, tables, unchanged).to(torch.uint8)


def _counts(dark: Tensor) -> Tensor:
    """How often each channel has each value: uint8 (N, H, W, 3) -> int64 (N, 3, 256)."""
    images, height, width, _ = dark.shape
    if height * width > MANY_PIXELS:  # eight bytes for each value of a large image are too many
        channels = [channel.flatten() for image in dark for channel in image.unbind(-1)]
        counts = torch.stack([torch.bincount(channel, minlength=256) for channel in channels])
        return counts.view(images, 3, 256)
    planes = dark.permute(0, 3, 1, 2).flatten(2).long()
    counts = torch.zeros(images, 3, 256, dtype=torch.int64, device=dark.device)
    return counts.scatter_add_(2, planes, torch.ones_like(planes))


def network_inputs(dark: Tensor, tables: Tensor | None = None) -> Tensor:
    """:func:`network_input` of each image of a batch, on its device: on a processor equal bit for bit.

    Args:
        dark: uint8 (N, H, W, 3), RGB.
        tables: uint8 (N, 3, 256), from :func:`equalisation` or :func:`equalisations`. Default: of `dark`.

    Returns:
        float32 (N, 10, H, W) in [0, 1].
    """
    tables = equalisations(dark) if tables is None else tables
    values = dark.permute(0, 3, 1, 2).contiguous()
    equalised = tables.gather(2, values.flatten(2).long()).view_as(values)
    planes = values.float() / 255
    reflectance, illumination = retinex.split(planes, axis=1)
    return torch.cat([planes, equalised.float() / 255, reflectance, illumination], dim=1)


def mean_lightness(image: np.ndarray) -> float:
    """Mean illumination: the mean of all pixels and channels of a uint8 (H, W, 3) image, in [0, 1]."""
    return float(image.mean(dtype=np.float64) / 255)


def condition(dark_lightness: float, target_lightness: float) -> int:
    """How much lighter the output should be than the input (paper, Section 3.2).

    Args:
        dark_lightness, target_lightness: mean illuminations in [0, 1], see :func:`mean_lightness`.

    Returns:
        Their difference, clipped to 0..1 and scaled to 0..1000.
    """
    return round(CONDITION_STEPS * min(1.0, max(0.0, target_lightness - dark_lightness)))
