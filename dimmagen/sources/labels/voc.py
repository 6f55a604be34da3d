"""Pascal VOC's XML files: one for each image, boxes with corners counted from 1."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import Any

from dimmagen.sources.labels.annotations import Annotation, ImageLabels, annotation, broken, whole_number
from dimmagen.sources.labels.files import LabelFiles
from dimmagen.sources.labels.records import AnnotationSource


class VocLabels(AnnotationSource):
    """The labels of a folder such as `Annotations/`.

    The first pixel of a box is (1, 1) and its last one belongs to it, so a box of `xmin` to `xmax` is
    `xmax - xmin + 1` wide and begins at `xmin - 1`.

    Args, Raises: as for :class:`.LabelFiles`.
    """

    format = "voc"

    def __init__(self, path: str) -> None:
        self._files = LabelFiles(path, (".xml",))
        self._numbers: dict[str, int] = {}
        for name in sorted(self._files.names()):  # numbers of categories must not depend on the images
            for one in self._parsed(name).iter("object"):
                self._numbers.setdefault(one.findtext("name", "").strip(), 0)
        self._numbers = {name: number for number, name in enumerate(sorted(self._numbers), 1)}

    @property
    def categories(self) -> list[dict[str, Any]]:
        """The names of objects in alphabetical order, numbered from 1."""
        return [{"id": number, "name": name} for name, number in self._numbers.items()]

    def names(self) -> Iterator[str]:
        return self._files.names()

    def read(self, name: str) -> ImageLabels:
        """The labels of one image.

        Raises:
            DimmagenError: the file is not such an XML file.
        """
        where = f"{self._files.path}: {name}"
        root = self._parsed(name)
        try:
            width, height = (whole_number(root.findtext(f"size/{side}", "")) for side in ("width", "height"))
        except ValueError:
            raise broken(where, "it has no size with width and height") from None
        found = [self._annotation(where, one) for one in root.iter("object")]
        other = {child.tag: (child.text or "").strip() for child in root if not len(child)}
        file_name = other.pop("filename", "")
        return ImageLabels(found, width, height, file_name=file_name, other=other)

    def _annotation(self, where: str, one: ElementTree.Element) -> Annotation:
        try:
            left, top, right, bottom = (
                float(one.findtext(f"bndbox/{edge}", "")) for edge in ("xmin", "ymin", "xmax", "ymax")
            )
        except ValueError:
            raise broken(where, "an object has no bndbox with four numbers") from None
        name = one.findtext("name", "").strip()
        other = {child.tag: (child.text or "").strip() for child in one if not len(child)}
        other.pop("name", None)
        box = [left - 1, top - 1, right - left + 1, bottom - top + 1]
        return annotation(where, box, category_id=self._numbers[name], category=name, other=other)

    def _parsed(self, name: str) -> ElementTree.Element:
        where = f"{self._files.path}: {name}"
        try:
            return ElementTree.fromstring(
                self._files.data(name), ElementTree.XMLParser(target=_WithoutDoctype())
            )
        except _DoctypeError:
            what = "it declares a document type or entities, which VOC files have not"
            raise broken(where, what) from None
        except (ElementTree.ParseError, LookupError, ValueError) as error:  # also of an unknown encoding
            raise broken(where, f"it is not XML ({error})") from error


class _DoctypeError(Exception):
    """A document type is declared, and with it perhaps entities."""


class _WithoutDoctype(ElementTree.TreeBuilder):
    """Builds a tree, and refuses a document type in whatever encoding it is declared."""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise _DoctypeError
