"""Labels of an export in the formats of detectors: written beside the dark images, checked as readers do."""

import contextlib
import io
import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import yaml
from PIL import Image

from dimmagen.core import storage
from dimmagen.core.disk_list import DiskList
from dimmagen.core.errors import UsageError
from dimmagen.dataset.reader import PairSet
from dimmagen.export.formats import NamedPair, Place, Size

_EDGE = 1.0  # pixels by which a box may exceed its image: tools round
_BOXES: tuple[str, ...] = ("coco", "yolo", "voc")

LeftOut = dict[str, int]
"""How many objects or images are not in the export, by the reason."""


class LabelFormat(Protocol):
    """How the labels of a layout are stored.

    Attributes:
        needs: formats of labels in a data set that can be written so.
        note: for the layout's page.
    """

    needs: tuple[str, ...]
    note: str

    def write(
        self, root: Path, split: str, place: Place, pairs: PairSet, named: Sequence[NamedPair], extension: str
    ) -> LeftOut:
        """Write the labels of one split.

        Args:
            root: of the export.
            split: `train` or `val`.
            place: its folder of dark images, and an empty name.
            pairs: the data set.
            named: the pairs of the split.
            extension: of the dark images.
        """
        ...

    def faults(self, root: Path, split: str, place: Place, sizes: Mapping[str, Size]) -> Iterator[str]:
        """What a reader would stumble over, given the sizes of the split's images by file name."""
        ...


class NoLabels:
    """For layouts of images alone."""

    needs: tuple[str, ...] = ()
    note = ""

    def write(
        self, root: Path, split: str, place: Place, pairs: PairSet, named: Sequence[NamedPair], extension: str
    ) -> LeftOut:
        return {}

    def faults(self, root: Path, split: str, place: Place, sizes: Mapping[str, Size]) -> Iterator[str]:
        return iter(())


def refuse_other_labels(pairs: PairSet, layout: str, labels: LabelFormat) -> None:
    """Refuse a data set that has not the labels that a layout needs.

    Raises:
        UsageError: it has none, or others.
    """
    kind = (pairs.manifest.settings.get("labels") or {}).get("format", "")
    if labels.needs and kind not in labels.needs:
        has = f"has labels of the format {kind}" if kind else "has no labels"
        raise UsageError(
            f"{pairs.out} {has}",
            f"the layout {layout} needs a data set that was made with the labels of its photos, of "
            f"{' or '.join(labels.needs)}",
            code="unsuitable-pairs",
            path=pairs.out,
            layout=layout,
        )


def categories_of(pairs: PairSet) -> list[dict[str, Any]]:
    """The categories of a data set's labels, by their number."""
    return sorted(pairs.manifest.settings["labels"]["categories"], key=lambda one: one["id"])


def _documents(pairs: PairSet, named: Sequence[NamedPair]) -> Iterator[tuple[NamedPair, dict[str, Any]]]:
    return ((one, storage.parse_json(pairs.labels(one.row))) for one in named)


