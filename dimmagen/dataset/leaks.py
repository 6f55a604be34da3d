"""The leak check: does a data set show a scene of the evaluation data?"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from dimmagen.dataset.reader import PairSet
from dimmagen.images import codec
from dimmagen.sources.scene_hash import SAME_SCENE_BITS, Scenes, cuts_of


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
        pairs: a finished data set.
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
    images = list({row["light_key"]: row for row in reversed(pairs.rows())}.values())
    scenes = Scenes.from_paths(evaluation, cuts_of(row["transform"] for row in images))
    on_start(len(images))

    def distance(row: dict) -> int:
        bits = scenes.distance(codec.decode_rgb8(pairs.data(row, "light"))[0])
        on_photo()
        return bits

    with ThreadPoolExecutor(workers) as pool:
        found = zip(images, pool.map(distance, images), strict=True)
        leaks = [
            Leak(row["light_key"], row["source"], row["name"], bits)
            for row, bits in found
            if bits <= SAME_SCENE_BITS
        ]
    return sorted(leaks, key=lambda leak: (leak.bits, leak.light_key))
