"""The labels of one light image as a sample holds them, whatever format they were read from."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dimmagen.core import hashing
from dimmagen.core.errors import DimmagenError
from dimmagen.images.codec import read_orientation
from dimmagen.images.orientation import Orientation
from dimmagen.sources.archives import read_entry
from dimmagen.sources.labels.annotations import Annotation, ImageLabels, broken
from dimmagen.sources.labels.geometry import Move, MoveError, move_for, moved
from dimmagen.sources.light_image import LightImageRef

JSON_MEMBER, MASK_MEMBER = "labels.json", "mask.png"


@dataclass(frozen=True, slots=True)
class LabelRecord:
    """What a worker needs to write the labels of one light image.

    Attributes:
        data: the content of the file, or JSON from which it is made.
        sha256: of what decides the content.
        objects: number of objects; 1 for a mask.
        left_out: number of objects of which nothing is left inside the light image.
    """

    data: bytes
    sha256: str
    objects: int = 0
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class LabelledLight:
    """A light image for which labels are moved.

    Attributes:
        ref: the light image.
        photo_size: (width, height) of the upright photo.
        as_stored: whether labels are for photos as they are stored, not upright.
    """

    ref: LightImageRef
    photo_size: tuple[int, int]
    as_stored: bool

    def move(self, label_size: tuple[int, int] | None) -> Move:
        """How labels move from the photo into the light image.

        Args:
            label_size: (width, height) of the image that they are for; None if the format does not say it.

        Raises:
            DimmagenError: they cannot be moved.
        """
        ref = self.ref
        light_size = ref.width, ref.height
        try:
            return move_for(
                label_size,
                self.photo_size,
                light_size,
                ref.transform,
                self._orientation,
                as_stored=self.as_stored,
            )
        except MoveError as error:
            raise self.refused(str(error)) from error

    def refused(self, why: str) -> DimmagenError:
        """The error of labels that cannot be moved."""
        return DimmagenError(
            f"the labels of {self.ref.name} cannot be used: {why}",
            "give the labels of these photos, or leave the image out",
            code="other-settings",
            name=self.ref.name,
        )

    def _orientation(self) -> Orientation:
        locator = json.loads(self.ref.locator)
        if locator["stored"]:
            raise MoveError(
                "its labels are for the photo as it is stored, and a MixHQ has only the upright one"
            )
        return read_orientation(read_entry(locator))


class LabelSource(ABC):
    """Labels in one format; a class of this kind takes a path.

    Attributes:
        format: name in :data:`.index.LABEL_FORMATS`.
        member: ending of their file in a sample.
        licenses: of the photos, as the labels state them.
    """

    format: str
    member: str = JSON_MEMBER
    licenses: Sequence[Any] = ()

    @property
    def categories(self) -> Sequence[dict[str, Any]]:
        """{"id": ..., "name": ..., ...} each; complete once all labels were read."""
        return ()

    @abstractmethod
    def names(self) -> Iterator[str]:
        """Names of images or of label files, one per image that has labels."""

    def size(self, name: str) -> tuple[int, int] | None:
        """(width, height) of the image that labels are for; None if the format does not say it."""
        return None

    @abstractmethod
    def record(self, name: str | None, light: LabelledLight) -> LabelRecord:
        """The labels of one light image.

        Args:
            name: of them; None if it has no labels.
            light: the light image.

        Raises:
            UsageError, DimmagenError: they are missing or damaged, or cannot be moved.
        """


class AnnotationSource(LabelSource):
    """Objects with boxes, polygons, masks or keypoints, which are moved with the pixels."""

    @abstractmethod
    def read(self, name: str) -> ImageLabels:
        """The labels of one image."""

    def size(self, name: str) -> tuple[int, int] | None:
        return self.read(name).size

    def record(self, name: str | None, light: LabelledLight) -> LabelRecord:
        found = ImageLabels([]) if name is None else self.read(name)
        move = light.move(found.size)
        if found.width is None:
            in_pixels = [_in_pixels(one, light.photo_size) for one in found.annotations]
            found = replace(found, annotations=in_pixels)
        try:
            after = [moved(one, move) for one in found.annotations]
        except ValueError as error:
            raise broken(f"the labels of {light.ref.name}", str(error)) from error
        kept = [one for one in after if one is not None]
        document = {
            "format": self.format,
            "image_id": found.image_id,
            "file_name": found.file_name,
            "width": light.ref.width,
            "height": light.ref.height,
            "left_out": len(after) - len(kept),
            "annotations": kept,
            "other": json.dumps(found.other, sort_keys=True),
        }
        data = document_bytes(document)
        return LabelRecord(data, hashing.sha256(data), len(kept), len(after) - len(kept))


def document_bytes(document: Any) -> bytes:
    """A JSON document as a sample holds it."""
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()


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
