"""The files of enhanced photos: one for each photo and lightness, and a sheet that compares several."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dimmagen.core import storage
from dimmagen.enhance.enhancer import Enhancer
from dimmagen.enhance.inputs import FIXED_LIGHTNESS, mean_lightness
from dimmagen.enhance.lightness import LightnessModel
from dimmagen.images import codec
from dimmagen.images.sheets import image_grid


@dataclass(frozen=True, slots=True)
class Result:
    """One file that was written.

    Attributes:
        path: of the PNG file.
        width, height: pixels.
        lightness: mean lightness of the image, in [0, 1]; None for a sheet.
    """

    path: Path
    width: int
    height: int
    lightness: float | None


def level_names(levels: Sequence[float | str]) -> list[str]:
    """The lightnesses as parts of file names, with as many digits as make them different."""
    numbers = [level for level in levels if not isinstance(level, str)]
    digits = "" if len({f"{level:.2f}" for level in numbers}) < len(numbers) else ".2f"
    return [level if isinstance(level, str) else f"{level:{digits}}" for level in levels]


def file_names(photos: Sequence[str], levels: Sequence[float | str]) -> Iterator[str]:
    """Names of the files of all results.

    Args:
        photos: from :func:`.photos.result_names`.
        levels: lightnesses, as for :func:`requested_lightness`.
    """
    endings = [f"-{level}" for level in level_names(levels)] + ["-ladder"] if len(levels) > 1 else [""]
    return (f"{photo}{ending}.png" for photo in photos for ending in endings)


def requested_lightness(
    levels: Sequence[float | str], own: LightnessModel | None, dark: np.ndarray
) -> dict[str, float]:
    """The lightnesses for one photo, by their names in file names.

    Args:
        levels: numbers in [0, 1]; a text stands for what the network chooses.
        own: what the network learnt of lightness; without it, it chooses the fixed one.
        dark: uint8 (H, W, 3) RGB.
    """
    chosen = (
        level if not isinstance(level, str) else FIXED_LIGHTNESS if own is None else own.choose(dark)
        for level in levels
    )
    return dict(zip(level_names(levels), chosen, strict=True))


def enhance_photo(
    enhancer: Enhancer, dark: np.ndarray, metadata: codec.Metadata, requested: Mapping[str, float], path: Path
) -> Iterator[Result]:
    """Write one photo at each requested lightness, and a sheet of several.

    Args:
        enhancer: of the network.
        dark: uint8 (H, W, 3) RGB.
        metadata: of the photo.
        requested: from :func:`requested_lightness`.
        path: of the results, without what follows the name of the photo.

    Yields:
        Each file after it was written; the sheet last.
    """
    cells = [(f"dark, {mean_lightness(dark):.2f}", dark)]
    for name, level in requested.items():
        light = enhancer.enhance(dark, level)
        lightness = mean_lightness(light)
        file = path.with_name(f"{path.name}.png" if len(requested) == 1 else f"{path.name}-{name}.png")
        yield _write(file, light, metadata, lightness)
        cells.append((f"requested {level:.2f}, got {lightness:.2f}", light))
    if len(requested) > 1:
        yield _write(path.with_name(f"{path.name}-ladder.png"), image_grid([cells]))


def _write(
    path: Path, image: np.ndarray, metadata: codec.Metadata | None = None, lightness: float | None = None
) -> Result:
    storage.atomic_write(path, codec.encode_png(image, metadata, is_result=True))
    height, width, _ = image.shape
    return Result(path, width, height, lightness)
