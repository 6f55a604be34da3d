"""Sheets of pictures side by side, under captions."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

CELL = 320  # pixels: the longer side of a picture in the sheet
_CAPTION = 20
_GAP = 6


def sheet(rows: Sequence[Sequence[tuple[str, np.ndarray]]]) -> np.ndarray:
    """Lay out rows of captioned pictures.

    Args:
        rows: of (caption, uint8 (H, W, 3) picture); pictures are reduced to fit 320x320 and never enlarged.

    Returns:
        uint8 (H, W, 3), white where there is nothing.
    """
    reduced = [[(caption, _reduced(picture)) for caption, picture in row] for row in rows]
    columns = max(len(row) for row in reduced)
    width = columns * (CELL + _GAP) + _GAP
    heights = [max(picture.height for _, picture in row) + _CAPTION + _GAP for row in reduced]
    canvas = Image.new("RGB", (width, sum(heights) + _GAP), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
    top = _GAP
    for row, height in zip(reduced, heights, strict=True):
        for column, (caption, picture) in enumerate(row):
            left = _GAP + column * (CELL + _GAP)
            draw.text((left, top), caption, "black", font)
            canvas.paste(picture, (left, top + _CAPTION))
        top += height
    return np.array(canvas)


def _reduced(picture: np.ndarray) -> Image.Image:
    image = Image.fromarray(picture)
    image.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
    return image
