"""The labels of a run: matched with its light images, moved as they were, on disk in their order."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from dimmagen.core import hashing, storage
from dimmagen.core.disk_list import DiskList
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.core.registry import unknown_name
from dimmagen.core.text import pluralize
from dimmagen.images.codec import read_orientation
from dimmagen.images.orientation import Orientation
from dimmagen.sources.archives import read_entry
from dimmagen.sources.labels.annotations import Annotation, ImageLabels, broken
from dimmagen.sources.labels.coco import CocoLabels
from dimmagen.sources.labels.files import JsonLabels
from dimmagen.sources.labels.geometry import Move, MoveError, move_for, moved
from dimmagen.sources.labels.masks import MaskLabels, moved_mask
from dimmagen.sources.labels.matching import LabelMatcher
from dimmagen.sources.labels.voc import VocLabels
from dimmagen.sources.labels.yolo import YoloLabels
from dimmagen.sources.light_image import LightImageRef
from dimmagen.sources.light_images import LightImages

_LOG = logging.getLogger(__name__)
JSON_MEMBER, MASK_MEMBER = "labels.json", "mask.png"


class LabelSource(Protocol):
    """Labels in one format; a class of this kind takes a path.

    Attributes:
        format: name in :data:`LABEL_FORMATS`.
        categories: {"id": ..., "name": ..., ...} each; complete once all labels were read.
    """

    format: str
    categories: Sequence[dict[str, Any]]

    def names(self) -> Iterator[str]:
        """Names of images or of label files, one per image that has labels."""
        ...

    def read(self, name: str) -> ImageLabels | dict[str, Any]:
        """The labels of one image, or an object that is stored as it is."""
        ...


LABEL_FORMATS: dict[str, Callable[[str], Any]] = {
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
    record = partial(
        _mask_record if isinstance(source, MaskLabels) else _record,
        source,
        as_stored=_are_of_stored_photos(source, matcher, lights),
    )
    records, digest = DiskList(), hashlib.sha256()
    without, objects, left_out, example = 0, 0, 0, ""
    for ref, size in zip(lights, lights.photo_sizes(), strict=True):
        found = matcher.find(ref)
        if found is None:
            without, example = without + 1, example or ref.name
        made = record(found, ref, size)
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
    if licenses := getattr(source, "licenses", None):
        settings["licenses"] = licenses
    return Labels(MASK_MEMBER if isinstance(source, MaskLabels) else JSON_MEMBER, settings, counts, records)


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


@dataclass(frozen=True, slots=True)
class _Record:
    data: bytes
    sha256: str
    objects: int = 0
    left_out: int = 0


def _are_of_stored_photos(source: Any, matcher: LabelMatcher, lights: LightImages) -> bool:
    """Whether labels are for photos as they are stored, by those that EXIF data turn on their side.

    The sizes of labels do not say it of a photo that is square, upside down or mirrored: its labels are taken
    for what those of the others are for, or else for the upright photo, with a warning.
    """
    stored = upright = unknown = 0
    example = ""
    for ref, photo_size in zip(lights, lights.photo_sizes(), strict=True):
        if "exif" not in ref.transform.split("+") or (name := matcher.best(ref)) is None:
            continue
        if (label_size := _label_size(source, name)) is None:
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


def _label_size(source: Any, name: str) -> tuple[int, int] | None:
    if isinstance(source, MaskLabels):
        return source.size(name)
    found = source.read(name)
    if not isinstance(found, ImageLabels) or found.width is None or found.height is None:
        return None
    return found.width, found.height


def _is_transposed(ref: LightImageRef) -> bool | None:
    """Whether a photo is turned on its side; None for one of a MixHQ, which has only the upright one."""
    locator = json.loads(ref.locator)
    return None if locator["stored"] else read_orientation(read_entry(locator)).is_transposed


def _record(
    source: LabelSource,
    name: str | None,
    ref: LightImageRef,
    photo_size: tuple[int, int],
    as_stored: bool,
) -> _Record:
    """The labels of one light image as the file that is written."""
    nothing: ImageLabels | dict[str, Any] = {} if source.format == "json" else ImageLabels([])
    found = nothing if name is None else source.read(name)
    if not isinstance(found, ImageLabels):
        if found and photo_size != (ref.width, ref.height):
            raise _cannot_move(ref, "its source resizes it, and labels of any content cannot be moved")
        data = json.dumps(found, separators=(",", ":"), allow_nan=False).encode()
        return _Record(data, hashing.sha256(data))
    move = _move(ref, photo_size, found, as_stored)
    if found.width is None:
        found = replace(found, annotations=[_in_pixels(one, photo_size) for one in found.annotations])
    try:
        after = [moved(one, move) for one in found.annotations]
    except ValueError as error:
        raise broken(f"the labels of {ref.name}", str(error)) from error
    kept = [one for one in after if one is not None]
    document = {
        "format": source.format,
        "image_id": found.image_id,
        "file_name": found.file_name,
        "width": ref.width,
        "height": ref.height,
        "left_out": len(after) - len(kept),
        "annotations": kept,
        "other": json.dumps(found.other, sort_keys=True),
    }
    data = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    return _Record(data, hashing.sha256(data), len(kept), len(after) - len(kept))


def _mask_record(
    source: MaskLabels,
    name: str | None,
    ref: LightImageRef,
    photo_size: tuple[int, int],
    as_stored: bool,
) -> _Record:
    """Where the mask of one light image is, and how it is moved."""
    if name is None:
        raise UsageError(
            f"{ref.name} has no mask in {source.files.path}",
            "give a mask for each image: no value is right for all that is not labelled",
            code="missing-path",
            parameter="labels",
            name=ref.name,
        )
    width, height = source.size(name)
    move = _move(ref, photo_size, ImageLabels([], width, height), as_stored)
    content = {
        "locator": source.files.locator(name),
        "sha256": hashing.sha256(source.files.data(name)),
        "move": move.record(),
        "where": f"{source.files.path}: {name}",
    }
    what = json.dumps([content["sha256"], content["move"]])
    return _Record(json.dumps(content).encode(), hashing.sha256(what.encode()), objects=1)


def _move(ref: LightImageRef, photo_size: tuple[int, int], found: ImageLabels, as_stored: bool) -> Move:
    size = None if found.width is None or found.height is None else (found.width, found.height)
    light_size = ref.width, ref.height
    try:
        return move_for(
            size, photo_size, light_size, ref.transform, partial(_orientation, ref), as_stored=as_stored
        )
    except MoveError as error:
        raise _cannot_move(ref, str(error)) from error


def _cannot_move(ref: LightImageRef, why: str) -> DimmagenError:
    return DimmagenError(
        f"the labels of {ref.name} cannot be used: {why}",
        "give the labels of these photos, or leave the image out",
        code="other-settings",
        name=ref.name,
    )


def _orientation(ref: LightImageRef) -> Orientation:
    locator = json.loads(ref.locator)
    if locator["stored"]:
        raise MoveError("its labels are for the photo as it is stored, and a MixHQ has only the upright one")
    return read_orientation(read_entry(locator))


def _in_pixels(one: Annotation, size: tuple[int, int]) -> Annotation:
    """An annotation in fractions of an image, in its pixels."""
    width, height = size
    x, y, box_width, box_height = one["bbox"]
    points = [value * (width, height, 1)[at % 3] for at, value in enumerate(one["keypoints"])]
    return {
        **one,
        "bbox": [x * width, y * height, box_width * width, box_height * height],
        "area": one["area"] * width * height,
        "polygons": [
            [value * (width, height)[at % 2] for at, value in enumerate(shape)] for shape in one["polygons"]
        ],
        "keypoints": points,
    }
