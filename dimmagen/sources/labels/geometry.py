"""Labels moved as pixels were moved on the way from a photo to its light image."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from dimmagen.images.orientation import UPRIGHT, Orientation
from dimmagen.sources.labels import rle
from dimmagen.sources.labels.annotations import Annotation
from dimmagen.sources.photo_selection import SIZE_STEP, resized_size

_EDGE = 1.0  # pixels by which a box may exceed its image before it is cut: tools round


@dataclass(frozen=True, slots=True)
class ScaledCrop:
    """Scaling, then cropping: (width, height) after scaling, (left, top) of the crop, and its size."""

    scaled: tuple[int, int]
    offset: tuple[int, int]
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Move:
    """The way of a pixel from the image that labels are for to the light image.

    Attributes:
        width, height: of the image that the labels are for, pixels.
        upright: how that image is made upright.
        steps: what follows; none where the size stays.
    """

    width: int
    height: int
    upright: Orientation = UPRIGHT
    steps: tuple[ScaledCrop, ...] = ()

    @property
    def stays(self) -> bool:
        """Whether every pixel stays where it is."""
        return self.upright == UPRIGHT and not self.steps

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the light image."""
        return self.steps[-1].size if self.steps else self._turned_size

    @property
    def area_scale(self) -> float:
        """Factor of an area that is not cropped."""
        factor = 1.0
        for before, step in self._with_sizes():
            factor *= step.scaled[0] * step.scaled[1] / (before[0] * before[1])
        return factor

    @property
    def _turned_size(self) -> tuple[int, int]:
        return (self.height, self.width) if self.upright.is_transposed else (self.width, self.height)

    def _with_sizes(self) -> Iterator[tuple[tuple[int, int], ScaledCrop]]:
        """Each step with the size before it."""
        before = self._turned_size
        for step in self.steps:
            yield before, step
            before = step.size

    def points(self, xy: np.ndarray) -> np.ndarray:
        """Points, float (N, 2), in continuous pixel coordinates, in the light image."""
        is_transposed, down, across = self.upright
        turned = xy[:, ::-1] if is_transposed else xy
        width, height = self._turned_size
        x = width - turned[:, 0] if across < 0 else turned[:, 0]
        y = height - turned[:, 1] if down < 0 else turned[:, 1]
        moved = np.stack([x, y], 1)
        for before, step in self._with_sizes():
            moved = moved * (np.array(step.scaled) / np.array(before)) - np.array(step.offset)
        return moved

    def mask(self, mask: np.ndarray) -> np.ndarray:
        """A mask (height, width, ...) in the light image, by the nearest pixel."""
        turned = self.upright.apply(mask)
        for step in self.steps:
            rows = _nearest(turned.shape[0], step.scaled[1])[step.offset[1] :][: step.size[1]]
            columns = _nearest(turned.shape[1], step.scaled[0])[step.offset[0] :][: step.size[0]]
            turned = turned[rows][:, columns]
        return np.ascontiguousarray(turned)

    def record(self) -> dict[str, Any]:
        """The move as JSON can store it."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """The move of a record."""
        steps = (
            ScaledCrop(*(tuple(step[name]) for name in ("scaled", "offset", "size")))
            for step in record["steps"]
        )
        return cls(record["width"], record["height"], Orientation(*record["upright"]), tuple(steps))


class MoveError(ValueError):
    """Labels cannot be moved, for the reason in its text."""


def move_for(
    label_size: tuple[int, int] | None,
    photo_size: tuple[int, int],
    light_size: tuple[int, int],
    transform: str,
    orientation: Callable[[], Orientation],
    *,
    as_stored: bool = False,
) -> Move:
    """The move of the labels of one image.

    Args:
        label_size: (width, height) that the labels are for; None means the upright photo.
        photo_size: (width, height) of the upright photo.
        light_size: of the light image.
        transform: names of the steps from the photo to the light image.
        orientation: a function that reads how the photo is turned upright; called only if the labels are, or
            may be, for the photo as it is stored.
        as_stored: labels whose size does not say whether they are for the stored or the upright photo are for
            the stored one.

    Raises:
        MoveError: the sizes do not fit, or a step is unknown.
    """
    width, height = label_size or photo_size
    upright = UPRIGHT
    is_turned = "exif" in transform.split("+")
    if (width, height) != photo_size:
        if not is_turned or (height, width) != photo_size:
            raise MoveError(
                f"its labels are for {width}x{height} pixels, the photo has {photo_size[0]}x{photo_size[1]}"
            )
        upright = orientation()
    elif is_turned and as_stored and label_size:
        turn = orientation()
        upright = turn if width == height or not turn.is_transposed else UPRIGHT
    steps = tuple(_size_steps(transform.split("+"), photo_size))
    if (steps[-1].size if steps else photo_size) != light_size:
        raise MoveError(f"its source changes it by {transform!r}, which labels cannot follow")
    return Move(width, height, upright, steps)


def _size_steps(names: Sequence[str], size: tuple[int, int]) -> Iterator[ScaledCrop]:
    """The steps of a transform that change the size of an image of (width, height)."""
    width, height = size
    for match in filter(None, map(SIZE_STEP.fullmatch, names)):
        kind, side = match[1], int(match[2])
        if kind != "crop":
            height, width = resized_size(height, width, side)
        scaled = (width, height)
        if kind != "short":  # `reduce` is both
            width, height = min(width, side), min(height, side)
        offset = ((scaled[0] - width) // 2, (scaled[1] - height) // 2)
        yield ScaledCrop(scaled, offset, (width, height))


def moved(one: Annotation, move: Move) -> Annotation | None:
    """An annotation in the light image; None if nothing of its box is inside.

    Boxes, polygons and masks are cut at the edge, where they exceed it by more than a pixel; keypoints
    outside become unlabelled (0, 0, 0). The area follows the polygons or the mask, or else the box.

    Raises:
        ValueError: a run-length mask is not one of this image.
    """
    x, y, width, height = one["bbox"]
    corners = move.points(np.array([[x, y], [x + width, y + height]]))
    low, high = corners.min(0), corners.max(0)
    size = np.array(move.size, float)
    touches = (low <= size) & (high >= 0) if not width * height else (low < size) & (high > 0)
    if not touches.all():
        return None
    cut = bool((low < -_EDGE).any() or (high > size + _EDGE).any())
    if move.stays and not cut:
        return one
    inner_low, inner_high = (np.clip(edge, 0, size) for edge in (low, high)) if cut else (low, high)
    box = [*inner_low.tolist(), *(inner_high - inner_low).tolist()]
    area = one["area"] * move.area_scale
    polygons = [_moved_polygon(points, move, cut) for points in one["polygons"]]
    polygons = [points for points in polygons if len(points) >= 6]
    mask = _moved_rle(one["rle"], move)
    if cut:
        if one["rle"]["counts"]:
            area = float(rle.decode(rle.from_text(mask["counts"]), *mask["size"]).sum())
        elif one["polygons"]:
            area = sum(_area(points) for points in polygons)
        else:
            whole = float(np.prod(high - low))
            area *= float(np.prod(inner_high - inner_low)) / whole if whole else 0.0
    keypoints = _moved_keypoints(one["keypoints"], move)
    visible = sum(value > 0 for value in keypoints[2::3])
    return {
        **one,
        "bbox": [float(value) for value in box],
        "area": float(area),
        "polygons": polygons,
        "rle": mask,
        "keypoints": keypoints,
        "num_keypoints": visible if keypoints else one["num_keypoints"],
    }


def _moved_polygon(points: Sequence[float], move: Move, cut: bool) -> list[float]:
    xy = move.points(np.array(points, float).reshape(-1, 2))
    return [float(value) for value in (_clipped(xy, move.size) if cut else xy).ravel()]


def _clipped(xy: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A polygon cut at the edges of an image, by Sutherland and Hodgman (1974)."""
    for axis, limit, sign in ((0, 0.0, 1), (0, float(size[0]), -1), (1, 0.0, 1), (1, float(size[1]), -1)):
        kept: list[np.ndarray] = []
        for before, here in zip(np.roll(xy, 1, 0), xy, strict=True):
            was_inside, is_inside = sign * (before[axis] - limit) >= 0, sign * (here[axis] - limit) >= 0
            if was_inside != is_inside:
                part = (limit - before[axis]) / (here[axis] - before[axis])
                kept.append(before + part * (here - before))
            if is_inside:
                kept.append(here)
        xy = np.array(kept).reshape(-1, 2)
    return xy


