"""COCO's annotations, checked with the readers that people use."""

import contextlib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dimmagen.core import storage
from dimmagen.core.disk_list import DiskList
from dimmagen.core.optional_packages import missing_package
from dimmagen.export.labels.base import BOXES, LeftOut, categories_of, documents, image_faults, label_folder
from dimmagen.export.listings import Place
from dimmagen.export.rows import NamedPair
from dimmagen.export.sizes import Size
from dimmagen.export.stores import SplitWork

_EDGE = 1.0  # pixels by which a box may exceed its image: tools round


class CocoFormat:
    """`annotations/instances_<split>.json`; each variant of a photo is an image with its own annotations."""

    needs = BOXES
    note = (
        "`annotations/instances_train.json` and `instances_val.json` have the labels. Needs a data\n"
        "set with labels of COCO, YOLO or VOC ([dark COCO](../dark-coco.md)). Image ids are new, and\n"
        "each variant of a photo is an image with annotations of its own; `light_image_id`,\n"
        "`light_file_name` and `light_key` say which photo it shows. Polygons, masks, crowds,\n"
        "keypoints and the fields that COCO does not define stay as they are. The check needs `pip\n"
        "install 'dimmagen[coco]'`: it reads the file with pycocotools and, where it is installed,\n"
        "with torchvision's `CocoDetection`."
    )

    def require_packages(self) -> None:
        """Refuse a check where pycocotools is missing, before any image is decoded."""
        _pycocotools()

    def write(self, work: SplitWork, split: str, extension: str) -> LeftOut:
        path = work.root / self._file(split)
        label_folder(path.parent)
        annotations, number = DiskList(), 0
        labels = work.pairs.manifest.settings["labels"]
        with storage.atomic_writer(path) as file:
            head: dict[str, Any] = {"info": {"description": "dark images made with dimmagen"}}
            head |= {"licenses": labels.get("licenses", []), "categories": categories_of(work.pairs)}
            file.write(json.dumps(head).encode()[:-1] + b', "images": [')
            for index, (one, document) in enumerate(documents(work), 1):
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
        name, reader = self._file(split), _pycocotools()
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                coco = reader.COCO(str(root / name))
                images = coco.loadImgs(coco.getImgIds())
        except FileNotFoundError:
            yield f"{name}: is missing"
            return
        except Exception as error:  # pycocotools raises what it stumbles over
            yield f"{name}: pycocotools cannot read it ({type(error).__name__}: {error})"
            return
        yield from image_faults(
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
                height, width = mask.shape
                return f"its mask is of {width}x{height}, its image of {image['width']}x{image['height']}"
    except Exception as error:  # pycocotools raises what it stumbles over
        return f"pycocotools cannot read it ({type(error).__name__}: {error})"
    return ""


def _pycocotools() -> Any:
    try:
        from pycocotools import coco
    except Exception as error:
        what = "checking a layout with COCO's annotations needs"
        raise missing_package(what, "pycocotools", "coco", error) from None
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
    except Exception as error:  # torchvision raises what it stumbles over
        yield f"{name}: torchvision cannot read it ({type(error).__name__}: {error})"
