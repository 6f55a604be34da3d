"""The structure of a camera's noise in space, beyond neighbours: long filters, and row and column noise.

A phone's demosaicing and denoising spread noise over many pixels, chroma further than luma, and a sensor that
is read row by row adds the same noise to a whole row. The normals of luma and of chroma are filtered along
rows and columns by symmetric taps of unit power, then mixed with one normal a row and one a column so that
their variance stays 1. Level, skew and correlation of the channels are applied afterwards.
"""

from dataclasses import dataclass

import numpy as np

RADIUS = 8  # pixels that the filter reaches to either side
TAP_BITS = 13  # 17 taps of unit power times the largest normal stay below 2**31
WEIGHT_BITS = 14
LARGEST_NORMAL = 32767  # 8 standard deviations in 2**-12, as those of the table of quantiles
FIRST_BLOCK = -(RADIUS // 2)  # the Philox block with the columns -9 and -8, the first that the filter reaches
# Philox's third counter word: of the pixels, and of the normals of rows and columns.
ROW_STREAM, COLUMN_STREAM = 1, 2
MOST_BANDING = 0.9  # of the variance

FREQUENCIES = np.linspace(0, np.pi, 65)  # radians a pixel
_BOTH_SIDES = np.where(np.arange(RADIUS + 1) == 0, 1.0, 2.0)
_COSINES = np.cos(np.outer(np.arange(RADIUS + 1), FREQUENCIES))


@dataclass(frozen=True, eq=False)
class Structure:
    """What the kernels filter and mix normals with.

    Attributes:
        taps: int32 (2, 2, 9), [luma | chroma][along rows | along columns][distance], in 2**-13.
        weights: int32 (2, 3), [luma | chroma][pixel | row | column]: factor of each normal, in 2**-14.
    """

    taps: np.ndarray
    weights: np.ndarray


def structure_of(filters: np.ndarray, banding: np.ndarray) -> Structure:
    """The structure of a model.

    Args:
        filters: float (2, 2, 9), as `taps`, of any scale; a filter of zeros leaves the noise white.
        banding: float (2, 2), [luma | chroma][rows | columns]: their share of the noise's variance.
    """
    share = np.clip(banding, 0.0, MOST_BANDING)
    share = share * np.minimum(MOST_BANDING / np.maximum(share.sum(1, keepdims=True), 1e-12), 1.0)
    weights = np.sqrt(np.column_stack([1 - share.sum(1), share]))
    return Structure(_fixed(unit_taps(filters), TAP_BITS), _fixed(weights, WEIGHT_BITS))


def unit_taps(taps: np.ndarray) -> np.ndarray:
    """Half filters (..., 9) scaled to the power 1, with which unit noise stays unit noise."""
    power = taps[..., :1] ** 2 + 2 * (taps[..., 1:] ** 2).sum(-1, keepdims=True)
    white = np.eye(taps.shape[-1])[0]
    return np.where(power > 0, taps / np.sqrt(np.maximum(power, 1e-30)), white)


def response(taps: np.ndarray) -> np.ndarray:
    """Frequency response of symmetric filters at :data:`FREQUENCIES`: half filters (..., 9) -> (..., 65)."""
    return (taps * _BOTH_SIDES) @ _COSINES


def taps_of(wanted: np.ndarray) -> np.ndarray:
    """The filters with about this frequency response, the inverse of :func:`response`, with power 1."""
    trapezoid = np.where((FREQUENCIES == 0) | (np.pi == FREQUENCIES), 0.5, 1.0)
    return unit_taps((wanted * trapezoid) @ _COSINES.T)


def spectrum(lags: np.ndarray) -> np.ndarray:
    """Power spectrum at :data:`FREQUENCIES` of an autocorrelation at lags 1 to 8: (..., 8) -> (..., 65).

    The lags are tapered, so that a spectrum of few lags is not negative.
    """
    all_lags = np.concatenate([np.ones_like(lags[..., :1]), lags], axis=-1)
    taper = 1 - np.arange(RADIUS + 1) / (RADIUS + 1)
    return np.maximum((all_lags * taper * _BOTH_SIDES) @ _COSINES, 0.0)


def _fixed(values: np.ndarray, bits: int) -> np.ndarray:
    return np.rint(values * (1 << bits)).astype(np.int32)