class CocoFormat:
    """`annotations/instances_<split>.json`; each variant of a photo is an image with its own annotations."""

    needs = _BOXES
    note = (
        "`annotations/instances_train.json` and `instances_val.json` have the labels. Needs a data\n"
        "set with labels of COCO, YOLO or VOC ([dark COCO](../dark-coco.md)). Image ids are new, and\n"
        "each variant of a photo is an image with annotations of its own; `light_image_id`,\n"
        "`light_file_name` and `light_key` say which photo it shows. Polygons, masks, crowds,\n"
        "keypoints and the fields that COCO does not define stay as they are. The check needs `pip\n"
        "install 'dimmagen[coco]'`: it reads the file with pycocotools and, where it is installed,\n"
        "with torchvision's `CocoDetection`."
    )

    def write(
        self, root: Path, split: str, place: Place, pairs: PairSet, named: Sequence[NamedPair], extension: str
    ) -> LeftOut:
        path = root / self._file(split)
        path.parent.mkdir(parents=True, exist_ok=True)
        storage.remove_unfinished(path.parent)
        annotations, number = DiskList(), 0
        labels = pairs.manifest.settings["labels"]
        with storage.atomic_writer(path) as file:
            head: dict[str, Any] = {"info": {"description": "dark images made with dimmagen"}}
            head |= {"licenses": labels.get("licenses", []), "categories": categories_of(pairs)}
            file.write(json.dumps(head).encode()[:-1] + b', "images": [')
            for index, (one, document) in enumerate(_documents(pairs, named), 1):
                image = self._image(index, one, document, extension)
                file.write((b",\n" if index > 1 else b"\n") + json.dumps(image).encode())
                for annotation in document["annotations"]:
                    number += 1
                    annotations.append(json.dumps(_coco_annotation(number, index, annotation)).encode())
            file.write(b'\n], "annotations": [')
            for index, text in enumerate(annotations):
                file.write((b",\n" if index else b"\n") + text)
            file.write(b"\n]}\n")
        return {}

    def faults(self, root: Path, split: str, place: Place, sizes: Mapping[str, Size]) -> Iterator[str]:
        name = self._file(split)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                coco = _pycocotools().COCO(str(root / name))
                images = coco.loadImgs(coco.getImgIds())
        except FileNotFoundError:
            yield f"{name}: is missing"
            return
        except Exception as error:  # pycocotools raises what it stumbles over
            yield f"{name}: pycocotools cannot read it ({type(error).__name__}: {error})"
            return
        yield from _image_faults(
            name, {image["file_name"]: (image["height"], image["width"]) for image in images}, sizes
        )
        for image in images:
            for one in coco.loadAnns(coco.getAnnIds(imgIds=[image["id"]])):
                what = _annotation_fault(coco, one, image)
                if what:
                    yield f"{name}: annotation {one.get('id')}: {what}"
        yield from _torchvision_faults(root, place, name, len(images))

    @staticmethod
    def _file(split: str) -> str:
        return f"annotations/instances_{split}.json"

    @staticmethod
    def _image(number: int, one: NamedPair, document: Mapping[str, Any], extension: str) -> dict[str, Any]:
        return {
            **json.loads(document["other"]),
            "id": number,
            "file_name": f"{one.name}.{extension}",
            "width": document["width"],
            "height": document["height"],
            "light_image_id": document["image_id"],
            "light_file_name": document["file_name"] or one.row["name"],
            "light_key": one.row["light_key"],
            "variant": one.row["variant"],
        }


def _coco_annotation(number: int, image: int, one: Mapping[str, Any]) -> dict[str, Any]:
    points = {name: one[name] for name in ("keypoints", "num_keypoints")} if one["keypoints"] else {}
    return {
        **json.loads(one["other"]),
        "id": number,
        "image_id": image,
        **{name: one[name] for name in ("category_id", "bbox", "area", "iscrowd")},
        "segmentation": one["rle"] if one["rle"]["counts"] else one["polygons"],
        **points,
    }


def _annotation_fault(coco: Any, one: Mapping[str, Any], image: Mapping[str, Any]) -> str:
    """What is wrong with an annotation as pycocotools reads it; empty if nothing is."""
    try:
        x, y, width, height = one["bbox"]
        if one["category_id"] not in coco.cats:
            return f"its category {one['category_id']} is not among the categories"
        right, bottom = image["width"] + _EDGE, image["height"] + _EDGE
        if min(x, y) < -_EDGE or x + width > right or y + height > bottom:
            return f"its box {one['bbox']} exceeds the image of {image['width']}x{image['height']}"
        if one.get("segmentation"):
            mask = coco.annToMask(one)
            if mask.shape != (image["height"], image["width"]):
                return f"its mask is of {mask.shape}"
    except Exception as error:  # pycocotools raises what it stumbles over
        return f"pycocotools cannot read it ({type(error).__name__}: {error})"
    return ""


def _pycocotools() -> Any:
    try:
        from pycocotools import coco
    except ImportError:
        raise UsageError(
            "checking a layout with COCO's annotations needs the package pycocotools",
            "pip install 'dimmagen[coco]'",
            code="missing-package",
            package="pycocotools",
        ) from None
    return coco


def _torchvision_faults(root: Path, place: Place, name: str, count: int) -> Iterator[str]:
    """What torchvision's CocoDetection stumbles over, where torchvision is installed."""
    try:
        from torchvision.datasets import CocoDetection
    except (ImportError, RuntimeError):  # a wheel that does not fit torch raises RuntimeError
        return
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            samples = CocoDetection(str(root / place[0]), str(root / name))
            if len(samples) != count:
                yield f"{name}: torchvision finds {len(samples)} images, not {count}"
            samples[0]
    except Exception as error:
        yield f"{name}: torchvision cannot read it ({type(error).__name__}: {error})"


