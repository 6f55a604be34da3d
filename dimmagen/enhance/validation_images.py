"""Strips of validation images: dark, output and truth of a few pairs, side by side."""

import math

import numpy as np

from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.enhance.inputs import mean_lightness
from dimmagen.images.sheets import image_grid
from dimmagen.metrics.image import psnr

MAX_STRIPS = 50  # of a run
_NAME_LENGTH = 32  # of a pair, in letters, as its column is wide


def strip_is_due(validation: int, validations: int) -> bool:
    """Whether a validation writes a strip: the last one, and at most MAX_STRIPS others in equal steps.

    Args:
        validation: its number, from 1.
        validations: of the whole run.
    """
    return validation == validations or validation % math.ceil(validations / MAX_STRIPS) == 0


class Strip:
    """Collects the first results of a validation; it is called with each of them.

    Args:
        pairs: how many of them are drawn.
    """

    def __init__(self, pairs: int) -> None:
        self._left = pairs
        self._rows: list[list[tuple[str, np.ndarray]]] = []

    def __call__(self, pair: RealPair, output: np.ndarray) -> None:
        """Add a result.

        Args:
            pair: that was enhanced.
            output: uint8 (H, W, 3), of its dark image.
        """
        if self._left > 0:
            self._left -= 1
            score = f"output, {psnr(output, pair.light):.2f} dB"
            self._rows.append(
                [
                    (f"{_shown(pair.name)}: dark, {mean_lightness(pair.dark):.2f}", pair.dark),
                    (score, output),
                    (f"truth, {mean_lightness(pair.light):.2f}", pair.light),
                ]
            )

    def image(self) -> np.ndarray | None:
        """The strip, uint8 (H, W, 3), a row for each pair; None without results."""
        return image_grid(self._rows) if self._rows else None


def _shown(name: str) -> str:
    """A name as far as it fits above an image: its end, which differs between variants."""
    return name if len(name) <= _NAME_LENGTH else f"…{name[1 - _NAME_LENGTH :]}"
