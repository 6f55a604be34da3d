"""A pair data set divided into shards for training and pairs for validation."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dimmagen.core import keyed_random, storage
from dimmagen.core.errors import UsageError
from dimmagen.core.text import pluralize
from dimmagen.dataset.manifest import Manifest
from dimmagen.dataset.pair_tables import pair_tables, whole_rows
from dimmagen.dataset.reader import PairSet
from dimmagen.dimmers.real_pairs import RealPair
from dimmagen.images import codec
from dimmagen.images.cropping import center_crop

LIGHTNESS_IMAGES = 128  # dark images that a network's own lightness is learnt from
VALIDATION_PHOTOS = 16  # or a quarter of fewer than 64, so that most are trained on
VALIDATION_SIDE = 512  # pixels: validation should take a small part of the time

_COLUMNS = ("key", "light_key", "variant", "width", "height")


@dataclass(frozen=True, slots=True)
class TrainingShard:
    """One shard of a data set that is trained on.

    Attributes:
        url: local path or fsspec URL.
        samples: how many pairs it holds.
        training_keys: of the pairs that are for training.
    """

    url: str
    samples: int
    training_keys: frozenset[str]


@dataclass(frozen=True, slots=True)
class OpenShards:
    """A pair data set, divided for training.

    Attributes:
        shards: those that hold a pair for training, in order.
        validation: the first variant of each light image that is kept back, its middle 512x512 pixels.
        too_small: how many pairs are left out because they are smaller than the crop.
        root_hash: of the data set.
        origin: how the data set was made, by its manifest: `profile`, `profile_fingerprint`, `model`,
            `fingerprint`, and `dimmagen`, the version.
        pairs: the data set, with the columns that its division needs.
        sampled: the rows of at most 128 pairs that are trained on.
    """

    shards: list[TrainingShard]
    validation: list[RealPair]
    too_small: int
    root_hash: str
    origin: dict[str, str]
    pairs: PairSet
    sampled: list[dict]

    def lightness_examples(self) -> Iterator[tuple[np.ndarray, float]]:
        """Some dark images that are trained on, uint8 (H, W, 3), and the means of their light images.

        Raises:
            DimmagenError: a shard is missing or damaged.
        """
        for row in self.sampled:
            yield codec.decode_rgb8(self.pairs.data(row, "dark"))[0], row["lightness_before"]


def usual_validation_photos(photos: int) -> int:
    """How many light images of a data set are kept back for validation, unless a number is given.

    Example:
        >>> [usual_validation_photos(photos) for photos in (1, 5, 40, 64, 15000)]
        [1, 1, 10, 16, 16]
    """
    return max(1, min(VALIDATION_PHOTOS, photos // 4))


def open_shards(path: str, validation_photos: int | None, side: int) -> OpenShards:
    """Open a finished pair data set for training.

    Some light images, with all their variants, are kept for validation: those that a hash of their key puts
    first.

    Args:
        path: folder or fsspec URL.
        validation_photos: how many light images are kept back; None for :func:`usual_validation_photos`.
        side: of the crops, pixels; smaller images are left out, and counted.

    Raises:
        DimmagenError: the data set is not finished, of another schema, or damaged.
        UsageError: no image is as large as the crop, or too few light images are left for training.
    """
    manifest = Manifest.load(path)
    tables = list(pair_tables(path, manifest, _COLUMNS))  # there may be millions of rows
    fitting = [table.filter(_fits(table, side)) for table in tables]
    images = {key for table in fitting for key in table["light_key"].to_pylist()}
    if not images:
        raise UsageError(
            f"all images of {path} are too small for crops of {side}",
            "give a smaller `crop`",
            code="too-small",
            path=path,
            crop=side,
        )
    if validation_photos is None:
        validation_photos = usual_validation_photos(len(images))
    if validation_photos >= len(images):
        raise UsageError(
            f"{path} has {pluralize(len(images), 'light image')}: {validation_photos} for validation leave "
            "none to train on",
            "give fewer `validation_photos`, or a folder of real pairs to `validate`",
            code="out-of-range",
            parameter="validation_photos",
            value=validation_photos,
            light_images=len(images),
        )
    order = heapq.nsmallest(
        validation_photos, images, key=lambda key: keyed_random.rank(0, key, "validation")
    )
    held_out, trained_on = set(order), images - set(order)
    shards: list[TrainingShard] = []
    kept_back: list[dict] = []
    for entry, table in zip(manifest.shards, tables, strict=True):
        kept_back += [row for row in _rows(table) if row["light_key"] in held_out]
        keys = frozenset(row["key"] for row in _rows(table) if row["light_key"] in trained_on)
        if keys:
            shards.append(TrainingShard(storage.join(path, entry.name), len(table), keys))
    first: dict[str, dict] = {}  # the lowest variant of each light image that is kept back
    for row in sorted(kept_back, key=lambda one: one["variant"]):
        first.setdefault(row["light_key"], row)
    pairs = PairSet(path, manifest, pa.concat_tables(tables))
    validation = [_validation_pair(pairs, row) for row in whole_rows(path, manifest, first.values())]
    sampled = heapq.nsmallest(
        LIGHTNESS_IMAGES,
        (row for table in tables for row in _rows(table) if row["light_key"] in trained_on),
        key=lambda one: keyed_random.rank(0, one["key"], "lightness"),
    )
    examples = whole_rows(path, manifest, sampled)
    left_out = sum(map(len, tables)) - sum(map(len, fitting))
    return OpenShards(shards, validation, left_out, manifest.root_hash, _origin(manifest), pairs, examples)


def _fits(table: pa.Table, side: int) -> pa.ChunkedArray:
    """Whether each image is at least that large."""
    return pc.greater_equal(pc.min_element_wise(table["width"], table["height"]), side)


def _rows(table: pa.Table) -> list[dict]:
    return table.select(["key", "light_key", "variant", "shard"]).to_pylist()


def _origin(manifest: Manifest) -> dict[str, str]:
    versions = manifest.environment.get("versions")
    return {
        "profile": str(manifest.settings["profile"]),
        "profile_fingerprint": str(manifest.settings.get("profile_fingerprint", "")),
        "model": str(manifest.settings["model"]),
        "fingerprint": manifest.fingerprint,
        "dimmagen": str(versions.get("dimmagen", "")) if isinstance(versions, dict) else "",
    }


def _validation_pair(pairs: PairSet, row: dict) -> RealPair:
    dark, light = pairs.images(row)
    return cut_middle(RealPair(row["key"], dark, light, row["dark_sha256"], row["light_sha256"]))


def cut_middle(pair: RealPair) -> RealPair:
    """The middle of a pair, at most 512x512 pixels."""
    dark, light = (center_crop(image, VALIDATION_SIDE) for image in (pair.dark, pair.light))
    return replace(pair, dark=dark, light=light)
