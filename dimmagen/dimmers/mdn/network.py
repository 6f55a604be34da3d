"""The paper's mixture density network: the colour of a dark pixel given the light one (Sec. 3.1, Eq. 2-5).

Plain torch, for fitting, for likelihoods, and as the definition against which the fast kernel is tested.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from dimmagen.dimmers import noise
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.images import retinex

INPUTS, HIDDEN, CHANNELS, COMPONENTS = 5, 32, 3, 4
HEADS = CHANNELS * COMPONENTS


class MixtureDensityNetwork(nn.Module):
    """Three 1x1 convolutions of width 32 with ReLU, and a mixture of 4 Gaussians per channel.

    It has 3,492 parameters.

    The head's 36 outputs are means, raw standard deviations and mixing logits, each (channel, component).

    Args:
        sigma_floor: added to every standard deviation, so that the network cannot memorise a few 8-bit
            colours.
    """

    def __init__(self, sigma_floor: float = 0.0) -> None:
        super().__init__()
        self.sigma_floor = sigma_floor
        widths = (INPUTS, HIDDEN, HIDDEN, HIDDEN)
        self.hidden = nn.ModuleList(nn.Linear(*width) for width in pairwise(widths))
        self.head = nn.Linear(HIDDEN, 3 * HEADS)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mixtures over the dark colour map.

        Args:
            x: float (N, 5): the light pixel's colour map (3, sums to 1), its illumination, and the dark
                pixel's illumination.

        Returns:
            (means, standard deviations, log mixing weights), each (N, 3 channels, 4 components).
        """
        h = x
        for layer in self.hidden:
            h = functional.relu(layer(h))
        means, scales, logits = self.head(h).unflatten(1, (3, CHANNELS, COMPONENTS)).unbind(1)
        return (
            means + x[:, :CHANNELS, None],
            functional.softplus(scales) + self.sigma_floor,
            functional.log_softmax(logits, 2),
        )

    @classmethod
    def from_tensors(cls, tensors: dict[str, np.ndarray], sigma_floor: float) -> Self:
        """The network of a profile's `mdn.safetensors`, in evaluation mode."""
        network = cls(sigma_floor)
        network.load_state_dict({name: torch.from_numpy(array) for name, array in tensors.items()})
        return network.eval().requires_grad_(False)

    def tensors(self) -> dict[str, np.ndarray]:
        """The parameters, float32, as `mdn.safetensors` stores them."""
        return {name: value.detach().numpy().astype(np.float32) for name, value in self.state_dict().items()}


def negative_log_likelihood(network: MixtureDensityNetwork, x: Tensor, target: Tensor) -> Tensor:
    """Eq. 5: -log p(R_dark | x) in nats, summed over the channels, which the paper assumes to be independent.

    Args:
        network: of the mixtures.
        x: float (N, 5), see :meth:`MixtureDensityNetwork.forward`.
        target: float (N, 3), the dark pixel's colour map.

    Returns:
        float (N,).
    """
    means, sigmas, log_weights = network(x)
    z = (target[:, :, None] - means) / sigmas
    log_density = -0.5 * z**2 - torch.log(sigmas) - 0.5 * float(np.log(2 * np.pi))
    return -torch.logsumexp(log_weights + log_density, 2).sum(1)


def sample(mixtures: tuple[Tensor, Tensor, Tensor], words: Tensor) -> Tensor:
    """Draw colour maps from mixtures, without clipping.

    Args:
        mixtures: of N pixels, from :class:`MixtureDensityNetwork`.
        words: int64 (N, 8), random 16-bit words: 0-2 choose the components, 3-5 draw from them.

    Returns:
        float (N, 3).
    """
    means, sigmas, log_weights = mixtures
    uniforms = (words[:, :3] + 0.5) / noise.WORDS
    below = log_weights.exp().cumsum(2)[:, :, :-1]
    component = (uniforms[:, :, None] >= below).sum(2, keepdim=True)
    normals = torch.from_numpy(noise.NORMAL_QUANTILES)[words[:, 3:6]]
    return means.gather(2, component)[:, :, 0] + sigmas.gather(2, component)[:, :, 0] * normals


