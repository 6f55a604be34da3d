"""The registry of image metrics, which score an enhanced image against its ground truth."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from dimmagen.core.errors import DimmagenError, fault_of
from dimmagen.core.registry import Registry, described

Score = Callable[[np.ndarray, np.ndarray], float]
"""(output, truth), both uint8 (H, W, 3) RGB of equal size -> the score; NaN where it is not defined."""
DarkScore = Callable[[np.ndarray, np.ndarray, np.ndarray], float]
"""The same of (output, truth, dark), where `dark` is the image that was enhanced."""


@dataclass(frozen=True, slots=True)
class MetricFiles:
    """Files that some metrics need.

    Attributes:
        lpips_weights: file or folder of LPIPS weights; None for those of the package lpips.
        niqe_model: NIQE's pristine model, `niqe_pris_params.npz`; None if it is not available.
    """

    lpips_weights: str | None = None
    niqe_model: str | None = None


@dataclass(frozen=True, slots=True)
class ImageMetric:
    """One metric.

    Attributes:
        title: name in tables.
        load: returns the scoring function; called once per run, before any image is scored.
        digits: number of decimals in tables.
        min_side: minimum length of the shorter side of an image, in pixels.
        takes_dark: whether the scoring function also takes the dark image.
    """

    title: str
    load: Callable[[MetricFiles], Score | DarkScore]
    digits: int = 2
    min_side: int = 1
    takes_dark: bool = False

    @classmethod
    def of(
        cls,
        title: str,
        score: Score | DarkScore,
        digits: int = 2,
        min_side: int = 1,
        takes_dark: bool = False,
    ) -> "ImageMetric":
        """A metric that needs no files; arguments as the attributes."""
        return cls(title, lambda files: score, digits, min_side, takes_dark)

    def scorer(self, files: MetricFiles) -> DarkScore:
        """The scoring function as one of three images, also if it does not take the dark one.

        Raises:
            DimmagenError: a file that it needs is missing or damaged; when it is called, it fails or gives no
                number.
        """
        function: Callable = self.load(files)

        def checked(output: np.ndarray, truth: np.ndarray, dark: np.ndarray) -> float:
            images = (output, truth, dark) if self.takes_dark else (output, truth)
            try:
                return float(function(*images))
            except (DimmagenError, MemoryError, OSError):
                raise
            except Exception as error:  # the package has its own errors
                raise DimmagenError(
                    f"the metric {self.title} fails ({fault_of(error)})",
                    "fix that code, or leave the metric out",
                    code="failed",
                    metric=self.title,
                ) from error

        return checked


def metric_faults(name: str, metric: Any) -> Iterator[str]:
    """Why an object cannot be a metric, for the registry."""
    if not isinstance(metric, ImageMetric):
        yield f"{described(metric)} is not an ImageMetric: make one with ImageMetric.of(title, function)"
    elif not isinstance(metric.title, str):
        yield f"its title is {metric.title!r}, not a text"


# Their order is that of the rows of tables and of the keys in JSON.
METRICS: Registry[ImageMetric] = Registry(
    "metric",
    "dimmagen.metrics",
    {
        "psnr": "dimmagen.metrics.image:PSNR",
        "ssim_rgb": "dimmagen.metrics.image:SSIM_RGB",
        "ssim_gray": "dimmagen.metrics.image:SSIM_GRAY",
        "delta_e76": "dimmagen.metrics.image:DELTA_E76",
        "delta_e2000": "dimmagen.metrics.image:DELTA_E2000",
        "lpips_alex": "dimmagen.metrics.image:LPIPS_ALEX",
        "lpips_vgg": "dimmagen.metrics.image:LPIPS_VGG",
        "niqe": "dimmagen.metrics.image:NIQE",
    },
    faults=metric_faults,
)