def _image_faults(name: str, listed: Mapping[str, Size], sizes: Mapping[str, Size]) -> Iterator[str]:
    """Differences between the images that labels name, with their sizes, and the files."""
    for file in sorted(listed.keys() - sizes.keys()):
        yield f"{name}: names {file}, which is not there"
    for file in sorted(sizes.keys() - listed.keys()):
        yield f"{name}: does not name {file}"
    for file in sorted(sizes.keys() & listed.keys()):
        if listed[file] != sizes[file]:
            (height, width), (labelled_height, labelled_width) = sizes[file], listed[file]
            yield f"{name}: {file} is {width}x{height}, not {labelled_width}x{labelled_height}"


class YoloFormat:
    """`labels/<split>/*.txt` with a line for each box, and `data.yaml`; crowds are left out.

    Labels that came from YOLO are written as they were: boxes, polygons or keypoints.
    """

    needs = _BOXES
    note = (
        "`labels/train/*.txt` has a line `class x y width height` for each box, and `data.yaml` the\n"
        "names of the classes. Needs a data set with labels of COCO, YOLO or VOC ([dark\n"
        "COCO](../dark-coco.md)). Labels that came from YOLO are written as they were: boxes,\n"
        "polygons or keypoints, with their class numbers. Categories of COCO and VOC are numbered\n"
        "from 0 in the order of their ids, boxes are written without their polygons, and crowds, for\n"
        "which YOLO has no line, are left out and counted."
    )

    def write(
        self, root: Path, split: str, place: Place, pairs: PairSet, named: Sequence[NamedPair], extension: str
    ) -> LeftOut:
        folder = root / "labels" / split
        folder.mkdir(parents=True, exist_ok=True)
        storage.remove_unfinished(folder)
        numbers, names, shape = _yolo_classes(pairs)
        crowds = 0
        for one, document in _documents(pairs, named):
            objects = [annotation for annotation in document["annotations"] if not annotation["iscrowd"]]
            crowds += len(document["annotations"]) - len(objects)
            lines = [_yolo_line(annotation, numbers, document) for annotation in objects]
            storage.atomic_write(folder / f"{one.name}.txt", "".join(lines).encode())
        content = {"train": "images/train", "val": "images/val", "names": names}
        if shape:
            content["kpt_shape"] = shape
        storage.atomic_write(root / "data.yaml", yaml.safe_dump(content, sort_keys=False).encode())
        return {"crowds, which YOLO has no line for": crowds} if crowds else {}

    def faults(self, root: Path, split: str, place: Place, sizes: Mapping[str, Size]) -> Iterator[str]:
        try:
            content = yaml.safe_load((root / "data.yaml").read_text(encoding="utf-8"))
            names = {int(number) for number in content["names"]}
        except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
            yield f"data.yaml: cannot be read ({type(error).__name__}: {error})"
            return
        if names != set(range(len(names))):
            yield "data.yaml: its classes are not numbered from 0 without gaps"
        folder = root / "labels" / split
        files = {path.stem: path for path in folder.glob("*.txt")} if folder.is_dir() else {}
        stems = {Path(name).stem for name in sizes}
        if not files:
            yield f"labels/{split}: no label files"
        for stem in sorted(files.keys() - stems):
            yield f"labels/{split}/{stem}.txt: no {place[0]}/{stem}.*"
        for stem, path in sorted(files.items()):
            for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
                if what := _yolo_fault(line.split(), names):
                    yield f"labels/{split}/{stem}.txt, line {number}: {what}"


def _yolo_classes(pairs: PairSet) -> tuple[dict[int, int], dict[int, str], list[int]]:
    """YOLO's number of each category, its name by that number, and the shape of keypoints (may be empty)."""
    categories = categories_of(pairs)
    if pairs.manifest.settings["labels"]["format"] == "yolo":  # its own numbers, without gaps
        numbers = {one["id"]: one["id"] for one in categories}
        names = {number: str(number) for number in range(max(numbers, default=-1) + 1)}
    else:
        numbers = {one["id"]: number for number, one in enumerate(categories)}
        names = {}
    names |= {numbers[one["id"]]: str(one["name"]) for one in categories}
    shape: list[int] = next((one["keypoint_shape"] for one in categories if "keypoint_shape" in one), [])
    return numbers, dict(sorted(names.items())), [shape[0], 3] if shape else []


