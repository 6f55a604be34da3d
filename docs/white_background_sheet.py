"""Draw docs/images/white-background.png: images that the rule `white-border` rejects or nearly rejects.

Usage: python docs/white_background_sheet.py FOLDER_OF_IMAGENET_IMAGES
"""

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from dimmagen.images.codec import decode_rgb8
from dimmagen.sources import rules

COLUMNS, THUMBNAIL, CELL_WIDTH, CELL_HEIGHT, HEADING = 10, 112, 124, 152, 34
OUTPUT = Path(__file__).parent / "images" / "white-background.png"


def measure(folder: Path) -> list[tuple[float, bool, str, Image.Image]]:
    """The white border, whether the size rule accepts it, name and thumbnail of every image, whitest
    first."""
    measured = []
    for path in sorted(folder.iterdir()):
        pixels, facts = decode_rgb8(path.read_bytes())
        thumbnail = Image.fromarray(pixels)
        thumbnail.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
        right_size = rules.imagenet(rules.Facts(facts.width, facts.height)).accepted
        measured.append((rules.white_border(pixels), right_size, path.stem.split("_", 1)[1], thumbnail))
    return sorted(measured, key=lambda one: -one[0])


def draw(sections: list[tuple[str, list]]) -> Image.Image:
    rows = sum(-(-len(items) // COLUMNS) for _, items in sections)
    size = (COLUMNS * CELL_WIDTH + 12, rows * CELL_HEIGHT + len(sections) * HEADING)
    sheet, top = Image.new("RGB", size, (205, 210, 216)), 0
    canvas = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(16), ImageFont.load_default(12)
    for heading, items in sections:
        canvas.text((12, top + 8), heading, "black", large)
        top += HEADING
        for index, (value, _, name, thumbnail) in enumerate(items):
            left = 12 + index % COLUMNS * CELL_WIDTH
            here = top + index // COLUMNS * CELL_HEIGHT
            sheet.paste(thumbnail, (left, here + THUMBNAIL - thumbnail.height))
            canvas.text((left, here + THUMBNAIL + 3), f"{value:.3f}", "black", large)
            canvas.text((left, here + THUMBNAIL + 21), name[:19], (60, 60, 60), small)
        top += -(-len(items) // COLUMNS) * CELL_HEIGHT
    return sheet


def main() -> None:
    measured = measure(Path(sys.argv[1]))
    limit = rules.WHITE_BORDER_LIMIT
    rejected = [one for one in measured if one[0] >= limit]
    nearly = [one for one in measured if one[0] < limit]
    sheet = draw(
        [
            ("Rejected: the white share of the border is 0.5 or more", [one for one in rejected if one[1]]),
            ("Outside the size rule, and white all the same", [one for one in rejected if not one[1]]),
            (
                "Nearly rejected: the highest below 0.5, sizes that are taken",
                [o for o in nearly if o[1]][:10],
            ),
            ("Nearly rejected: the highest below 0.5, other sizes", [o for o in nearly if not o[1]][:10]),
        ]
    )
    sheet.quantize(256, kmeans=2, dither=Image.Dither.FLOYDSTEINBERG).save(OUTPUT, optimize=True)
    print(f"{OUTPUT}: {OUTPUT.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
