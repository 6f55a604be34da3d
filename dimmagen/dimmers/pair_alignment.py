"""How the two images of a pair lie on each other: shifted, turned, or at another scale."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.registration import phase_cross_correlation

_LONGEST = 1536  # pixels: larger images are averaged over blocks, as single pixels are noise and take minutes
_LEAST = 256  # pixels: the shorter side keeps as many
_SHOWN_SIGMA = 4.0  # pixels or blocks: the edges of black areas are not detail
_PART = 512  # pixels: the sides of what is compared of each quarter, at most
_MIN_PARTS = 3  # a turn and a scale have four numbers, a part gives two
_MAX_RESIDUAL = 0.25  # of the corners' distance, RMS: more is not a rotation, but water or leaves that moved


class Turn(NamedTuple):
    """The turn and the scale of the dark image relative to the light one.

    Attributes:
        degrees: clockwise.
        scale: 1 for equal scales, more where the content of the dark image is larger.
        corner: pixels by which both together move a corner of the image.
    """

    degrees: float
    scale: float
    corner: float


@dataclass(frozen=True, eq=False, slots=True)
class PairDetail:
    """Detail of 1.5 to 8 pixels in the images of a pair, at equal contrast.

    The square roots of the images are band-passed and normalised by their local contrast, so that neither the
    exposure nor the noise of the dark image matters.

    Attributes:
        dark, light: float32 (H // block, W // block).
        shown: float32 (H // block, W // block), 0 to 1: how much around a place the dark image is not black.
        block: pixels; the side of the blocks whose averages stand for the pixels of a large image.
    """

    dark: np.ndarray
    light: np.ndarray
    shown: np.ndarray
    block: int

    @classmethod
    def of(cls, dark: np.ndarray, light: np.ndarray) -> "PairDetail":
        """The detail of two images of equal size, uint8 (H, W, 3), RGB."""
        block = _block(dark.shape)
        is_shown = _averaged(np.asarray((dark > 0).any(2, keepdims=True)), block)[..., 0].astype(np.float32)
        dark, light = (_detail(_averaged(image, block)) for image in (dark, light))
        return cls(dark, light, gaussian_filter(is_shown, _SHOWN_SIGMA), block)

    def windowed(self, part: tuple[slice, slice] = np.s_[:, :]) -> tuple[np.ndarray, np.ndarray]:
        """The detail of a part of both images, fading to its edges: float64 (h, w) each."""
        window = np.outer(*map(np.hanning, self.dark[part].shape))
        return self.dark[part] * window, self.light[part] * window

    def windowed_where_shown(self, part: tuple[slice, slice] = np.s_[:, :]) -> tuple[np.ndarray, np.ndarray]:
        """:meth:`windowed` without what the dark image does not show, because it is black."""
        dark, light = self.windowed(part)
        return dark * self.shown[part], light * self.shown[part]


def shift_between(dark: np.ndarray, light: np.ndarray) -> tuple[float, float, float]:
    """:func:`shift_of` two images of equal size, uint8 (H, W, 3), RGB."""
    return shift_of(PairDetail.of(dark, light))


def shift_of(detail: PairDetail) -> tuple[float, float, float]:
    """Sub-pixel shift of the dark image relative to the light one, at a resolution of 1/20 pixel or block.

    Returns:
        (rows, columns, error): the content of the dark image is shifted by that many pixels down and to the
        right; the error is 0 for equal structure and close to 1 for no common structure.
    """
    rows, columns, error = _correlated(detail.windowed_where_shown())
    return rows * detail.block, columns * detail.block, error


def _correlated(structures: tuple[np.ndarray, np.ndarray]) -> tuple[float, float, float]:
    """Shift and error of two windowed structures, in their own pixels."""
    if not all(map(np.any, structures)):  # an image of one colour
        return 0.0, 0.0, 1.0
    shift, error, _ = phase_cross_correlation(*structures, upsample_factor=20, normalization=None)
    return float(shift[0]), float(shift[1]), float(error)


def _block(shape: tuple[int, ...]) -> int:
    """The side of the blocks of pixels that are averaged before two images are compared."""
    height, width, _ = shape
    return max(1, min(math.ceil(max(height, width) / _LONGEST), min(height, width) // _LEAST))


def _averaged(image: np.ndarray, block: int) -> np.ndarray:
    """(H, W, C) -> float32 (H // block, W // block, C), or the image itself."""
    if block == 1:
        return image
    height, width, channels = image.shape
    rows, columns = height // block, width // block
    blocks = image[: rows * block, : columns * block].reshape(rows, block, columns, block, channels)
    return blocks.mean(axis=(1, 3), dtype=np.float32)


def _detail(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> float32 (H, W)."""
    gray = np.sqrt(image.astype(np.float32).mean(axis=2))
    band = gaussian_filter(gray, 1.5) - gaussian_filter(gray, 8)
    local_contrast = np.sqrt(gaussian_filter(band * band, 16)) + 0.02 * band.std() + 1e-6
    return band / local_contrast


def turn_of(detail: PairDetail, min_side: int, max_error: float) -> Turn | None:
    """Turn and scale by the shifts of the four quarters, which one shift of the whole image averages out.

    A tripod that was touched turns a dark image by half a degree, and another focus changes its scale by a
    hundredth: the middle fits, and the corners are some pixels off.

    Args:
        detail: of the two images.
        min_side: pixels or blocks; a quarter with a smaller side does not show a shift.
        max_error: of :func:`shift_of`; a quarter with a larger one has nothing in common.

    Returns:
        None where fewer than three quarters can be compared, or their shifts are not those of a turn.
    """
    height, width = detail.dark.shape
    rows: list[tuple[float, ...]] = []
    shifts: list[float] = []
    for top, left, part in _quarters(height, width):
        sides = part[0].stop - part[0].start, part[1].stop - part[1].start
        if min(sides) < min_side:
            return None
        down, right, error = _correlated(detail.windowed_where_shown(part))
        if error <= max_error:
            rows += [(1, 0, top, left), (0, 1, left, -top)]
            shifts += [down, right]
    if len(shifts) < 2 * _MIN_PARTS:
        return None
    found, *_ = np.linalg.lstsq(np.array(rows), np.array(shifts))
    residual = math.sqrt(float(np.mean((np.array(rows) @ found - shifts) ** 2)))
    growth, angle = float(found[2]), float(found[3])
    corner = math.hypot(growth, angle) * math.hypot(height, width) / 2
    if residual > _MAX_RESIDUAL * corner:
        return None
    return Turn(math.degrees(angle), 1 + growth, corner * detail.block)


def _quarters(height: int, width: int) -> Iterator[tuple[float, float, tuple[slice, slice]]]:
    """The middles of the four quarters, and what is compared of each: its middle from that of the image."""
    for row in (0.25, 0.75):
        for column in (0.25, 0.75):
            half_rows, half_columns = min(height // 4, _PART // 2), min(width // 4, _PART // 2)
            middle, across = round(row * height), round(column * width)
            part = (
                slice(middle - half_rows, middle + half_rows),
                slice(across - half_columns, across + half_columns),
            )
            yield middle - height / 2, across - width / 2, part
