"""COCO's JSON: one file with the images, annotations and categories of a set (instances or keypoints)."""

from collections.abc import Iterator, Mapping
from typing import Any

from dimmagen.core import storage
from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.sources.labels import rle
from dimmagen.sources.labels.annotations import Annotation, ImageLabels, annotation, broken, whole_number
from dimmagen.sources.labels.records import AnnotationSource

_IMAGE_FIELDS = ("id", "file_name", "width", "height")
_FIELDS = (
    "id",
    "image_id",
    "category_id",
    "bbox",
    "area",
    "iscrowd",
    "segmentation",
    "keypoints",
    "num_keypoints",
)


class CocoLabels(AnnotationSource):
    """The labels of a file such as `instances_train2017.json`.

    Args:
        path: local path or fsspec URL.

    Raises:
        UsageError: there is no such file.
        DimmagenError: it is not such a JSON file.
    """

    format = "coco"

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            document = storage.read_json(path)
            images, annotations = document["images"], document["annotations"]
            self._categories = _by_id(path, "categories", document["categories"])
            self._images = _by_id(path, "images", images)
            self._annotations: dict[int, list[dict]] = {}
            for one in annotations:
                self._annotations.setdefault(whole_number(one["image_id"]), []).append(one)
            self.licenses = list(document.get("licenses") or [])
            self._by_name = {str(one["file_name"]): number for number, one in self._images.items()}
        except (FileNotFoundError, IsADirectoryError):
            raise UsageError(
                f"there is no file {path}",
                "give an annotation file such as instances_train2017.json",
                code="missing-path",
                path=path,
            ) from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DimmagenError(
                f"{path} is not an annotation file of COCO ({type(error).__name__}: {error})",
                "it must have images, annotations and categories",
                code="wrong-format",
                path=path,
            ) from error
        if len(self._by_name) != len(self._images):
            raise broken(path, "two images have the same file_name")
        if strays := sorted(self._annotations.keys() - self._images.keys()):
            raise broken(path, f"its annotations name the image {strays[0]}, which is not among its images")

    @property
    def categories(self) -> list[dict[str, Any]]:
        """The categories, as in the file, by their number."""
        return [self._categories[number] for number in sorted(self._categories)]

    def names(self) -> Iterator[str]:
        """File names of the images that it has labels for."""
        return iter(self._by_name)

    def read(self, name: str) -> ImageLabels:
        """The labels of one image.

        Raises:
            DimmagenError: an annotation cannot be used.
        """
        number = self._by_name[name]
        image = self._images[number]
        where = f"{self.path}, image {number}"
        try:
            width, height = whole_number(image["width"]), whole_number(image["height"])
        except (KeyError, TypeError, ValueError):
            raise broken(where, "it has no width and height") from None
        return ImageLabels(
            [self._annotation(one, width, height) for one in self._annotations.get(number, [])],
            width,
            height,
            number,
            name,
            {field: value for field, value in image.items() if field not in _IMAGE_FIELDS},
        )

    def _annotation(self, one: Mapping[str, Any], width: int, height: int) -> Annotation:
        where = f"{self.path}, annotation {one.get('id', '?')}"
        try:
            category = self._categories.get(one["category_id"])
            if category is None:
                raise broken(where, f"its category {one['category_id']!r} is not among the categories")
            polygons, mask = _segmentation(one.get("segmentation") or [], width, height)
            return annotation(
                where,
                one["bbox"],
                number=one.get("id", 0),
                category_id=one["category_id"],
                category=category.get("name", ""),
                area=one.get("area"),
                iscrowd=one.get("iscrowd", 0),
                polygons=polygons,
                rle=mask,
                keypoints=one.get("keypoints") or [],
                num_keypoints=one.get("num_keypoints"),
                other={field: value for field, value in one.items() if field not in _FIELDS},
            )
        except (KeyError, TypeError, ValueError) as error:
            raise broken(where, f"it cannot be used ({type(error).__name__}: {error})") from error


def _by_id(path: str, what: str, entries: list[Mapping[str, Any]]) -> dict[int, dict[str, Any]]:
    """Images or categories by their `id`, which files that were joined may have for two of them."""
    found: dict[int, dict[str, Any]] = {}
    for one in entries:
        number = whole_number(one["id"])
        if found.setdefault(number, dict(one)) != one:
            raise broken(path, f"two {what} have the id {number}")
    return found


def _segmentation(value: Any, width: int, height: int) -> tuple[list, dict[str, Any] | None]:
    """Polygons, and a run-length mask with compressed counts."""
    if not isinstance(value, Mapping):
        return list(value), None
    counts, size = value["counts"], [whole_number(one) for one in value["size"]]
    if size != [height, width]:
        raise ValueError(f"its mask is of {size}, its image of {[height, width]}")
    numbers = rle.from_text(counts) if isinstance(counts, str) else [whole_number(one) for one in counts]
    rle.decode(numbers, height, width)
    return [], {"size": size, "counts": counts if isinstance(counts, str) else rle.to_text(numbers)}