def _area(points: Sequence[float]) -> float:
    """Area of a polygon, by the shoelace formula."""
    x, y = np.array(points).reshape(-1, 2).T
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)


def _moved_rle(mask: dict[str, Any], move: Move) -> dict[str, Any]:
    if not mask["counts"]:
        return mask
    if mask["size"] != [move.height, move.width]:
        raise ValueError(f"a run-length mask is of {mask['size']}, not {[move.height, move.width]}")
    pixels = move.mask(rle.decode(rle.from_text(mask["counts"]), *mask["size"]))
    return {"size": list(pixels.shape), "counts": rle.to_text(rle.encode(pixels))}


def _moved_keypoints(points: Sequence[float], move: Move) -> list[float]:
    if not points:
        return []
    triples = np.array(points, float).reshape(-1, 3)
    xy = move.points(triples[:, :2])
    inside = ((xy >= 0) & (xy <= np.array(move.size))).all(1) & (triples[:, 2] > 0)
    out = np.where(inside[:, None], np.concatenate([xy, triples[:, 2:]], 1), 0.0)
    return [float(value) for value in out.ravel()]


def _nearest(length: int, scaled: int) -> np.ndarray:
    """Indices of the nearest of `length` pixels for each of `scaled` ones."""
    return np.minimum(((np.arange(scaled) + 0.5) * length / scaled).astype(np.int64), length - 1)
