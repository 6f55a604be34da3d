"""Photos with labels in every format that `dim --labels` reads, made up and for reading only."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from dimmagen import make_dataset
from dimmagen.sources.labels import rle
from tests.dataset_helpers import write_photos

CATEGORIES = [{"id": 3, "name": "cat", "supercategory": "animal"}, {"id": 9, "name": "cup"}]
COUNT = 4


def write_labelled_photos(folder: Path) -> Path:
    """`photos/`, and for them `instances.json`, `yolo/`, `voc/`, `masks/` and `json/`.

    Photo 0 has a polygon and an empty box, 1 a crowd, 2 keypoints, and 3 nothing; labels of a fifth photo
    that is not there are in each.
    """
    write_photos(folder / "photos", COUNT)
    photos = sorted(path for path in (folder / "photos").iterdir() if path.stem != "tiny")
    sizes = {path.name: Image.open(path).size for path in photos}
    _write_coco(folder, sizes)
    for number, (name, size) in enumerate(sizes.items()):
        stem = name.split(".")[0]
        _write_one(folder, stem, size, number)
    _write_one(folder, "elsewhere", (264, 256), 0)
    (folder / "yolo/data.yaml").write_text("names: [cat, dog, cup]\n")
    return folder


def _write_coco(folder: Path, sizes: dict[str, tuple[int, int]]) -> None:
    images = [
        {"id": 100 + number, "file_name": name, "width": width, "height": height, "license": 2}
        for number, (name, (width, height)) in enumerate(sizes.items())
    ]
    images.append({"id": 999, "file_name": "elsewhere.jpg", "width": 264, "height": 256})
    width, height = sizes[images[1]["file_name"]]
    mask = np.zeros((height, width), bool)
    mask[40:90, 30:200] = True
    annotations = [
        _annotation(
            1, 100, [10.25, 20.5, 50, 60], segmentation=[[10.25, 20.5, 60.25, 20.5, 60.25, 80.5]], area=1500.5
        ),
        _annotation(2, 100, [5, 5, 0, 0], area=0),
        _annotation(3, 101, [30, 40, 170, 50], category=9, iscrowd=1, area=int(mask.sum()))
        | {"segmentation": {"size": [height, width], "counts": rle.encode(mask)}},
        _annotation(
            4, 102, [0, 0, 100, 100], keypoints=[10, 20, 2, 0, 0, 0, 99, 98, 1], num_keypoints=2, score=0.5
        ),
        _annotation(5, 999, [1, 1, 5, 5]),
    ]
    document = {
        "images": images,
        "annotations": annotations,
        "categories": CATEGORIES,
        "licenses": [{"id": 2, "name": "CC"}],
    }
    (folder / "instances.json").write_text(json.dumps(document))


def _annotation(number, image, bbox, category=3, iscrowd=0, area=None, **more) -> dict:
    area = bbox[2] * bbox[3] if area is None else area
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": bbox,
        "iscrowd": iscrowd,
        "area": area,
        **more,
    }


def _write_one(folder: Path, stem: str, size: tuple[int, int], number: int) -> None:
    width, height = size
    for kind in ("yolo", "voc", "masks", "json"):
        (folder / kind).mkdir(exist_ok=True)
    if number < 3:  # YOLO and VOC have no file for a photo without objects
        (folder / f"yolo/{stem}.txt").write_text(f"2 0.5 0.5 0.25 0.{number + 1}\n0 0.1 0.2 0.05 0.1\n")
        (folder / f"voc/{stem}.xml").write_text(
            f"<annotation><filename>{stem}.jpg</filename><size><width>{width}</width><height>{height}</height>"
            f"<depth>3</depth></size><object><name>cat</name><pose>Left</pose><truncated>1</truncated>"
            f"<difficult>0</difficult><bndbox><xmin>1</xmin><ymin>{number + 2}</ymin><xmax>{width}</xmax>"
            f"<ymax>100</ymax></bndbox></object></annotation>"
        )
    mask = np.zeros((height, width), np.uint8)
    mask[10:50, 20 : 60 + number] = 2
    image = Image.fromarray(mask)
    if number == 1:
        image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    image.save(folder / f"masks/{stem}.png")
    (folder / f"json/{stem}.json").write_text(json.dumps({"scene": stem, "values": [number, 1.5]}))


KINDS = {
    "coco": "coco={}/instances.json",
    "yolo": "yolo={}/yolo",
    "voc": "voc={}/voc",
    "masks": "masks={}/masks",
    "json": "json={}/json",
}


def make(labelled, out, kind="coco", **options):
    """A data set of labelled photos, with labels of a kind or none."""
    labels = KINDS[kind].format(labelled) if kind else None
    return make_dataset(
        "linear", [str(labelled / "photos")], out, labels=labels, samples_per_shard=3, **options
    )


def changed(labelled, tmp_path, change) -> str:
    """`coco=FILE` with a changed copy of the annotation file."""
    document = json.loads((labelled / "instances.json").read_text())
    change(document)
    (tmp_path / "changed.json").write_text(json.dumps(document))
    return f"coco={tmp_path}/changed.json"


def wall(height, width, level=200):
    """An even background that is not flat, as label masks are."""
    stripes = (level + 8 * (np.arange(width) % 2)).astype(np.uint8)
    return np.tile(stripes[None, :, None], (height, 1, 3))
