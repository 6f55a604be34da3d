"""NIQE: distance of an image's statistics from those of undistorted images (Mittal et al., 2013).

No ground truth is needed; lower is better. The pristine model, 36 means and their covariance, is that of the
authors and is read from a file (`niqe_pris_params.npz`, as published with BasicSR).
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import correlate1d
from scipy.special import gamma

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.machine import is_machine_trouble, machine_error

BLOCK = 96
_SHAPES = np.arange(0.2, 10.001, 0.001)
_SHAPE_RATIOS = gamma(2 / _SHAPES) ** 2 / (gamma(1 / _SHAPES) * gamma(3 / _SHAPES))
# Antialiased bicubic interpolation to half the size: weights at -3.5, -2.5 ... 3.5 pixels.
_HALVING = np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 256
_LUMA = np.array([65.481, 128.553, 24.966]) / 255  # BT.601 studio range: Y = 16..235


@dataclass(frozen=True, slots=True)
class PristineModel:
    """The features of undistorted images.

    Attributes:
        mean: float64 (36,).
        covariance: float64 (36, 36).
        window: float64 (7, 7), Gaussian, of the local normalisation.
    """

    mean: np.ndarray
    covariance: np.ndarray
    window: np.ndarray

    @classmethod
    def load(cls, path: str | Path) -> "PristineModel":
        """Read the model from an npz file.

        Raises:
            UsageError: there is no such file.
            DimmagenError: the file has other content.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                mean, covariance, window = (
                    np.asarray(arrays[name], np.float64)
                    for name in ("mu_pris_param", "cov_pris_param", "gaussian_window")
                )
        except FileNotFoundError:
            raise UsageError(
                f"there is no NIQE model at {path}",
                "check `niqe_model`",
                code="missing-path",
                parameter="niqe_model",
                path=str(path),
            ) from None
        except (ValueError, KeyError, OSError) as error:
            if is_machine_trouble(error):
                raise machine_error(error, path) from error
            raise DimmagenError(
                f"{path} is not a NIQE model ({error})",
                "download it again",
                code="wrong-format",
                path=str(path),
            ) from None
        if mean.size != 36 or covariance.shape != (36, 36) or window.shape != (7, 7):
            raise DimmagenError(
                f"{path} is not a NIQE model: its arrays have other shapes",
                "download it again",
                code="wrong-format",
                path=str(path),
            )
        return cls(mean.ravel(), covariance, window)


def niqe(image: np.ndarray, model: PristineModel) -> float:
    """NIQE of the luma of an image.

    The image is cropped to whole blocks of 96x96 pixels, as in the authors' code.

    Args:
        image: uint8 (H, W, 3), RGB.
        model: the pristine model.

    Returns:
        The distance; NaN if fewer than two blocks have any structure.

    Raises:
        UsageError: the image is smaller than 192x192 pixels, which would give fewer than four blocks.
    """
    rows, columns = image.shape[0] // BLOCK, image.shape[1] // BLOCK
    if min(rows, columns) < 2:
        raise UsageError(
            "NIQE needs images of at least 192x192 pixels",
            "remove it from `metrics`",
            code="too-small",
            size=image.shape[:2],
        )
    luma = np.rint(image[: rows * BLOCK, : columns * BLOCK] @ _LUMA + 16)
    features = np.concatenate(
        [
            _block_features(luma, BLOCK, model.window),
            _block_features(_halved(luma), BLOCK // 2, model.window),
        ],
        axis=1,
    )
    usable = features[~np.isnan(features).any(axis=1)]
    if len(usable) < 2:
        return math.nan
    mean = np.nanmean(features, axis=0)
    covariance = np.cov(usable, rowvar=False)
    difference = model.mean - mean
    return float(np.sqrt(difference @ np.linalg.pinv((model.covariance + covariance) / 2) @ difference))


def _block_features(luma: np.ndarray, size: int, window: np.ndarray) -> np.ndarray:
    """18 features of each block, of the normalised luma and its products with neighbours: (blocks, 18)."""
    normalised = _normalised(luma, window)
    blocks = [
        normalised[top : top + size, left : left + size]
        for left in range(0, luma.shape[1], size)
        for top in range(0, luma.shape[0], size)
    ]
    return np.array([_features(block) for block in blocks])


def _normalised(luma: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Luma minus its local mean, divided by its local standard deviation plus 1: float64 (H, W)."""
    # The window is a Gaussian, hence separable: two passes of 7 weights instead of one of 49.
    line = window.sum(axis=0)
    mean = _smooth(luma, line)
    deviation = np.sqrt(np.abs(_smooth(luma**2, line) - mean**2))
    return (luma - mean) / (deviation + 1)


def _smooth(luma: np.ndarray, line: np.ndarray) -> np.ndarray:
    return correlate1d(correlate1d(luma, line, axis=0, mode="nearest"), line, axis=1, mode="nearest")


def _features(block: np.ndarray) -> list[float]:
    shape, left, right = _asymmetric_gaussian(block)
    features = [shape, (left + right) / 2]
    for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
        shape, left, right = _asymmetric_gaussian(block * np.roll(block, shift, axis=(0, 1)))
        mean = (right - left) * (gamma(2 / shape) / gamma(1 / shape))
        features += [shape, mean, left, right]
    return features


def _asymmetric_gaussian(values: np.ndarray) -> tuple[float, float, float]:
    """Shape, left scale and right scale of an asymmetric generalised Gaussian, fitted by its moments."""
    values = values.ravel()
    below, above = values[values < 0], values[values > 0]
    left = np.sqrt(np.mean(below**2)) if below.size else np.nan
    right = np.sqrt(np.mean(above**2)) if above.size else np.nan
    balance = left / right
    with np.errstate(invalid="ignore"):  # 0 / 0 in a block without structure
        ratio = np.mean(np.abs(values)) ** 2 / np.mean(values**2)
    ratio *= (balance**3 + 1) * (balance + 1) / (balance**2 + 1) ** 2
    shape = _SHAPES[np.argmin((_SHAPE_RATIOS - ratio) ** 2)]
    scale = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return shape, left * scale, right * scale


def _halved(luma: np.ndarray) -> np.ndarray:
    """Half the size by antialiased bicubic interpolation with mirrored edges: (H, W), even -> (H/2, W/2)."""
    for axis in (0, 1):
        smooth = correlate1d(luma, _HALVING, axis=axis, mode="reflect", origin=-1)
        luma = smooth.take(range(0, luma.shape[axis], 2), axis=axis)
    return luma
