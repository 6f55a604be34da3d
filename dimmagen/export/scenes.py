"""Light images that show one scene.

They do if they come from the same file, or if their perceptual hashes are as close as those of an excluded
image (:mod:`dimmagen.sources.scene_hash`), also by way of others between them.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from dimmagen.core import keyed_random
from dimmagen.core.hashing import text_hash
from dimmagen.core.threads import ordered_map
from dimmagen.dataset.reader import PairSet
from dimmagen.export.rows import PairNumbers
from dimmagen.images import codec
from dimmagen.sources.scene_hash import SAME_SCENE_BITS, scene_hash

_AT_ONCE = 2**14  # hashes that are compared with one; they fit into a processor's cache
_NOT_FOUND = -1


class Scenes:
    """The scenes of light images, each found when it is asked for.

    To find a scene, each of its images is compared with all others: all scenes take the square of the number
    of images, and those of a few held-out images a multiple of it.

    Args:
        light_keys: of the light images, sorted; an image is named by its place.
        hashes: uint64 (N, 4), the 256 bits of each.
        files: uint64 (N,), equal for light images of the same file.

    Attributes:
        found: int64 (N,), the scene of each image, -1 for one that is not found yet. A scene is named by the
            first of its images.
    """

    def __init__(self, light_keys: pa.Array, hashes: np.ndarray, files: np.ndarray) -> None:
        self.found = np.full(len(hashes), _NOT_FOUND, np.int64)
        self._keys, self._hashes = light_keys, hashes
        self._by_file = np.argsort(files, kind="stable")
        self._files, self._sorted_files = files, files[self._by_file]

    def scene(self, light: int) -> int:
        """The scene of a light image."""
        if self.found[light] == _NOT_FOUND:
            members = self._connected(light)
            self.found[members] = members[0]
        return int(self.found[light])

    def in_order(self) -> Iterator[int]:
        """All light images, those of one scene after the other; the scenes in a keyed order."""
        names = (key.as_py() for key in self._keys)
        for light in keyed_random.permutation(0, names, "validation"):
            if self.scene(int(light)) == light:
                yield from np.flatnonzero(self.found == light).tolist()

    def _connected(self, light: int) -> np.ndarray:
        """A light image and all that it is connected with, ascending."""
        is_member = np.zeros(len(self._hashes), bool)
        is_member[light] = True
        left = [light]
        while left:
            near = self._neighbours(left.pop())
            new = near[~is_member[near]]
            is_member[new] = True
            left.extend(new.tolist())
        return np.flatnonzero(is_member)

    def _neighbours(self, light: int) -> np.ndarray:
        """The light images of the same file, and those whose hashes are near."""
        file = self._files[light]
        start = np.searchsorted(self._sorted_files, file, "left")
        found = [self._by_file[start : np.searchsorted(self._sorted_files, file, "right")]]
        for first in range(0, len(self._hashes), _AT_ONCE):
            others = self._hashes[first : first + _AT_ONCE] ^ self._hashes[light]
            distance = np.bitwise_count(others).sum(axis=1, dtype=np.uint16)
            found.append(first + np.flatnonzero(distance <= SAME_SCENE_BITS))
        return np.concatenate(found)


def find_scenes(
    pairs: PairSet, numbers: PairNumbers, workers: int, on_image: Callable[[], None] = lambda: None
) -> Scenes:
    """Hash the light images of a data set, each of which is decoded once.

    Args:
        pairs: the data set.
        numbers: of its pairs.
        workers: number of threads.
        on_image: called after each light image.
    """
    hashes = np.empty((len(numbers.light_keys), 4), np.uint64)
    files = np.empty(len(hashes), np.uint64)

    def hash_of(row: dict) -> tuple[np.ndarray, int]:
        bits = scene_hash(codec.decode_rgb8(pairs.data(row, "light"))[0])
        on_image()
        return np.packbits(bits).view(np.uint64), text_hash(row["source_sha256"])

    order = np.argsort(numbers.first, kind="stable")
    rows = pairs.whole(map(int, numbers.first[order]))
    for light, result in zip(order, ordered_map(hash_of, rows, workers), strict=True):
        hashes[light], files[light] = result
    return Scenes(numbers.light_keys, hashes, files)
