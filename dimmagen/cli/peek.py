"""`dimmagen peek`: one pair and its record in the terminal."""

from typing import Any

import click
import numpy as np
from PIL import Image
from rich.color import Color
from rich.style import Style
from rich.table import Table
from rich.text import Text

from dimmagen.cli.command import command
from dimmagen.cli.console import Console
from dimmagen.cli.options import Integer, pair_of_dataset
from dimmagen.core.text import one_line
from dimmagen.dataset.reader import open_pairs
from dimmagen.images.sheets import with_gain


@command()
@pair_of_dataset(needs_key=False)
@click.option(
    "--width",
    type=Integer(10),
    show_default="as wide as fits",
    help="Width of each image in characters.",
)
def peek(dataset: str, key: str | None, width: int | None) -> dict[str, Any]:
    """Show a pair of the data set in DATASET and everything recorded about it.

    \b
    Examples:
      dimmagen peek out/
      dimmagen peek out/ sample-596aa1e7cb875eb7-v0
      dimmagen peek sample-596aa1e7cb875eb7-v0 --data out/

    KEY is the key of a pair, or its beginning if that is unique; by default the first pair is shown. The
    images are the light image, the dark image, and the dark image with gain.
    """
    pairs = open_pairs(dataset, ("key",))
    row = next(pairs.whole([0])) if key is None else pairs.find(key)
    dark, light = pairs.images(row)
    bright, gain = with_gain(dark, light)
    console = Console()
    width = width or max(10, min(60, (console.width - 4) // 3))
    images = Table.grid(padding=(0, 2))
    images.add_row("light", "dark", f"dark x {gain:.1f}")
    images.add_row(*(image_text(pixels, width) for pixels in (light, dark, bright)))
    console.print(images)
    record = Table(show_header=False, box=None)
    for name, value in row.items():
        record.add_row(name.replace("_", " "), one_line(str(value)))
    console.print(record)
    return row


def image_text(pixels: np.ndarray, width: int) -> Text:
    """Draw an image with characters, each of which shows two pixels, one above the other.

    Args:
        pixels: uint8 (H, W, 3) RGB.
        width: of the drawing, in characters.
    """
    height = max(2, round(width * pixels.shape[0] / pixels.shape[1] / 2) * 2)
    small = np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX))
    text = Text()
    for above, below in zip(small[::2], small[1::2], strict=True):
        for upper, lower in zip(above.tolist(), below.tolist(), strict=True):
            text.append("▀", Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower)))
        text.append("\n")
    return text
