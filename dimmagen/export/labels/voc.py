"""VOC's XML files and lists of names."""

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from dimmagen.core import storage
from dimmagen.export.labels.base import BOXES, LeftOut, documents, label_folder
from dimmagen.export.listings import Place
from dimmagen.export.sizes import Size
from dimmagen.export.stores import SplitWork


class VocFormat:
    """`Annotations/*.xml`, and `ImageSets/Main/<split>.txt` with the names of the split's images."""

    needs = BOXES
    note = (
        "`Annotations/*.xml` has the labels, and `ImageSets/Main/train.txt` and `val.txt` the names\n"
        "of a split. Needs a data set with labels of COCO, YOLO or VOC ([dark\n"
        "COCO](../dark-coco.md)). Corners are counted from 1, as VOC does, and rounded to pixels;\n"
        "crowds are `difficult`."
    )

    def write(self, work: SplitWork, split: str, extension: str) -> LeftOut:
        for folder in ("Annotations", "ImageSets/Main"):
            label_folder(work.root / folder)
        for one, document in documents(work):
            data = ElementTree.tostring(_voc_document(f"{one.name}.{extension}", document), encoding="utf-8")
            storage.atomic_write(work.root / f"Annotations/{one.name}.xml", data + b"\n")
        names = "".join(f"{one.name}\n" for one in work.named)
        storage.atomic_write(work.root / self._list(split), names.encode())
        return {}

    def faults(self, root: Path, split: str, place: Place, sizes: Mapping[str, Size]) -> Iterator[str]:
        lists = {name: self._names(root, name) for name in ("train", "val")}
        names = lists[split]
        if names is None:
            if split == "train":
                yield f"{self._list(split)}: is missing"
            return
        files = {Path(name).stem: name for name in sizes}
        for name in names:
            if name not in files:
                yield f"{self._list(split)}: names {name}, which is not in {place[0]}"
            else:
                yield from self._document_faults(root, name, sizes[files[name]])
        if split == "train":
            listed = set(chain(*(found or () for found in lists.values())))
            yield from (f"{place[0]}/{files[stem]}: is in no list" for stem in sorted(files.keys() - listed))

    @staticmethod
    def _list(split: str) -> str:
        return f"ImageSets/Main/{split}.txt"

    def _names(self, root: Path, split: str) -> list[str] | None:
        path = root / self._list(split)
        return path.read_text(encoding="utf-8", errors="replace").split() if path.is_file() else None

    @staticmethod
    def _document_faults(root: Path, name: str, size: Size) -> Iterator[str]:
        where = f"Annotations/{name}.xml"
        try:
            document = ElementTree.fromstring((root / where).read_bytes())
            width, height = (int(document.findtext(f"size/{side}", "")) for side in ("width", "height"))
            if (height, width) != size:
                yield f"{where}: its size is {width}x{height}, the image's {size[1]}x{size[0]}"
            for one in document.iter("object"):
                edges = [float(one.findtext(f"bndbox/{edge}", "")) for edge in _EDGES]
                if not one.findtext("name") or not _inside_voc(edges, width, height):
                    yield f"{where}: an object has no name, or its box {edges} is not inside the image"
        except FileNotFoundError:
            yield f"{where}: is missing"
        except (ElementTree.ParseError, ValueError) as error:
            yield f"{where}: cannot be read ({error})"


_EDGES = ("xmin", "ymin", "xmax", "ymax")


def _inside_voc(edges: Sequence[float], width: int, height: int) -> bool:
    left, top, right, bottom = edges
    return 1 <= left <= right <= width and 1 <= top <= bottom <= height


def _voc_document(file_name: str, document: Mapping[str, Any]) -> ElementTree.Element:
    root = ElementTree.Element("annotation")
    size = {"width": document["width"], "height": document["height"], "depth": 3}
    for name, value in {"filename": file_name, "source": document["file_name"]}.items():
        ElementTree.SubElement(root, name).text = value
    box = ElementTree.SubElement(root, "size")
    for name, number in size.items():
        ElementTree.SubElement(box, name).text = str(number)
    ElementTree.SubElement(root, "segmented").text = "0"
    for one in document["annotations"]:
        x, y, width, height = one["bbox"]
        other = json.loads(one["other"]) if document["format"] == "voc" else {}
        details = {"pose": "Unspecified", "truncated": "0", "difficult": str(one["iscrowd"]), **other}
        node = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(node, "name").text = one["category"]
        for name, text in details.items():
            ElementTree.SubElement(node, name).text = text
        left = min(max(1, round(x + 1)), size["width"])
        top = min(max(1, round(y + 1)), size["height"])
        right = min(size["width"], max(left, round(x + width)))
        bottom = min(size["height"], max(top, round(y + height)))
        edges = ElementTree.SubElement(node, "bndbox")
        for name, number in zip(_EDGES, (left, top, right, bottom), strict=True):
            ElementTree.SubElement(edges, name).text = str(number)
    ElementTree.indent(root)
    return root
