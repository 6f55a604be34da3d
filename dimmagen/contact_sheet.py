"""A contact sheet: light, dark, and dark with gain, side by side, so that a person can judge the pairs."""

import heapq
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from PIL import Image, ImageDraw, ImageFont

from dimmagen import randomness
from dimmagen.pairset import PairSet

_MARGIN, _CAPTION = 12, 22
_INK, _PAPER = (30, 30, 30), (250, 250, 250)
_TITLES = ("light", "dark", "dark with gain")


@dataclass(frozen=True, slots=True)
class PairView:
    """One row of the sheet: two uint8 (H, W, 3) pictures of equal size, and what is said about them."""

    light: np.ndarray
    dark: np.ndarray
    caption: str


def choose_rows(tables: Iterable[pa.Table], variants: int, count: int) -> list[dict]:
    """A fixed choice of pairs that does not depend on their order: each photo once, with one of its variants,
    as long as there are photos; darkest last.

    Args:
        tables: parts of the set, with the columns of :data:`PAIR_SCHEMA` at least; one at a time is held.
        variants: dark pictures per photo.
        count: of pairs, at most.
    """
    best: list[tuple[bool, bytes, dict]] = []
    for table in tables:
        here = heapq.nsmallest(count, _ranked(table, variants))
        rows = table.take([index for *_, index in here]).to_pylist()
        best += [(late, rank, row) for (late, rank, _), row in zip(here, rows, strict=True)]
        best = sorted(best, key=lambda one: one[:2])[:count]
    return sorted((row for *_, row in best), key=lambda row: -row["lightness_after"])


def _ranked(table: pa.Table, variants: int) -> Iterator[tuple[bool, bytes, int]]:
    """Whether a pair is not the one that shows its photo, its rank among all pairs, and its index."""
    columns = (table[name].to_pylist() for name in ("key", "light_key", "variant"))
    for index, (key, photo, variant) in enumerate(zip(*columns, strict=True)):
        shown = int.from_bytes(randomness.rank(0, photo, "sheet"), "big") % variants
        yield variant != shown, randomness.rank(0, key, "sheet"), index


def pair_views(pairs: PairSet, rows: Sequence[dict]) -> Iterator[PairView]:
    """The rows of a data set's pairs as rows of a sheet."""
    for row in rows:
        dark, light = pairs.pictures(row)
        lightness = f"lightness {row['lightness_before']:.3f} to {row['lightness_after']:.3f}"
        yield PairView(light, dark, f"{row['key']}    gamma {row['gamma']:.2f}    {lightness}")


def with_gain(dark: np.ndarray, light: np.ndarray) -> tuple[np.ndarray, float]:
    """The dark picture times the factor that gives it the light picture's mean, clipped; and that factor."""
    gain = float(light.mean()) / max(float(dark.mean()), 1 / 255)
    table = np.clip(np.rint(np.arange(256) * gain), 0, 255).astype(np.uint8)
    return table[dark], gain


def contact_sheet(pairs: Iterable[PairView], width: int = 320, columns: int = 1) -> Image.Image:
    """Draw the pairs below one another, in `columns` columns of three pictures each.

    Args:
        pairs: at least one; one at a time is in memory.
        width: of one picture, pixels; heights follow, cells of one row share the tallest.
        columns: pairs beside one another.
    """
    font = ImageFont.load_default(14)
    cells = [_draw_pair(pair, width, font) for pair in pairs]
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    sheet_width = min(columns, len(cells)) * (cells[0].width + _MARGIN) + _MARGIN
    heights = [max(cell.height for cell in row) for row in rows]
    sheet = Image.new("RGB", (sheet_width, sum(heights) + _MARGIN * (len(rows) + 1)), _PAPER)
    top = _MARGIN
    for row, height in zip(rows, heights, strict=True):
        for column, cell in enumerate(row):
            sheet.paste(cell, (_MARGIN + column * (cell.width + _MARGIN), top))
        top += height + _MARGIN
    return sheet


def _draw_pair(pair: PairView, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> Image.Image:
    brightened, gain = with_gain(pair.dark, pair.light)
    pictures = [_thumbnail(pixels, width) for pixels in (pair.light, pair.dark, brightened)]
    height = pictures[0].height
    cell = Image.new("RGB", (3 * width + 2 * _MARGIN, height + 2 * _CAPTION), _PAPER)
    draw = ImageDraw.Draw(cell)
    draw.text((0, 0), pair.caption, fill=_INK, font=font)
    for index, picture in enumerate(pictures):
        left = index * (width + _MARGIN)
        cell.paste(picture, (left, _CAPTION))
        title = f"{_TITLES[index]} ({gain:.1f}x)" if index == 2 else _TITLES[index]
        draw.text((left, _CAPTION + height + 2), title, fill=_INK, font=font)
    return cell


def _thumbnail(pixels: np.ndarray, width: int) -> Image.Image:
    image = Image.fromarray(pixels)
    return image.resize((width, max(1, round(image.height * width / image.width))), Image.Resampling.LANCZOS)


def png_bytes(sheet: Image.Image) -> bytes:
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def jpeg_bytes(sheet: Image.Image) -> bytes:
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
