"""Labels of other photos, and damaged or hostile ones, are refused before anything is written."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from dimmagen import make_dataset
from dimmagen.core.errors import DimmagenError, UsageError
from tests.labelled_photos import changed, make, write_labelled_photos


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    return write_labelled_photos(tmp_path_factory.mktemp("labelled"))


def test_labels_of_another_set_are_refused(labelled, tmp_path):
    document = json.loads((labelled / "instances.json").read_text())
    for image in document["images"]:
        image["file_name"] = f"other{image['file_name']}"
    (tmp_path / "other.json").write_text(json.dumps(document))
    with pytest.raises(UsageError, match=r"none of the 4 images has labels in .*, not for 'photo0"):
        make_dataset(
            "linear", [str(labelled / "photos")], tmp_path / "out", labels=f"coco={tmp_path}/other.json"
        )
    assert not (tmp_path / "out").exists()


MISTAKES = {
    "other size": (lambda d: d["images"][0].update(width=99), "for 99x256 pixels, the photo has 264x256"),
    "no category": (
        lambda d: d["annotations"][0].update(category_id=4),
        "annotation 1: its category 4 is not among",
    ),
    "category as text": (
        lambda d: d["annotations"][0].update(category_id="3"),
        "annotation 1: its category '3' is not among",
    ),
    "one id for two images": (lambda d: d["images"][1].update(id=100), "two images have the id 100"),
    "one id for two categories": (
        lambda d: d["categories"].append({"id": 3, "name": "dog"}),
        "two categories have the id 3",
    ),
    "negative box": (lambda d: d["annotations"][0].update(bbox=[1, 2, -3, 4]), "annotation 1: its bbox"),
    "text box": (lambda d: d["annotations"][0].update(bbox="abcd"), "annotation 1: its bbox is not a list"),
    "NaN": (lambda d: d["annotations"][0].update(bbox=[1e999, 1, 1, 1]), "finite"),
    "short polygon": (lambda d: d["annotations"][0].update(segmentation=[[1, 2, 3, 4]]), "three or more"),
    "mask of another size": (
        lambda d: d["annotations"][2]["segmentation"].update(size=[5, 5]),
        "annotation 3.*its mask is of",
    ),
    "mask of other counts": (
        lambda d: d["annotations"][2]["segmentation"].update(counts=[5]),
        "annotation 3.*counts",
    ),
    "half an image": (lambda d: d["annotations"][0].update(image_id=100.5), "100.5 is not a whole number"),
    "half a category": (lambda d: d["categories"][0].update(id=3.5), "3.5 is not a whole number"),
    "more than a float": (lambda d: d["annotations"][0].update(bbox=[10**400, 1, 1, 1]), "its bbox"),
    "image that is not there": (lambda d: d["annotations"][0].update(image_id=5), "name the image 5"),
    "twice": (lambda d: d["images"].append(dict(d["images"][0], id=7)), "same file_name"),
    "no images": (lambda d: d.pop("images"), "is not an annotation file of COCO"),
}


def test_what_an_annotation_file_has_twice_alike_is_used_once(labelled, tmp_path):
    """As a list that was concatenated has it."""

    def doubled(document):
        for part in ("images", "categories"):
            document[part] += [dict(one) for one in document[part]]

    labels = changed(labelled, tmp_path, doubled)
    make_dataset("linear", [str(labelled / "photos")], tmp_path / "out", labels=labels, samples_per_shard=3)
    make(labelled, tmp_path / "plain", "coco")
    shard = "shards/train-00000.tar"
    assert (tmp_path / "out" / shard).read_bytes() == (tmp_path / "plain" / shard).read_bytes()


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_an_annotation_file_is_named(labelled, tmp_path, name):
    change, message = MISTAKES[name]
    labels = changed(labelled, tmp_path, change)
    with pytest.raises(DimmagenError, match=message):
        make_dataset("linear", [str(labelled / "photos")], tmp_path / "out", labels=labels)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("labels", "code"),
    [
        ("instances.json", "usage"),
        ("coco=", "usage"),
        ("kitti=x", "unknown-name"),
        ("coco=nowhere.json", "missing-path"),
        ("yolo=nowhere", "missing-path"),
        ("voc={}/masks", "no-match"),
        ("coco={}/yolo/photo00.txt", "wrong-format"),
    ],
)
def test_labels_that_are_not_there_are_refused(labelled, tmp_path, labels, code):
    with pytest.raises(DimmagenError) as caught:
        make_dataset("linear", [str(labelled / "photos")], tmp_path / "out", labels=labels.format(labelled))
    assert caught.value.code == code


def test_hostile_label_files_are_refused(labelled, tmp_path):
    shutil.copytree(labelled, tmp_path / "labelled")
    bomb = '<!DOCTYPE a [<!ENTITY b "bbbbbbbb">]><annotation>&b;</annotation>'
    for encoding in ("utf-8", "utf-16"):
        (tmp_path / "labelled/voc/photo00.xml").write_text(bomb, encoding)
        with pytest.raises(DimmagenError, match="document type or entities"):
            make(tmp_path / "labelled", tmp_path / "out", "voc")
    (tmp_path / "labelled/masks/photo00.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(DimmagenError, match="not a PNG"):
        make(tmp_path / "labelled", tmp_path / "out", "masks")
    noise = np.random.default_rng(0).integers(0, 9, (256, 264), np.uint8)
    Image.fromarray(noise).save(tmp_path / "labelled/masks/photo00.png")
    whole = (tmp_path / "labelled/masks/photo00.png").read_bytes()
    (tmp_path / "labelled/masks/photo00.png").write_bytes(whole[:-900] + bytes(900))
    with pytest.raises(DimmagenError, match="its pixels have another checksum"):
        make(tmp_path / "labelled", tmp_path / "out", "masks")
    Image.new("RGB", (264, 256)).save(tmp_path / "labelled/masks/photo00.png")
    with pytest.raises(DimmagenError, match="mode RGB, not of one channel"):
        make(tmp_path / "labelled", tmp_path / "out", "masks")
    (tmp_path / "labelled/masks/photo00.png").unlink()
    with pytest.raises(UsageError, match=r"photo00.png has no mask"):
        make(tmp_path / "labelled", tmp_path / "out", "masks")
    (tmp_path / "labelled/yolo/photo00.txt").write_text("0 0.5 x\n")
    with pytest.raises(DimmagenError, match=r"photo00\.txt, line 1"):
        make(tmp_path / "labelled", tmp_path / "out", "yolo")
    (tmp_path / "labelled/json/photo00.json").write_text("[" * 100_000)
    with pytest.raises(DimmagenError, match="not a JSON object"):
        make(tmp_path / "labelled", tmp_path / "out", "json")
