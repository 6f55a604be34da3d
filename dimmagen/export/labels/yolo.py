"""YOLO's files of one line for each box."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from dimmagen.core import storage
from dimmagen.dataset.reader import PairSet
from dimmagen.export.labels.base import BOXES, LeftOut, categories_of, documents, label_folder
from dimmagen.export.listings import Place
from dimmagen.export.sizes import Size
from dimmagen.export.stores import SplitWork
from dimmagen.sources.labels.annotations import whole_number


class YoloFormat:
    """`labels/<split>/*.txt` with a line for each box, and `data.yaml`; crowds are left out.

    Labels that came from YOLO are written as they were: boxes, polygons or keypoints.
    """

    needs = BOXES
    note = (
        "`labels/train/*.txt` has a line `class x y width height` for each box, and `data.yaml` the\n"
        "names of the classes. Needs a data set with labels of COCO, YOLO or VOC ([dark\n"
        "COCO](../dark-coco.md)). Labels that came from YOLO are written as they were: boxes,\n"
        "polygons or keypoints, with their class numbers. Categories of COCO and VOC are numbered\n"
        "from 0 in the order of their ids, boxes are written without their polygons, and crowds, for\n"
        "which YOLO has no line, are left out and counted. Without validation pairs, `val` of\n"
        "`data.yaml` names the training images, since Ultralytics refuses a file without it."
    )

    def write(self, work: SplitWork, split: str, extension: str) -> LeftOut:
        folder = label_folder(work.root / "labels" / split)
        numbers, names, shape = _yolo_classes(work.pairs)
        crowds = 0
        for one, document in documents(work):
            objects = [annotation for annotation in document["annotations"] if not annotation["iscrowd"]]
            crowds += len(document["annotations"]) - len(objects)
            lines = [_yolo_line(annotation, numbers, document) for annotation in objects]
            storage.atomic_write(folder / f"{one.name}.txt", "".join(lines).encode())
        # Of the last split that is written: readers refuse a file without validation images.
        content = {"train": "images/train", "val": f"images/{split}", "names": names}
        if shape:
            content["kpt_shape"] = shape
        storage.atomic_write(work.root / "data.yaml", yaml.safe_dump(content, sort_keys=False).encode())
        return {"crowds, which YOLO has no line for": crowds} if crowds else {}

    def faults(self, root: Path, split: str, place: Place, sizes: Mapping[str, Size]) -> Iterator[str]:
        try:
            content = yaml.safe_load((root / "data.yaml").read_text(encoding="utf-8"))
            names = {whole_number(number) for number in content["names"]}
        except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
            yield f"data.yaml: cannot be read ({type(error).__name__}: {error})"
            return
        if names != set(range(len(names))):
            yield "data.yaml: its classes are not numbered from 0 without gaps"
        folder = root / "labels" / split
        names_there = [name for name in storage.list_names(folder) if name.endswith(".txt")]
        files = {Path(name).stem: folder / name for name in names_there}
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
        number, values = whole_number(words[0]), [float(word) for word in words[1:]]
    except (ValueError, IndexError):
        return "is not a class and numbers"
    if number not in names:
        return f"its class {number} is not in data.yaml"
    if len(values) < 4:
        return f"has {len(values)} numbers"
    if not all(0 <= value <= 1 for value in values[:4]):
        return "its box is not inside the image"
    return ""
