"""The labels of a run: matched with its light images, moved as they were, on disk in their order."""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dimmagen.core import hashing, storage
from dimmagen.core.disk_list import DiskList
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.registry import unknown_name
from dimmagen.core.text import pluralize
from dimmagen.images.codec import read_orientation
from dimmagen.sources.archives import read_entry
from dimmagen.sources.labels.coco import CocoLabels
from dimmagen.sources.labels.documents import JsonLabels
from dimmagen.sources.labels.geometry import Move
from dimmagen.sources.labels.masks import MaskLabels, moved_mask
from dimmagen.sources.labels.matching import LabelMatcher
from dimmagen.sources.labels.records import JSON_MEMBER, LabelledLight, LabelSource
from dimmagen.sources.labels.voc import VocLabels
from dimmagen.sources.labels.yolo import YoloLabels
from dimmagen.sources.light_image import LightImageRef
from dimmagen.sources.light_images import LightImages

_LOG = logging.getLogger(__name__)

LABEL_FORMATS: dict[str, Callable[[str], LabelSource]] = {
    "coco": CocoLabels,
    "yolo": YoloLabels,
    "voc": VocLabels,
    "masks": MaskLabels,
    "json": JsonLabels,
}


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """What was matched.

    Attributes:
        images: light images.
        without: of these, the ones that the labels do not name; `example` is the name of one.
        unused: labels of images that are not among the light images; `unused_example` is the name of one.
        annotations: objects in all images.
        left_out: objects of which nothing is left inside their light image.
    """

    images: int
    without: int
    unused: int
    annotations: int
    left_out: int
    example: str = ""
    unused_example: str = ""


class Labels:
    """The labels of light images, in their canonical order, on disk.

    Attributes:
        member: ending of their file in a sample: `labels.json` or `mask.png`.
        settings: what a manifest records: format, categories, and the SHA-256 of all labels.
        counts: what was matched.
    """

    def __init__(self, member: str, settings: dict[str, Any], counts: LabelCounts, records: DiskList) -> None:
        self.member, self.settings, self.counts = member, settings, counts
        self._records = records

    def records(self, start: int, stop: int) -> tuple[bytes, ...]:
        """What a worker needs to write the labels of the light images from `start` to `stop`."""
        return tuple(self._records[index] for index in range(start, stop))


def parse_labels(spec: str) -> tuple[str, str]:
    """The format and the path of labels, before photos are scanned for them.

    Args:
        spec: `FORMAT=PATH`, with a name of :data:`LABEL_FORMATS`.

    Raises:
        UsageError: it has another form, the format is unknown, or there is nothing at the path.
    """
    name, separator, path = spec.partition("=")
    if not separator or not path:
        raise UsageError(
            f"`labels` is {spec!r}",
            f"give FORMAT=PATH with one of {', '.join(LABEL_FORMATS)}",
            code="usage",
            parameter="labels",
        )
    if name not in LABEL_FORMATS:
        raise unknown_name("label format", name, LABEL_FORMATS)
    if not storage.exists(path):
        raise UsageError(f"there are no labels at {path}", "check the path", code="missing-path", path=path)
    return name, path


def open_labels(spec: str, lights: LightImages) -> Labels:
    """Match and move the labels of light images.

    Args:
        spec: as for :func:`parse_labels`.
        lights: the light images of the run.

    Raises:
        UsageError: as :func:`parse_labels`; or no image has labels there, or labels fit several images.
        DimmagenError: labels are damaged, are not of these images, or cannot be moved.
    """
    name, path = parse_labels(spec)
    source = LABEL_FORMATS[name](path)
    matcher = LabelMatcher(list(source.names()), path)
    as_stored = _are_of_stored_photos(source, matcher, lights)
    records, digest = DiskList(), hashlib.sha256()
    without, objects, left_out, example = 0, 0, 0, ""
    for ref, size in zip(lights, lights.photo_sizes(), strict=True):
        found = matcher.find(ref)
        if found is None:
            without, example = without + 1, example or ref.name
        made = source.record(found, LabelledLight(ref, size, as_stored))
        records.append(made.data)
        digest.update(f"{ref.key} {made.sha256}\n".encode())
        objects, left_out = objects + made.objects, left_out + made.left_out
    unused = matcher.unused()
    if without == len(records):
        raise UsageError(
            f"none of the {without} images has labels in {path}, which is for {unused[0]!r} and others, "
            f"not for {example!r}",
            "give the labels of these images",
            code="no-match",
            parameter="labels",
        )
    counts = LabelCounts(
        len(records), without, len(unused), objects, left_out, example, unused[0] if unused else ""
    )
    settings = {"format": name, "categories": list(source.categories), "sha256": digest.hexdigest()}
    if source.licenses:
        settings["licenses"] = source.licenses
    return Labels(source.member, settings, counts, records)


def label_file(record: bytes, member: str) -> bytes:
    """The file with the labels of one light image, from :meth:`Labels.records`; in any process.

    Raises:
        DimmagenError: a mask is gone, or has changed since the run was planned.
    """
    if member == JSON_MEMBER:
        return record
    mask = json.loads(record)
    data = read_entry(mask["locator"])
    if hashing.sha256(data) != mask["sha256"]:
        raise DimmagenError(
            f"{mask['where']} has changed since the run was planned",
            "run the command again from the start",
            code="source-changed",
            name=mask["where"],
        )
    return moved_mask(data, Move.from_record(mask["move"]), mask["where"])


def _are_of_stored_photos(source: LabelSource, matcher: LabelMatcher, lights: LightImages) -> bool:
    """Whether labels are for photos as they are stored, by those that EXIF data turn on their side.

    The sizes of labels do not say it of a photo that is square, upside down or mirrored: its labels are taken
    for what those of the others are for, or else for the upright photo, with a warning.
    """
    stored = upright = unknown = 0
    example = ""
    for ref, photo_size in zip(lights, lights.photo_sizes(), strict=True):
        if "exif" not in ref.transform.split("+") or (name := matcher.best(ref)) is None:
            continue
        if (label_size := source.size(name)) is None:
            return False  # a format without sizes, whose labels are for upright photos
        if label_size == photo_size[::-1] != photo_size:
            stored += 1
        elif label_size == photo_size and not (upright and not stored):
            is_square = photo_size[0] == photo_size[1]
            is_on_side = None if is_square else _is_transposed(ref)
            if is_on_side:
                upright += 1
            elif is_square or is_on_side is False:  # and not None, of which nothing is known
                unknown, example = unknown + 1, example or ref.name
    if unknown and bool(stored) == bool(upright):
        _LOG.warning(
            "sizes of labels do not say whether they are for the photo as its EXIF data turn it: those of "
            "%s, such as %s, are taken for the upright photo",
            pluralize(unknown, "photo"),
            example,
        )
    return bool(stored and not upright)


def _is_transposed(ref: LightImageRef) -> bool | None:
    """Whether a photo is turned on its side; None for one of a MixHQ, which has only the upright one."""
    locator = json.loads(ref.locator)
    return None if locator["stored"] else read_orientation(read_entry(locator)).is_transposed
