"""The labels of one image in one form, whatever format they were read from: the same keys and types."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dimmagen.core.errors import DimmagenError

Annotation = dict[str, Any]
"""One object, with the keys of :data:`ANNOTATION_KEYS`.

`bbox` is [x, y, width, height] and `area` is in pixels of the image, with (0, 0) its top left corner;
`polygons` are lists [x, y, x, y, ...]; `rle` is a mask as COCO's compressed counts (text, empty for none) of
`size` [height, width]; `keypoints` is [x, y, v, ...]. `other` is JSON text of all that
the format has besides.
"""

ANNOTATION_KEYS = {
    "id": int,
    "category_id": int,
    "category": str,
    "bbox": list,
    "area": float,
    "iscrowd": int,
    "polygons": list,
    "rle": dict,
    "keypoints": list,
    "num_keypoints": int,
    "other": str,
}


@dataclass(frozen=True, slots=True)
class ImageLabels:
    """The labels of one image as they were read.

    Attributes:
        annotations: objects, in the order of their file.
        width, height: of the image that they are for, pixels; None if the format does not say it.
        image_id: number of the image in its format; 0 if it has none.
        file_name: of the image, as the format names it.
        other: all that the format says about the image besides.
    """

    annotations: Sequence[Annotation]
    width: int | None = None
    height: int | None = None
    image_id: int = 0
    file_name: str = ""
    other: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height), if both are known."""
        return None if self.width is None or self.height is None else (self.width, self.height)


def annotation(
    where: str,
    bbox: Sequence[float],
    *,
    number: int = 0,
    category_id: int = 0,
    category: str = "",
    area: float | None = None,
    iscrowd: int = 0,
    polygons: Sequence[Sequence[float]] = (),
    rle: Mapping[str, Any] | None = None,
    keypoints: Sequence[float] = (),
    num_keypoints: int | None = None,
    other: Mapping[str, Any] | None = None,
) -> Annotation:
    """An annotation with all its keys, checked.

    Args:
        where: names it in messages.

    Raises:
        DimmagenError: a number is not finite, or a length is negative or odd.
    """
    box = _numbers(where, bbox, "bbox")
    if len(box) != 4 or box[2] < 0 or box[3] < 0:
        raise broken(where, f"its bbox is {list(bbox)}, not [x, y, width, height]")
    shapes = [_numbers(where, one, "segmentation") for one in polygons]
    if any(len(one) < 6 or len(one) % 2 for one in shapes):
        raise broken(where, "a polygon has not three or more points x, y")
    points = _numbers(where, keypoints, "keypoints")
    if len(points) % 3:
        raise broken(where, "its keypoints are not triples x, y, v")
    visible = sum(value > 0 for value in points[2::3])
    return {
        "id": whole_number(number),
        "category_id": whole_number(category_id),
        "category": str(category),
        "bbox": box,
        "area": box[2] * box[3] if area is None else _numbers(where, [area], "area")[0],
        "iscrowd": whole_number(iscrowd),
        "polygons": shapes,
        "rle": dict(rle) if rle else {"size": [0, 0], "counts": ""},
        "keypoints": points,
        "num_keypoints": visible if num_keypoints is None else whole_number(num_keypoints),
        "other": json.dumps(other or {}, sort_keys=True),
    }


def whole_number(value: Any) -> int:
    """The integer that a number or its text says, also as `3.0`, as programs write that keep all as floats.

    Raises:
        ValueError, TypeError: it is not such a number.
    """
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not number.is_integer():
        raise ValueError(f"{value} is not a whole number")
    return int(number) if abs(number) < 2**53 else int(value)  # a float holds no larger one exactly


def broken(where: str, what: str) -> DimmagenError:
    """The error of labels that cannot be used."""
    return DimmagenError(f"{where}: {what}", "correct the labels", code="wrong-format", path=where)


def _numbers(where: str, values: Any, name: str) -> list[float]:
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        raise broken(where, f"its {name} is not a list of numbers") from None
    if not all(map(math.isfinite, numbers)):
        raise broken(where, f"its {name} has a value that is not finite")
    return numbers
