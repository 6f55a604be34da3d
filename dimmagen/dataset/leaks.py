"""The leak check: does a data set show a scene of the evaluation data?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dimmagen.core.threads import ordered_map
from dimmagen.dataset.reader import ChosenRows, PairSet
from dimmagen.images import codec
from dimmagen.sources.scene_hash import SAME_SCENE_BITS, SceneHashes, cuts_of

COMPARED = ("light_key", "transform")
"""The columns of a data set that :func:`find_leaks` needs; the others are read light image by light image."""


@dataclass(frozen=True, slots=True)
class Leak:
    """A light image of the data set that shows a scene of the evaluation images.

    Attributes:
        light_key, source, name: of the light image.
        bits: number of bits, out of 256, by which its perceptual hash differs from that of the nearest
            evaluation image.
    """

    light_key: str
    source: str
    name: str
    bits: int


def find_leaks(
    pairs: PairSet,
    evaluation: Sequence[str],
    workers: int = 1,
    on_start: Callable[[int], None] = lambda images: None,
    on_photo: Callable[[], None] = lambda: None,
) -> list[Leak]:
    """Compare every light image with the evaluation images, by perceptual hash.

    The hash is robust to another size, file type or brightness and to slight cropping. Light images that
    were reduced or cropped (`--crop`, CLIC) are also compared with the evaluation images cut in the same way.
    Mirrored copies, and those that somebody else has cropped strongly, are not found.

    Args:
        pairs: a finished data set, with at least the columns of :data:`COMPARED`.
        evaluation: folders or archives of images; for pairs, those of the well-lit images.
        workers: number of threads.
        on_start: called with the number of light images.
        on_photo: called after each light image.

    Returns:
        The leaks, the most similar images first.

    Raises:
        UsageError: a path does not exist or holds no image.
        DimmagenError: an image cannot be decoded.
    """
    images = ChosenRows(pairs, first_of_each_light(pairs))
    transforms = pc.unique(pairs.table["transform"].take(images.indices)).to_pylist()
    scenes = SceneHashes.from_paths(evaluation, cuts_of(transforms))
    on_start(len(images))

    def leak(row: dict) -> Leak | None:
        bits = scenes.distance(codec.decode_rgb8(pairs.data(row, "light"))[0])
        on_photo()
        is_leak = bits <= SAME_SCENE_BITS
        return Leak(row["light_key"], row["source"], row["name"], bits) if is_leak else None

    leaks = [one for one in ordered_map(leak, images, workers) if one]
    return sorted(leaks, key=lambda leak: (leak.bits, leak.light_key))


def first_of_each_light(pairs: PairSet) -> np.ndarray:
    """The index of the first pair of each light image, int64 (N,), ascending.

    Args:
        pairs: a finished data set, with at least the column `light_key`.
    """
    table = pa.table({"light": pairs.table["light_key"], "index": np.arange(pairs.table.num_rows)})
    first = table.group_by("light", use_threads=False).aggregate([("index", "min")])
    return np.sort(first["index_min"].to_numpy())
