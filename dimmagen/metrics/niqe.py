"""NIQE: how far a picture's statistics are from those of undistorted photos (Mittal et al., 2013).

No ground truth is needed; lower is better. The pristine model, 36 means and their covariance, is the authors'
and comes from a file (`niqe_pris_params.npz` as BasicSR publishes it).
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import correlate1d
from scipy.special import gamma

from dimmagen.core.errors import DimmagenError, UsageError

BLOCK = 96
_SHAPES = np.arange(0.2, 10.001, 0.001)
_SHAPE_RATIOS = gamma(2 / _SHAPES) ** 2 / (gamma(1 / _SHAPES) * gamma(3 / _SHAPES))
# Bicubic interpolation by one half, widened to antialias: weights at -3.5, -2.5 ... 3.5 pixels.
_HALVING = np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 256
_LUMA = np.array([65.481, 128.553, 24.966]) / 255  # BT.601 studio range: Y = 16..235


@dataclass(frozen=True, slots=True)
class PristineModel:
    """Mean (36,) and covariance (36, 36) of the features of undistorted photos, and the 7x7 window."""

    mean: np.ndarray
    covariance: np.ndarray
    window: np.ndarray

    @classmethod
    def load(cls, path: str | Path) -> "PristineModel":
        """Raises UsageError when there is no such file, DimmagenError when it holds something else."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                mean, covariance, window = (
                    np.asarray(arrays[name], np.float64)
                    for name in ("mu_pris_param", "cov_pris_param", "gaussian_window")
                )
        except FileNotFoundError:
            raise UsageError(f"there is no NIQE model at {path}", "check `niqe_model`") from None
        except (ValueError, KeyError, OSError) as error:
            raise DimmagenError(f"{path} is not a NIQE model ({error})", "fetch it again") from None
        if mean.size != 36 or covariance.shape != (36, 36) or window.shape != (7, 7):
            raise DimmagenError(f"{path} is not a NIQE model: its arrays have other shapes", "fetch it again")
        return cls(mean.ravel(), covariance, window)


def niqe(image: np.ndarray, model: PristineModel) -> float:
    """NIQE of the luma of a uint8 (H, W, 3) RGB picture; NaN where fewer than two blocks have any structure.

    The picture is cut to whole blocks of 96x96 pixels, as the authors do.

    Raises:
        UsageError: the picture is smaller than 192x192: fewer than four blocks have no covariance.
    """
    rows, columns = image.shape[0] // BLOCK, image.shape[1] // BLOCK
    if min(rows, columns) < 2:
        raise UsageError("NIQE needs pictures of at least 192x192 pixels", "leave it out of `metrics`")
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
    """18 features of each block: of the normalised luma and of its products with four neighbours."""
    normalised = _normalised(luma, window)
    blocks = [
        normalised[top : top + size, left : left + size]
        for left in range(0, luma.shape[1], size)
        for top in range(0, luma.shape[0], size)
    ]
    return np.array([_features(block) for block in blocks])


def _normalised(luma: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Luma less its local mean, over its local deviation (plus 1)."""
    # The window is a Gaussian, so it is the product of its row sums: two passes of 7 instead of one of 49.
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
    """Shape and the two scales of an asymmetric generalised Gaussian, fitted by its moments."""
    values = values.ravel()
    below, above = values[values < 0], values[values > 0]
    left = np.sqrt(np.mean(below**2)) if below.size else np.nan
    right = np.sqrt(np.mean(above**2)) if above.size else np.nan
    balance = left / right
    with np.errstate(invalid="ignore"):  # of a block without structure
        ratio = np.mean(np.abs(values)) ** 2 / np.mean(values**2)
    ratio *= (balance**3 + 1) * (balance + 1) / (balance**2 + 1) ** 2
    shape = _SHAPES[np.argmin((_SHAPE_RATIOS - ratio) ** 2)]
    scale = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return shape, left * scale, right * scale


def _halved(luma: np.ndarray) -> np.ndarray:
    """Half the size by antialiased bicubic interpolation, the edge pixels mirrored; evenly sized."""
    for axis in (0, 1):
        smooth = correlate1d(luma, _HALVING, axis=axis, mode="reflect", origin=-1)
        luma = smooth.take(range(0, luma.shape[axis], 2), axis=axis)
    return luma
