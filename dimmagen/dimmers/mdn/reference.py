"""The paper authors' own transform with their MDN, which deviates from the paper (`compat="reference"`).

Its differences from the default are listed in docs/profiles.md; each step is tested against histograms that
were made with the authors' code.
"""

import numpy as np
import torch

from dimmagen.dimmers import noise
from dimmagen.dimmers.base import DimmerModel, Draw
from dimmagen.dimmers.mdn.model import MdnFiles
from dimmagen.dimmers.mdn.network import MixtureDensityNetwork, pair_likelihood, sample

EPSILON = 1e-4  # in both divisions of their Retinex split
BLEND_FROM = 1.2  # gamma above which the light image's colours are mixed in
CHUNK = 65536  # pixels


class ReferenceModel(DimmerModel):
    """The authors' transform, with pixel noise drawn by our generator."""

    kind = "mdn"
    tau = 0.05
    exposure_spread = 0.0

    def __init__(self, files: MdnFiles) -> None:
        self.gamma_range = files.gamma_range
        self._mean, self._std = torch.from_numpy(files.mean), torch.from_numpy(files.std)
        self._network = MixtureDensityNetwork.from_tensors(files.network, files.sigma_floor)

    def dim(self, light: np.ndarray, draw: Draw) -> np.ndarray:
        """Dim one image: uint8 (H, W, 3) RGB -> uint8 (H, W, 3) RGB."""
        pixels = torch.tensor(light.reshape(-1, 3))
        dark = [
            self._dim(pixels[first : first + CHUNK], first, draw) for first in range(0, len(pixels), CHUNK)
        ]
        return torch.cat(dark).numpy().reshape(light.shape)

    def settings(self) -> dict:
        return {"compat": "reference"}

    def negative_log_likelihood(self, light: np.ndarray, dark: np.ndarray) -> float:
        """As :meth:`MdnModel.negative_log_likelihood`, for the same network."""
        return pair_likelihood(self._network.tensors(), self._network.sigma_floor, light, dark)

    def _dim(self, pixels: torch.Tensor, first: int, draw: Draw) -> torch.Tensor:
        words = torch.from_numpy(noise.random_words(first, len(pixels), draw.noise_seed, 0).astype(np.int64))
        image = pixels.float() / 255
        reflectance = image / (image.sum(1, keepdim=True) + EPSILON)
        # Only from the red channel: a pixel without red becomes black.
        illumination = image[:, :1] / (3 * reflectance[:, :1] + EPSILON)
        level = (illumination[:, 0] * 255).long()
        normal = torch.from_numpy(noise.NORMAL_QUANTILES)[words[:, 6]]
        phi = draw.gamma * draw.exposure * self._mean[level] + draw.tau * self._std[level] * normal
        dark_illumination = phi.clamp(0, 1)[:, None] * illumination

        colour = sample(self._network(torch.cat([reflectance, illumination, dark_illumination], 1)), words)
        colour = (colour + max(draw.gamma - BLEND_FROM, 0.0) * reflectance).clamp(min=0)
        colour = colour / colour.sum(1, keepdim=True).clamp(min=1e-8)
        dark = 3 * dark_illumination * colour * 255
        return (dark.long() % 256).to(torch.uint8)  # truncated, not rounded; values beyond white wrap around