def _yolo_line(one: Mapping[str, Any], numbers: Mapping[int, int], document: Mapping[str, Any]) -> str:
    width, height = document["width"], document["height"]
    values: list[float]
    if document["format"] == "yolo" and one["polygons"]:
        sides = (width, height)
        values = [_unit(value / sides[at % 2]) for at, value in enumerate(one["polygons"][0])]
    else:
        x, y, box_width, box_height = one["bbox"]
        left, right = _unit(x / width), _unit((x + box_width) / width)
        top, bottom = _unit(y / height), _unit((y + box_height) / height)
        values = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
        if document["format"] == "yolo" and one["keypoints"]:
            scales = (width, height, 1)
            values += [value / scales[at % 3] for at, value in enumerate(one["keypoints"])]
    return " ".join([str(numbers[one["category_id"]]), *(f"{value:.6f}" for value in values)]) + "\n"


def _unit(value: float) -> float:
    return min(1.0, max(0.0, value))


def _yolo_fault(words: Sequence[str], names: set[int]) -> str:
    try:
        number, values = int(words[0]), [float(word) for word in words[1:]]
    except (ValueError, IndexError):
        return "is not a class and numbers"
    if number not in names:
        return f"its class {number} is not in data.yaml"
    if len(values) < 4:
        return f"has {len(values)} numbers"
    if not all(0 <= value <= 1 for value in values[:4]):
        return "its box is not inside the image"
    return ""


class VocFormat:
    """`Annotations/*.xml`, and `ImageSets/Main/<split>.txt` with the names of the split's images."""

    needs = _BOXES
    note = (
        "`Annotations/*.xml` has the labels, and `ImageSets/Main/train.txt` and `val.txt` the names\n"
        "of a split. Needs a data set with labels of COCO, YOLO or VOC ([dark\n"
        "COCO](../dark-coco.md)). Corners are counted from 1, as VOC does, and rounded to pixels;\n"
        "crowds are `difficult`."
    )

    def write(
        self, root: Path, split: str, place: Place, pairs: PairSet, named: Sequence[NamedPair], extension: str
    ) -> LeftOut:
        for folder in ("Annotations", "ImageSets/Main"):
            (root / folder).mkdir(parents=True, exist_ok=True)
            storage.remove_unfinished(root / folder)
        for one, document in _documents(pairs, named):
            data = ElementTree.tostring(_voc_document(f"{one.name}.{extension}", document), encoding="utf-8")
            storage.atomic_write(root / f"Annotations/{one.name}.xml", data + b"\n")
        names = "".join(f"{one.name}\n" for one in named)
        storage.atomic_write(root / self._list(split), names.encode())
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


class MaskFormat:
    """`masks/<split>/*.png`, with the names of the images."""

    needs: tuple[str, ...] = ("masks",)
    note = (
        "`masks/train/*.png` has a mask of the same name for each image. Needs a data set that was\n"
        "made with `dimmagen dim --labels masks=DIR` ([dark COCO](../dark-coco.md)). Masks keep their\n"
        "bytes."
    )

    def write(
        self, root: Path, split: str, place: Place, pairs: PairSet, named: Sequence[NamedPair], extension: str
    ) -> LeftOut:
        folder = root / "masks" / split
        folder.mkdir(parents=True, exist_ok=True)
        storage.remove_unfinished(folder)
        for one in named:
            storage.atomic_write(folder / f"{one.name}.png", pairs.labels(one.row))
        return {}

    def faults(self, root: Path, split: str, place: Place, sizes: Mapping[str, Size]) -> Iterator[str]:
        folder = root / "masks" / split
        masks = {path.name: path for path in folder.glob("*.png")} if folder.is_dir() else {}
        listed: dict[str, Size] = {}
        for name, path in masks.items():
            try:
                with Image.open(path, formats=("PNG",)) as image:
                    image.load()
                    listed[name] = (image.height, image.width)
                    if len(image.getbands()) != 1:
                        yield f"masks/{split}/{name}: is {image.mode}, not of one channel"
            except Exception as error:  # Pillow raises almost any exception for a damaged file
                yield f"masks/{split}/{name}: cannot be read ({error})"
        yield from _image_faults(f"masks/{split}", listed, sizes)


NO_LABELS, COCO, YOLO, VOC, MASKS = NoLabels(), CocoFormat(), YoloFormat(), VocFormat(), MaskFormat()
