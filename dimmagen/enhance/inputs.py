"""What the network is given: ten channels made of the stored dark picture, and how much lighter to make it.

Training, evaluation and enhancing all come here, so that the network meets the same input in each of them.
"""

import numpy as np

from dimmagen.images import retinex

CHANNELS = 10
CONDITION_STEPS = 1000
FIXED_LIGHTNESS = 0.5  # of well-lit pictures: LOL's have 0.55 on average


def equalisation(dark: np.ndarray) -> np.ndarray:
    """The look-up tables that equalise the histogram of each channel of a picture.

    Args:
        dark: uint8 (H, W, 3), RGB.

    Returns:
        uint8 (3, 256): a channel's darkest value maps to 0, its lightest to 255, and values between by
        their rank; a channel of one value is left as it is.
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
        tables: from :func:`equalisation`; of the whole picture when `dark` is a tile. Default: of `dark`.

    Returns:
        float32 (10, H, W) in [0, 1]: the dark picture (3), its equalisation (3), its colour map (3), whose
        channels sum to 1, and its illumination (1).
    """
    tables = equalisation(dark) if tables is None else tables
    equalised = np.stack([table[dark[..., channel]] for channel, table in enumerate(tables)])
    planes = np.ascontiguousarray(dark.transpose(2, 0, 1)).astype(np.float32) / 255
    reflectance, illumination = retinex.split(planes, axis=0)
    return np.concatenate([planes, equalised.astype(np.float32) / 255, reflectance, illumination])


def mean_lightness(image: np.ndarray) -> float:
    """Mean illumination: the mean of all pixels and channels of a uint8 (H, W, 3) picture, in [0, 1]."""
    return float(image.mean(dtype=np.float64) / 255)


def condition(dark_lightness: float, wanted_lightness: float) -> int:
    """How much lighter the output is to be: the difference of two mean illuminations as 0..1000."""
    return round(CONDITION_STEPS * min(1.0, max(0.0, wanted_lightness - dark_lightness)))
