"""YOLO's text files: a line `class x y width height` for each box, as fractions of the image.

Also `class x1 y1 x2 y2 x3 y3 ...` for a polygon, and `class x y width height kx ky v ...` for keypoints, if
`data.yaml` has a `kpt_shape`.
"""

import logging
import math
import posixpath
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from dimmagen.sources.labels.annotations import Annotation, ImageLabels, annotation, broken, whole_number
from dimmagen.sources.labels.files import LabelFiles
from dimmagen.sources.labels.records import AnnotationSource

_LOG = logging.getLogger(__name__)
_SLACK = 0.5  # of the image, by which a coordinate may lie outside: more is in pixels, or no coordinate
_LISTS = ("classes.txt", "train.txt", "val.txt", "test.txt", "obj.names", "README.txt")


class YoloLabels(AnnotationSource):
    """The labels of a folder such as `labels/`, with the class names of a `data.yaml` or `classes.txt` in it.

    Args:
        path: of the folder, or of one above it with its `data.yaml`.

    Raises:
        UsageError: there is no such folder, or no label file in it.
        DimmagenError: `data.yaml` cannot be used.
    """

    format = "yolo"

    def __init__(self, path: str) -> None:
        self._files = LabelFiles(path, (".txt",), lambda name: posixpath.basename(name) not in _LISTS)
        names, shape = self._description()
        self._names, self._keypoints = names, shape
        if not names:
            _LOG.warning("no data.yaml or classes.txt in %s names the classes: they get their numbers", path)
        self._seen: dict[int, str] = dict(names)

    @property
    def categories(self) -> list[dict[str, Any]]:
        """The classes by their number, with names where they are known."""
        shape = {"keypoint_shape": list(self._keypoints)} if self._keypoints else {}
        return [{"id": number, "name": name, **shape} for number, name in sorted(self._seen.items())]

    def names(self) -> Iterator[str]:
        return self._files.names()

    def read(self, name: str) -> ImageLabels:
        """The labels of one image, as fractions of it: of an image of 1x1 pixels.

        Raises:
            DimmagenError: a line cannot be used.
        """
        found = []
        for number, line in enumerate(self._files.text(name).splitlines(), 1):
            if words := line.split():
                found.append(self._annotation(f"{self._files.path}: {name}, line {number}", words))
        return ImageLabels(found, file_name=name)

    def _annotation(self, where: str, words: list[str]) -> Annotation:
        try:
            number, values = whole_number(words[0]), [float(word) for word in words[1:]]
        except ValueError:
            raise broken(where, "it is not `class x y width height`") from None
        if number < 0 or (self._names and number > max(self._names)):
            last = f", the last of which is {max(self._names)}" if self._names else ""
            raise broken(where, f"its class {number} is not one of the classes{last}")
        category = self._seen.setdefault(number, self._names.get(number, str(number)))
        what: dict[str, Any] = {"category_id": number, "category": category}
        if len(values) == 4 or (self._keypoints and len(values) > 4):
            _check_fractions(where, values[:4])
            x, y, width, height = values[:4]
            box = [x - width / 2, y - height / 2, width, height]
            points = self._triples(where, values[4:])
            return annotation(where, box, keypoints=points, **what)
        if len(values) < 6 or len(values) % 2:
            raise broken(where, f"it has {len(values)} numbers, which are neither a box nor a polygon")
        _check_fractions(where, values)
        xs, ys = values[0::2], values[1::2]
        box = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
        return annotation(where, box, polygons=[values], **what)

    def _triples(self, where: str, values: list[float]) -> list[float]:
        if not values:
            return []
        count, size = self._keypoints
        if len(values) != count * size or size not in (2, 3):
            raise broken(where, f"it has {len(values)} numbers for {count} keypoints of {size}")
        points = [values[at : at + size] for at in range(0, len(values), size)]
        return [value for point in points for value in (*point[:2], point[2] if size == 3 else 2.0)]

    def _description(self) -> tuple[dict[int, str], tuple[int, ...]]:
        """Class names, and (count, values of each) of keypoints; both may be empty."""
        for entry in self._files.others.values():
            base = posixpath.basename(entry.name)
            if base == "classes.txt":
                lines = self._files.text(entry.name, entry).splitlines()
                # An empty line is a class without a name: those after it keep their numbers.
                return {number: line.strip() for number, line in enumerate(lines) if line.strip()}, ()
            if base in ("data.yaml", "dataset.yaml", "data.yml"):
                return self._from_yaml(entry.name, self._files.text(entry.name, entry))
        return {}, ()

    def _from_yaml(self, name: str, text: str) -> tuple[dict[int, str], tuple[int, ...]]:
        try:
            content = yaml.safe_load(text)
            names = content.get("names") or {}
            pairs = names.items() if isinstance(names, dict) else enumerate(names)
            shape = tuple(whole_number(one) for one in content.get("kpt_shape") or ())
            if len(shape) not in (0, 2):
                raise ValueError("kpt_shape has not two numbers")
            return {whole_number(number): str(one) for number, one in pairs}, shape
        except (yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
            raise broken(f"{self._files.path}: {name}", f"its names cannot be read ({error})") from error


def _check_fractions(where: str, values: Sequence[float]) -> None:
    for value in values:
        if math.isfinite(value) and not -_SLACK <= value <= 1 + _SLACK:
            why = "these numbers are pixels, or keypoints without a kpt_shape in data.yaml"
            raise broken(where, f"{value:g} is not a fraction of the image: {why}")
