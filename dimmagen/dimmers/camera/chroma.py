"""The fine chroma of the light image, of which a dark image shows only a part.

What changes colour from one pixel to the next in a light image is partly the noise of that image, and what
JPEG made of it; another shot of the scene has none of that. A part is therefore taken away before the
response: light - (1 - share) · chroma(light - blur(light)), with a blur by the 5x5 binomial, and chroma as
the difference of a channel from the mean of the three. Integers only: the same bits on every device.
"""

from typing import TYPE_CHECKING

import numpy as np

from dimmagen.core.compiled import jit

if TYPE_CHECKING:
    from torch import Tensor

TAPS = (1, 4, 6, 4, 1)  # along rows and along columns: a Gaussian of 1 pixel; together they sum to 2**8
BLUR_BITS = 8
SHARE_BITS = 10
_BITS = BLUR_BITS + SHARE_BITS


def strength_of(share: float) -> int:
    """What is taken away, in 2**-10 thirds of the fine chroma, for the share in [0, 1] that stays."""
    return round((1.0 - share) * (1 << SHARE_BITS) / 3)


@jit()
def _suppress(light, strength, out):
    """Take chroma from an image: light and out uint8 (H, 3 W), contiguous; strength int32, in 2**-10 thirds.

    The loops over a row are those that the compiler can vectorise.
    """
    height, width = light.shape
    edge = np.int32(6)  # two pixels
    down = np.empty(width + 2 * edge, np.int32)  # blurred down; value i is at index i + 6
    fine = np.empty(width, np.int32)
    half, bits = np.int32(1 << (_BITS - 1)), np.int32(_BITS)
    for y in range(height):
        a, b = light[max(y - 2, 0)], light[max(y - 1, 0)]
        here, d, e = light[y], light[min(y + 1, height - 1)], light[min(y + 2, height - 1)]
        for i in range(width):
            outer = np.int32(a[i]) + np.int32(e[i])
            inner = np.int32(b[i]) + np.int32(d[i])
            down[i + edge] = np.int32(outer + (inner << np.int32(2)) + np.int32(6) * np.int32(here[i]))
        for i in range(edge):
            down[i] = down[edge + i % 3]
            down[width + edge + i] = down[width + 3 + i % 3]
        for i in range(width):
            outer = np.int32(down[i] + down[i + 12])
            inner = np.int32(down[i + 3] + down[i + 9])
            blurred = np.int32(outer + (inner << np.int32(2)) + np.int32(6) * down[i + 6])
            fine[i] = (np.int32(here[i]) << np.int32(BLUR_BITS)) - blurred
        for x in range(width // 3):
            i = 3 * x
            total = np.int32(fine[i] + fine[i + 1] + fine[i + 2])
            for part in range(3):
                taken = np.int32(strength * np.int32(np.int32(3) * fine[i + part] - total))
                level = np.int32((np.int32(here[i + part]) << bits) + half - taken) >> bits
                out[y, i + part] = min(max(level, np.int32(0)), np.int32(255))


def suppress_fine_chroma(light: np.ndarray, share: float) -> np.ndarray:
    """The light image with a share of its fine chroma.

    Args:
        light: uint8 (H, W, 3), RGB.
        share: of the fine chroma that stays, in [0, 1].

    Returns:
        uint8 (H, W, 3); `light` itself for a share of 1.
    """
    strength = strength_of(share)
    if not strength or not light.size:
        return light
    rows = np.ascontiguousarray(light).reshape(len(light), -1)
    out = np.empty_like(rows)
    _suppress(rows, np.int32(strength), out)
    return out.reshape(light.shape)


def suppress_fine_chroma_of_tensors(lights: "Tensor", share: float) -> "Tensor":
    """:func:`suppress_fine_chroma` for a batch on any device, with the same bits.

    Args:
        lights: uint8 (B, 3, H, W), RGB.
        share: of the fine chroma that stays, in [0, 1].

    Returns:
        uint8 (B, 3, H, W).
    """
    import torch

    strength = strength_of(share)
    if not strength or not lights.numel():
        return lights
    levels = lights.int()
    height, width = lights.shape[2:]
    rows = torch.arange(-2, height + 2, device=lights.device).clamp_(0, height - 1)
    columns = torch.arange(-2, width + 2, device=lights.device).clamp_(0, width - 1)
    tall = levels[:, :, rows]
    down = torch.stack([tap * tall[:, :, at : at + height] for at, tap in enumerate(TAPS)]).sum(0)
    wide = down[..., columns]
    blurred = torch.stack([tap * wide[..., at : at + width] for at, tap in enumerate(TAPS)]).sum(0)
    fine = (levels << BLUR_BITS) - blurred.int()
    taken = strength * (3 * fine - fine.sum(1, keepdim=True, dtype=torch.int32))
    filtered = ((levels << _BITS) + (1 << (_BITS - 1)) - taken) >> _BITS
    return filtered.clamp_(0, 255).to(torch.uint8)
