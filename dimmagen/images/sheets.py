"""Contact sheets: images side by side, with captions."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from dimmagen.images.pillow_settings import default_settings
from dimmagen.images.png import RESULT

CELL = 320  # pixels: maximum side of an image in the grid
_CAPTION = 20
_GAP = 6
_MARGIN, _PAIR_CAPTION = 12, 22
_INK, _PAPER = (30, 30, 30), (250, 250, 250)
_TITLES = ("light", "dark", "dark with gain")


@default_settings()  # which limit the size of text
def image_grid(rows: Sequence[Sequence[tuple[str, np.ndarray]]]) -> np.ndarray:
    """Lay out rows of captioned images.

    Args:
        rows: lists of (caption, uint8 (H, W, 3) image); images are reduced to fit 320x320 and never enlarged.

    Returns:
        uint8 (H, W, 3), white where it is empty.
    """
    reduced = [[(caption, _reduced(pixels)) for caption, pixels in row] for row in rows]
    columns = max(len(row) for row in reduced)
    width = columns * (CELL + _GAP) + _GAP
    heights = [max(image.height for _, image in row) + _CAPTION + _GAP for row in reduced]
    canvas = Image.new("RGB", (width, sum(heights) + _GAP), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
    top = _GAP
    for row, height in zip(reduced, heights, strict=True):
        for column, (caption, image) in enumerate(row):
            left = _GAP + column * (CELL + _GAP)
            draw.text((left, top), caption, "black", font)
            canvas.paste(image, (left, top + _CAPTION))
        top += height
    return np.array(canvas)


def _reduced(pixels: np.ndarray) -> Image.Image:
    image = Image.fromarray(pixels)
    image.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
    return image


@dataclass(frozen=True, slots=True)
class PairView:
    """One pair of the sheet: two uint8 (H, W, 3) images of equal size, and their caption."""

    light: np.ndarray
    dark: np.ndarray
    caption: str


def with_gain(dark: np.ndarray, light: np.ndarray) -> tuple[np.ndarray, float]:
    """The dark image, scaled to the mean of the light image and clipped, and the scale factor."""
    gain = float(light.mean()) / max(float(dark.mean()), 1 / 255)
    table = np.clip(np.rint(np.arange(256) * gain), 0, 255).astype(np.uint8)
    return table[dark], gain


def contact_sheet(pairs: Iterable[PairView], width: int = 320) -> Image.Image:
    """Draw the pairs below each other, with three images per pair.

    Args:
        pairs: at least one; one at a time is in memory.
        width: width of one image in pixels; heights follow.
    """
    font = ImageFont.load_default(14)
    rows = [_draw_pair(pair, width, font) for pair in pairs]
    height = sum(row.height + _MARGIN for row in rows) + _MARGIN
    sheet = Image.new("RGB", (rows[0].width + 2 * _MARGIN, height), _PAPER)
    top = _MARGIN
    for row in rows:
        sheet.paste(row, (_MARGIN, top))
        top += row.height + _MARGIN
    return sheet


@default_settings()
def _draw_pair(pair: PairView, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> Image.Image:
    brightened, gain = with_gain(pair.dark, pair.light)
    images = [_thumbnail(pixels, width) for pixels in (pair.light, pair.dark, brightened)]
    height = images[0].height
    cell = Image.new("RGB", (3 * width + 2 * _MARGIN, height + 2 * _PAIR_CAPTION), _PAPER)
    draw = ImageDraw.Draw(cell)
    draw.text((0, 0), pair.caption, fill=_INK, font=font)
    for index, image in enumerate(images):
        left = index * (width + _MARGIN)
        cell.paste(image, (left, _PAIR_CAPTION))
        title = f"{_TITLES[index]} ({gain:.1f}x)" if index == 2 else _TITLES[index]
        draw.text((left, _PAIR_CAPTION + height + 2), title, fill=_INK, font=font)
    return cell


def _thumbnail(pixels: np.ndarray, width: int) -> Image.Image:
    image = Image.fromarray(pixels)
    return image.resize((width, max(1, round(image.height * width / image.width))), Image.Resampling.LANCZOS)


def png_bytes(sheet: Image.Image) -> bytes:
    """The PNG file of a sheet; its bytes depend on the version of zlib in Pillow."""
    buffer, info = io.BytesIO(), PngInfo()
    info.add_text(*RESULT)
    sheet.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def jpeg_bytes(sheet: Image.Image) -> bytes:
    """The JPEG file of a sheet, of quality 85; its bytes depend on the version of libjpeg in Pillow."""
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
