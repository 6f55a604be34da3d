"""Excluded scenes: images of an evaluation split, recognised by perceptual hash."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import imagehash
import numpy as np
from PIL import Image

from dimmagen.core import hashing
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.machine import machine_trouble
from dimmagen.images import codec
from dimmagen.images.facts import remedy
from dimmagen.sources.archives import Entry, list_entries, read_entry
from dimmagen.sources.clic import reduce_and_crop
from dimmagen.sources.other_formats import counted_others
from dimmagen.sources.photo_selection import SIZE_STEP, apply_size_steps

SAME_SCENE_BITS = 80  # of 256; docs/sources-and-rules.md has the measured distances
_HASH_SIDE = 16
_MOST_TOLD = 5
_LOG = logging.getLogger(__name__)


def scene_hash(pixels: np.ndarray) -> np.ndarray:
    """The signs of the lowest 16x16 frequencies of the gray image (`phash` of ImageHash).

    Args:
        pixels: uint8 (H, W, 3) RGB.

    Returns:
        bool (256,).
    """
    return imagehash.phash(Image.fromarray(pixels), hash_size=_HASH_SIDE).hash.ravel()


def cuts_of(transforms: Iterable[str]) -> list[tuple[str, ...]]:
    """The different ways in which light images were reduced and cropped, by the names of their transforms.

    Example:
        >>> cuts_of(["verbatim", "exif+short512+crop256", "reduce512", "short512+crop256"])
        [('reduce512',), ('short512', 'crop256')]
    """
    cuts = {tuple(filter(SIZE_STEP.fullmatch, transform.split("+"))) for transform in transforms}
    return sorted(cuts - {()})


def _cut(pixels: np.ndarray, steps: tuple[str, ...]) -> np.ndarray | None:
    """An image after the steps of :func:`cuts_of`; None if it is too small for them."""
    for step in steps:
        side = int(SIZE_STEP.fullmatch(step)[2])  # type: ignore[index]
        if min(pixels.shape[:2]) < side:
            return None
        pixels = (
            reduce_and_crop(pixels, side)[0]
            if step.startswith("reduce")
            else apply_size_steps(pixels, [step])
        )
    return pixels


def _hashes_of(path: str, entry: Entry, cuts: Sequence[tuple[str, ...]]) -> list[np.ndarray]:
    """The hashes of an image that is to be excluded: of all of it, and of its parts.

    Raises:
        ImageError: it cannot be read or decoded.
    """
    if entry.refusal:
        raise codec.ImageError("unreadable", entry.refusal)
    with machine_trouble(f"{path}: {entry.name}"):
        pixels = codec.decode_rgb8(read_entry(entry.locator), color_managed=True)[0]
        parts = [pixels, *(_cut(pixels, steps) for steps in cuts)]
        return [scene_hash(part) for part in parts if part is not None]


class SceneHashes:
    """The images of one or more folders or archives, as perceptual hashes.

    Args:
        hashes: bool (N, 256), N at least 1.
    """

    def __init__(self, hashes: np.ndarray) -> None:
        self.hashes = hashes

    @classmethod
    def from_paths(cls, paths: Sequence[str], cuts: Sequence[tuple[str, ...]] = ()) -> "SceneHashes":
        """Hash every image below the paths, also behind links that lead out of them.

        Args:
            paths: see :func:`~dimmagen.sources.archives.list_entries`.
            cuts: of :func:`cuts_of`: each image is also recognised by its part after these steps.

        Raises:
            UsageError: a path is missing, or has no image.
            DimmagenError: an image cannot be read or decoded, so its scene could not be kept out either.
        """
        hashes: list[np.ndarray] = []
        for path in paths:
            found = list_entries(path, follow_links=True, wanted="images")
            entries = [entry for entry in found if entry.name.lower().endswith(codec.IMAGE_EXTENSIONS)]
            others = counted_others(entry.name for entry in found)
            if not entries:
                raise UsageError(
                    f"{path} holds no image",
                    "give the folder of the evaluation split",
                    code="no-match",
                    path=path,
                )
            if others:
                _LOG.warning("%s: scenes are not excluded by files that are not read: %s", path, others)
            reasons = {}
            for entry in entries:
                try:
                    hashes.extend(_hashes_of(path, entry, cuts))
                except codec.ImageError as error:
                    reasons[entry.name] = error.reason
            if reasons:
                raise _unrecognised(path, reasons)
        return cls(np.array(hashes))

    def describe(self) -> dict[str, int | str]:
        """The values that identify these scenes in a manifest."""
        digest = hashing.sha256(np.packbits(np.unique(self.hashes, axis=0), axis=1).tobytes())
        return {"pictures": len(self.hashes), "sha256": digest, "bits": SAME_SCENE_BITS}

    def distance(self, pixels: np.ndarray) -> int:
        """Number of differing bits to the nearest excluded image, 0..256.

        Args:
            pixels: uint8 (H, W, 3) RGB.
        """
        return int((self.hashes != scene_hash(pixels)).sum(axis=1).min())


def _unrecognised(path: str, reasons: Mapping[str, str]) -> DimmagenError:
    told = [
        f"the scene of {name} cannot be recognised, because the file {reason}"
        for name, reason in islice(reasons.items(), _MOST_TOLD)
    ]
    if len(reasons) > len(told):
        told.append(f"and {len(reasons) - len(told)} more")
    return DimmagenError(
        f"{path}: {'; '.join(told)}",
        remedy(reasons.values(), f"repair or remove {'it' if len(reasons) == 1 else 'them'}"),
        code="unreadable-image",
        path=path,
        name=next(iter(reasons)),
    )
