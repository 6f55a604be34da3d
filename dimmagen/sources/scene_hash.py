"""Scenes that must not be taken: pictures of an evaluation split, recognised by perceptual hash."""

from collections.abc import Sequence

import imagehash
import numpy as np
from PIL import Image

from dimmagen.core import hashing
from dimmagen.core.errors import UsageError
from dimmagen.images import codec
from dimmagen.sources.archives import list_entries, read_entry

SAME_SCENE_BITS = 80
_HASH_SIDE = 16


def scene_hash(pixels: np.ndarray) -> np.ndarray:
    """The signs of the lowest 16x16 frequencies of the gray picture (ImageHash's `phash`): bool (256,).

    Args:
        pixels: uint8 (H, W, 3) RGB.
    """
    return imagehash.phash(Image.fromarray(pixels), hash_size=_HASH_SIDE).hash.ravel()


class Scenes:
    """The pictures of one or more folders or archives, as perceptual hashes."""

    def __init__(self, hashes: np.ndarray) -> None:
        """Args: hashes: bool (N, 256)."""
        self.hashes = hashes

    @classmethod
    def from_paths(cls, paths: Sequence[str]) -> "Scenes":
        """Hash every picture below the paths.

        Raises:
            UsageError: a path is missing, or holds no picture.
            ImageError: a picture cannot be decoded: it cannot be excluded either.
        """
        hashes: list[np.ndarray] = []
        for path in paths:
            entries = [e for e in list_entries(path) if e.name.lower().endswith(codec.IMAGE_EXTENSIONS)]
            if not entries:
                raise UsageError(f"{path} holds no picture", "give the folder of the evaluation split")
            hashes.extend(scene_hash(codec.decode_rgb8(read_entry(entry.locator))[0]) for entry in entries)
        return cls(np.array(hashes))

    def describe(self) -> dict[str, int | str]:
        """What identifies these scenes in a manifest."""
        digest = hashing.sha256(np.packbits(np.unique(self.hashes, axis=0), axis=1).tobytes())
        return {"pictures": len(self.hashes), "sha256": digest, "bits": SAME_SCENE_BITS}

    def distance(self, pixels: np.ndarray) -> int:
        """Differing bits to the nearest of the pictures, in 0..256."""
        return int((self.hashes != scene_hash(pixels)).sum(axis=1).min())
