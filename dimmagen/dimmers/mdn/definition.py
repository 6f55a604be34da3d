"""A plain torch implementation of the MDN dimmer, against which the fast kernel is tested."""

import numpy as np
import torch

from dimmagen.dimmers import noise
from dimmagen.dimmers.base import Draw
from dimmagen.dimmers.mdn.model import MdnModel
from dimmagen.dimmers.mdn.network import MixtureDensityNetwork, sample
from dimmagen.images import retinex


def dim_plainly(model: MdnModel, light: np.ndarray, draw: Draw) -> np.ndarray:
    """Compute :meth:`MdnModel.dim` step by step, without optimisation.

    Args:
        model: the dimmer model.
        light: uint8 (H, W, 3), RGB.
        draw: the draws of the pair.

    Returns:
        uint8 (H, W, 3), RGB.
    """
    network = MixtureDensityNetwork.from_tensors(model.network, model.sigma_floor)
    pixels = torch.tensor(light.reshape(-1, 3))
    words = torch.from_numpy(noise.random_words(0, len(pixels), draw.noise_seed, 0).astype(np.int64))
    reflectance, illumination = retinex.split(pixels.float() / 255)
    level = (pixels.sum(1) + 1) // 3
    phi_mean, phi_std = (torch.from_numpy(table)[level] for table in model.phi(draw))
    phi = phi_mean + phi_std * torch.from_numpy(noise.NORMAL_QUANTILES)[words[:, 6]]
    dark_illumination = phi.clamp(0, 1)[:, None] * illumination

    inputs = torch.cat([reflectance, illumination, dark_illumination], 1)
    colour = sample(network(inputs), words).clamp(min=0)
    total = colour.sum(1, keepdim=True)
    colour = torch.where(total > 0, colour / total.clamp(min=1e-30), reflectance)
    dark = retinex.reconstruct(colour, dark_illumination) * 255
    return dark.round().clamp(max=255).to(torch.uint8).numpy().reshape(light.shape)
