"""The leak check: does a data set show a scene that a model will be evaluated on?"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from dimmagen.dataset.reader import PairSet
from dimmagen.images import codec
from dimmagen.sources.scene_hash import SAME_SCENE_BITS, Scenes


@dataclass(frozen=True, slots=True)
class Leak:
    """A photo of the data set that shows a scene of the evaluation pictures.

    Attributes:
        light_key, source, name: of the photo.
        bits: of 256 by which its perceptual hash differs from the nearest evaluation picture's.
    """

    light_key: str
    source: str
    name: str
    bits: int


def find_leaks(
    pairs: PairSet,
    evaluation: Sequence[str],
    workers: int = 1,
    on_start: Callable[[int], None] = lambda photos: None,
    on_photo: Callable[[], None] = lambda: None,
) -> list[Leak]:
    """Compare every light picture with the evaluation pictures, by perceptual hash.

    The hash holds against another size, file type, brightness or a little crop; a mirrored or strongly
    cropped copy is not found.

    Args:
        pairs: a finished data set.
        evaluation: folders or archives; of pairs the well-lit side.
        workers: threads.
        on_start, on_photo: told of the number of photos, and after each.

    Raises:
        UsageError: a path is missing or holds no picture.
        DimmagenError: a picture cannot be decoded.
    """
    scenes = Scenes.from_paths(evaluation)
    photos = list({row["light_key"]: row for row in reversed(pairs.rows())}.values())
    on_start(len(photos))

    def distance(row: dict) -> int:
        bits = scenes.distance(codec.decode_rgb8(pairs.data(row, "light"))[0])
        on_photo()
        return bits

    with ThreadPoolExecutor(workers) as pool:
        found = zip(photos, pool.map(distance, photos), strict=True)
        leaks = [
            Leak(row["light_key"], row["source"], row["name"], bits)
            for row, bits in found
            if bits <= SAME_SCENE_BITS
        ]
    return sorted(leaks, key=lambda leak: (leak.bits, leak.light_key))
