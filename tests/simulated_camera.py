"""A camera that is known in full, so that each of its properties can be made wrong one at a time."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from dimmagen.metrics.realism.noise import residual


@dataclass(frozen=True)
class SimulatedCamera:
    """Scales the light picture to a mean level by a curve and a cast, and adds luma and chroma noise.

    Every property is independent of the others: a change of one leaves the picture's mean and the
    deviation of the noise's high-pass residual as they are, unless it is the property in question.
    """

    mean: float = 25.0  # grey levels of the dark picture
    curve: float = 1.0  # exponent of the light's illumination
    cast: tuple[float, float, float] = (1.0, 1.0, 1.0)
    luma: float = 2.0  # deviation of the residual, grey levels
    chroma: float = 1.5
    shot: float = 0.5  # the noise follows this power of the signal; 0 is the same noise everywhere
    heavy_tails: bool = False
    blur: float = 0.0  # sigma of the filter that correlates neighbouring pixels

    def shoot(self, light: np.ndarray, seed: int) -> np.ndarray:
        """uint8 (H, W, 3) light -> uint8 (H, W, 3) dark; another seed draws other noise."""
        generator = np.random.default_rng(seed)
        illumination = light.mean(2, keepdims=True) / 255.0
        signal = light * illumination ** (self.curve - 1) * np.asarray(self.cast)
        signal *= self.mean / signal.mean()
        luma = self._noise(generator, (*light.shape[:2], 1))
        chroma = self._noise(generator, light.shape)
        chroma -= chroma.mean(2, keepdims=True)
        follow = illumination**self.shot
        noise = [part * follow / residual(part * follow).std() for part in (luma, chroma)]
        return np.clip(np.rint(signal + self.luma * noise[0] + self.chroma * noise[1]), 0, 255).astype(
            np.uint8
        )

    def _noise(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        noise = generator.standard_normal(shape)
        if self.heavy_tails:  # one pixel in ten has eleven times the variance of the others: kurtosis 10
            noise *= np.where(generator.random((*shape[:2], 1)) < 0.1, np.sqrt(5.5), np.sqrt(0.5))
        return gaussian_filter(noise, (self.blur, self.blur, 0)) if self.blur else noise


def simulated_light(seed: int = 0, height: int = 240, width: int = 320) -> np.ndarray:
    """A well-lit scene: smooth coloured shading over most of the range, its lower half faintly textured."""
    generator = np.random.default_rng(seed)
    shading = gaussian_filter(generator.standard_normal((height, width)), 30)
    shading = shading.ravel().argsort().argsort().reshape(height, width) / shading.size  # every level alike
    colour = gaussian_filter(generator.standard_normal((height, width, 3)), (30, 30, 0))
    colour = 1 + 0.15 * (colour - colour.mean((0, 1))) / colour.std((0, 1))
    texture = gaussian_filter(generator.standard_normal((height, width)), 1.0)
    texture[: height // 2] = 0
    image = (50 + 155 * shading + 20 * texture)[..., None] * np.clip(colour, 0.7, 1.3)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
