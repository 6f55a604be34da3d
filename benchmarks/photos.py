"""Real photos for the benchmarks: those of the shared data where they lie, else those a dependency ships."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.figures import Options
from dimmagen.sources.light_image import LightImageRef, load_light_image
from dimmagen.sources.light_images import open_light_images

SOURCES = {
    "coco": "sources/coco",
    "clic": "sources/clic",
    "imagenet": "sources/imagenet",
    "lol": "lol/high_only",
}


def sources(options: Options) -> list[str]:
    """For `--source`."""
    found = [
        f"{name}={options.data / path}" for name, path in SOURCES.items() if (options.data / path).is_dir()
    ]
    return found or ["sample"]


def lights(options: Options, most: int | None = None) -> list[LightImageRef]:
    """Accepted photos, in canonical order."""
    return list(open_light_images(sources(options)).refs())[:most]


def write_tiled(options: Options, folder: Path, megapixels: float, count: int) -> Path:
    """Different JPEG files of a size, tiled from real photos: no camera's photos of that size are at hand."""
    folder.mkdir(parents=True, exist_ok=True)
    width = round((megapixels * 1e6 * 4 / 3) ** 0.5)
    height = round(megapixels * 1e6 / width)
    for number, tile in zip(range(count), _tiles(options), strict=False):
        across, down = -(-width // tile.shape[1]) + 1, -(-height // tile.shape[0])
        shift = (37 * number) % tile.shape[1]  # the same photo again is another file
        image = np.tile(tile, (down, across, 1))[:height, shift : shift + width]
        Image.fromarray(image).save(folder / f"{number:05d}.jpg", quality=92)
    return folder


def _tiles(options: Options) -> Iterator[np.ndarray]:
    references = lights(options, 8)
    number = 0
    while True:
        yield load_light_image(references[number % len(references)]).pixels
        number += 1