class PixelTable:
    """The pixels of pairs, from which inputs and dequantised targets are drawn.

    Pixels that are black in either image have no colour and are omitted.

    Args:
        pairs: the two images of each have the same size.
    """

    def __init__(self, pairs: Sequence[RealPair]) -> None:
        darks, lights = ([getattr(p, side).reshape(-1, 3) for p in pairs] for side in ("dark", "light"))
        coloured = [dark.any(1) & light.any(1) for dark, light in zip(darks, lights, strict=True)]
        self.dark = torch.from_numpy(np.concatenate([a[k] for a, k in zip(darks, coloured, strict=True)]))
        self.light = torch.from_numpy(np.concatenate([a[k] for a, k in zip(lights, coloured, strict=True)]))

    def __len__(self) -> int:
        return len(self.dark)

    def batch(
        self, rows: Tensor, generator: torch.Generator, recolouring: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """Inputs and targets of some pixels.

        Dark values are dequantised: drawn uniformly from the values that round to the 8-bit value.

        Args:
            rows: int64 (N,), indices of pixels.
            generator: for the dequantisation and the recolouring.
            recolouring: standard deviation of ln(factor) in :func:`recoloured`; 0 leaves the pixels
                unchanged.

        Returns:
            Inputs, float32 (N, 5), and targets, float32 (N, 3).
        """
        dark, light = self.dark[rows].float(), self.light[rows].float()
        if recolouring:
            dark, light = recoloured(dark, light, recolouring, generator)
        dark = (dark + torch.rand(dark.shape, generator=generator) - 0.5).abs_() / 255
        light_reflectance, light_illumination = retinex.split(light / 255)
        target, dark_illumination = retinex.split(dark)
        return torch.cat([light_reflectance, light_illumination, dark_illumination], 1), target


def recoloured(
    dark: Tensor, light: Tensor, spread: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Change the colour of half of the pixels: multiply each channel of both images by the same factor.

    Three scenes show few colours, and a network is overconfident for all others. To the extent that a
    camera's encoding is a power of the light in each channel, a pixel of the new colour would have been
    darkened in the same way.

    Args:
        dark, light: float (N, 3), grey levels.
        spread: standard deviation of ln(factor).
        generator: for the choice and the factors.

    Returns:
        (dark, light), float (N, 3), rounded where changed; a pixel that would become black or exceed white
        stays unchanged.
    """
    factor = torch.exp(spread * torch.randn(dark.shape, generator=generator))
    other_dark, other_light = (dark * factor).round(), (light * factor).round()
    chosen = torch.rand(len(dark), generator=generator) < 0.5
    chosen &= (other_light.amax(1) <= 255) & (other_light.sum(1) > 0) & (other_dark.sum(1) > 0)
    return torch.where(chosen[:, None], other_dark, dark), torch.where(chosen[:, None], other_light, light)


def held_out_likelihood(network: MixtureDensityNetwork, pixels: PixelTable, seed: int = 0) -> float:
    """Mean negative log-likelihood of dequantised pixels, in nats per pixel.

    Args:
        network: of the mixtures.
        pixels: at most 200,000 of them are used.
        seed: random seed of the choice and the dequantisation.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(pixels), generator=generator)[:200_000]
    with torch.no_grad():
        losses = [
            negative_log_likelihood(network, *pixels.batch(part, generator)) for part in rows.split(16384)
        ]
    return float(torch.cat(losses).mean())


def pair_likelihood(
    tensors: dict[str, np.ndarray], sigma_floor: float, light: np.ndarray, dark: np.ndarray
) -> float:
    """:func:`held_out_likelihood` of one pair.

    Args:
        tensors, sigma_floor: as for :meth:`MixtureDensityNetwork.from_tensors`.
        light, dark: uint8 (H, W, 3), RGB.
    """
    network = MixtureDensityNetwork.from_tensors(tensors, sigma_floor)
    return held_out_likelihood(network, PixelTable([RealPair("", dark, light, "", "")]))
