"""Exports with labels: what was labelled comes out as each format has it, and its readers read it."""

import contextlib
import io
import json
import shutil
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from dimmagen import make_dataset
from dimmagen.core.errors import UsageError
from dimmagen.dataset.reader import open_pairs
from dimmagen.export.checking import check_export
from dimmagen.export.formats import MaskFormat
from dimmagen.export.layouts import LAYOUTS, Layout
from dimmagen.export.sizes import parse_fit
from dimmagen.export.writing import export_pairs
from dimmagen.images import codec
from tests.commands import exit_code
from tests.labelled_photos import write_labelled_photos

KINDS = {
    "coco": "coco={}/instances.json",
    "yolo": "yolo={}/yolo",
    "voc": "voc={}/voc",
    "masks": "masks={}/masks",
}
pycocotools = pytest.importorskip("pycocotools.coco", reason="no pycocotools: pip install 'dimmagen[coco]'")


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    return write_labelled_photos(tmp_path_factory.mktemp("labelled"))


@pytest.fixture(scope="module")
def sets(labelled, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    for kind, labels in KINDS.items():
        photos = [str(labelled / "photos")]
        make_dataset("linear", photos, folder / kind, labels=labels.format(labelled), variants=2)
    return folder


def exported(sets, kind: str, layout: str, out: Path) -> Path:
    export_pairs(open_pairs(sets / kind), LAYOUTS[layout], out, validation=1)
    check = check_export(LAYOUTS[layout], out)
    assert check.faults == []
    return out


def notes(out: Path, split: str) -> list[dict]:
    return [one for one in json.loads((out / "export.json").read_text())["pairs"] if one["split"] == split]


def read_coco(path: Path):
    with contextlib.redirect_stdout(io.StringIO()):
        return pycocotools.COCO(str(path))


def test_coco_repeats_the_annotations_of_a_photo_for_each_variant(labelled, sets, tmp_path):
    out = exported(sets, "coco", "coco", tmp_path / "out")
    original = read_coco(labelled / "instances.json")
    seen = 0
    for split, name in (("train", "train"), ("validation", "val")):
        made = read_coco(out / f"annotations/instances_{name}.json")
        assert made.dataset["categories"] == original.dataset["categories"]
        assert made.dataset["licenses"] == original.dataset["licenses"]
        assert len(made.imgs) == len(notes(out, split))
        assert len({one["id"] for one in made.dataset["annotations"]}) == len(made.dataset["annotations"])
        for number, image in made.imgs.items():
            seen += 1
            source = original.imgs[image["light_image_id"]]
            assert image["license"] == 2
            assert image["light_file_name"] == source["file_name"]
            assert Image.open(out / name / image["file_name"]).size == (source["width"], source["height"])
            ours = made.loadAnns(made.getAnnIds(imgIds=[number]))
            theirs = original.loadAnns(original.getAnnIds(imgIds=[source["id"]]))
            assert len(ours) == len(theirs)
            for one, other in zip(ours, theirs, strict=True):
                same = set(other) - {"id", "image_id", "segmentation"}
                assert {field: one[field] for field in same} == {field: other[field] for field in same}
                if other.get("segmentation"):
                    assert np.array_equal(made.annToMask(one), original.annToMask(other))
    assert seen == 2 * 4 - 1  # the validation photo's other variant is in neither split


def test_yolo_gets_back_the_lines_of_yolo_and_the_boxes_of_coco(labelled, sets, tmp_path):
    out = exported(sets, "yolo", "yolo", tmp_path / "from-yolo")
    described = yaml.safe_load((out / "data.yaml").read_text())
    assert described == {
        "train": "images/train",
        "val": "images/val",
        "names": {0: "cat", 1: "dog", 2: "cup"},
    }
    for split, name in (("train", "train"), ("validation", "val")):
        for note in notes(out, split):
            path = labelled / f"yolo/{note['name'].split('.')[0]}.txt"
            theirs = path.read_text().splitlines() if path.exists() else []
            ours = (out / f"labels/{name}/{note['file']}.txt").read_text().splitlines()
            as_numbers = [[float(word) for word in line.split()] for line in ours]
            assert as_numbers == [
                pytest.approx([float(word) for word in line.split()], abs=1e-6) for line in theirs
            ]
            assert (out / f"images/{name}/{note['file']}.png").exists()
    out = tmp_path / "from-coco"
    split = export_pairs(open_pairs(sets / "coco"), LAYOUTS["yolo"], out, validation=0)
    assert split.left_out["crowds, which YOLO has no line for"] == 2
    assert yaml.safe_load((out / "data.yaml").read_text()) == {
        "train": "images/train",
        "val": "images/train",  # Ultralytics refuses a file without images for validation
        "names": {0: "cat", 1: "cup"},
    }
    note = next(one for one in notes(out, "train") if one["name"] == "photo00.png")
    lines = (out / f"labels/train/{note['file']}.txt").read_text().splitlines()
    assert numbers(lines[0]) == pytest.approx(
        [0, (10.25 + 25) / 264, (20.5 + 30) / 256, 50 / 264, 60 / 256], abs=1e-6
    )


def test_voc_gets_back_the_corners_of_voc(labelled, sets, tmp_path):
    out = exported(sets, "voc", "voc", tmp_path / "out")
    names = {split: (out / f"ImageSets/Main/{split}.txt").read_text().split() for split in ("train", "val")}
    assert len(names["train"]) == 6
    assert len(names["val"]) == 1
    for split, name in (("train", "train"), ("validation", "val")):
        for note in notes(out, split):
            assert note["file"] in names[name]
            ours = ElementTree.parse(out / f"Annotations/{note['file']}.xml").getroot()
            path = labelled / f"voc/{note['name'].split('.')[0]}.xml"
            if not path.exists():
                assert ours.find("object") is None
                continue
            theirs = ElementTree.parse(path).getroot()
            for field in (
                "name",
                "pose",
                "truncated",
                "difficult",
                "bndbox/xmin",
                "bndbox/ymin",
                "bndbox/xmax",
                "bndbox/ymax",
            ):
                assert ours.findtext(f"object/{field}") == theirs.findtext(f"object/{field}")
            assert ours.findtext("size/width") == theirs.findtext("size/width")


def test_masks_keep_their_bytes_and_the_names_of_their_images(labelled, sets, tmp_path):
    out = exported(sets, "masks", "masks", tmp_path / "out")
    for note in notes(out, "train"):
        mask = (out / f"masks/train/{note['file']}.png").read_bytes()
        assert mask == (labelled / f"masks/{note['name'].split('.')[0]}.png").read_bytes()


def test_a_layout_of_ones_own_puts_images_and_masks_where_its_reader_has_them(sets, tmp_path):
    folders = {"train": "annotations/training", "val": "annotations/validation"}
    images = {"train": (("images/training", ""),), "validation": (("images/validation", ""),)}
    layout = Layout("scenes", "a reader", **images, labels=MaskFormat(folders), paired=False)
    out = tmp_path / "out"
    export_pairs(open_pairs(sets / "masks"), layout, out, validation=1)
    for split in ("training", "validation"):
        files = {path.name for path in (out / "images" / split).iterdir()}
        assert files == {path.name for path in (out / "annotations" / split).iterdir()} != set()
    assert check_export(layout, out).faults == []
    Image.new("L", (3, 3)).save(out / "annotations/validation/00001.png")
    (fault,) = check_export(layout, out).faults
    assert "annotations/validation" in fault


def test_the_images_are_the_dark_ones(sets, tmp_path):
    out = exported(sets, "coco", "coco", tmp_path / "out")
    pairs = open_pairs(sets / "coco")
    rows = {row["key"]: row for row in pairs.rows()}
    for note in notes(out, "train"):
        data = (out / f"train/{note['file']}.png").read_bytes()
        assert data == pairs.data(rows[note["key"]], "dark")


def test_a_set_without_labels_or_with_others_is_refused(pair_set, sets, tmp_path):
    with pytest.raises(UsageError, match=r"has no labels: .* of the format coco or yolo or voc$"):
        export_pairs(open_pairs(pair_set), LAYOUTS["coco"], tmp_path / "out")
    with pytest.raises(UsageError, match=r"labels of the format coco: the layout masks .* masks$"):
        export_pairs(open_pairs(sets / "coco"), LAYOUTS["masks"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_names_the_places_of_labels_and_no_options_of_a_reader(sets, tmp_path, capsys):
    out = tmp_path / "out"
    assert exit_code("export", sets / "coco", "--layout", "coco", "--out", out) == 0
    shown = capsys.readouterr().out
    assert f"dark images with their labels. Its places:\n  train images: {out.as_posix()}/train\n" in shown


def numbers(line: str) -> list[float]:
    return [float(word) for word in line.split()]


def test_a_window_is_refused_that_labels_would_not_follow(sets, tmp_path):
    with pytest.raises(UsageError, match="labels, which do not follow `fit`"):
        export_pairs(open_pairs(sets / "coco"), LAYOUTS["coco"], tmp_path / "out", fit=parse_fit("200x200"))
    assert not (tmp_path / "out").exists()


def edit_json(path: Path, change) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def edit_text(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


TRAIN = "annotations/instances_train.json"
DAMAGES = {
    "an image is gone": (
        "coco",
        lambda out: (out / "train/00001.png").unlink(),
        "names 00001.png, which is not there",
    ),
    "an image more": (
        "coco",
        lambda out: shutil.copy(out / "train/00001.png", out / "train/00099.png"),
        "does not name 00099.png",
    ),
    "a size": (
        "coco",
        lambda out: edit_json(out / TRAIN, lambda d: d["images"][0].update(width=1)),
        "not 1x",
    ),
    "a box": (
        "coco",
        lambda out: edit_json(out / TRAIN, lambda d: d["annotations"][0].update(bbox=[0, 0, 999, 1])),
        "exceeds the image",
    ),
    "a category": (
        "coco",
        lambda out: edit_json(out / TRAIN, lambda d: d["annotations"][0].update(category_id=77)),
        "its category 77",
    ),
    "no JSON": ("coco", lambda out: (out / TRAIN).write_text("{"), "pycocotools cannot read it"),
    "no file": ("coco", lambda out: (out / TRAIN).unlink(), f"{TRAIN}: is missing"),
    "a class": (
        "yolo",
        lambda out: (out / "labels/train/00001.txt").write_text("7 0.5 0.5 1 1\n"),
        "class 7",
    ),
    "a fraction": (
        "yolo",
        lambda out: (out / "labels/train/00001.txt").write_text("0 1.5 0.5 1 1\n"),
        "not inside the image",
    ),
    "labels of no image": (
        "yolo",
        lambda out: (out / "labels/train/00077.txt").write_text(""),
        "labels/train/00077.txt: no images/train/00077.*",
    ),
    "class names": ("yolo", lambda out: (out / "data.yaml").write_text("names: {1: a}"), "without gaps"),
    "a list": (
        "voc",
        lambda out: edit_text(out / "ImageSets/Main/train.txt", "train_00001\n", ""),
        "train_00001.jpg: is in no list",
    ),
    "an XML": (
        "voc",
        lambda out: (out / "Annotations/train_00001.xml").unlink(),
        "train_00001.xml: is missing",
    ),
    "a mask": ("masks", lambda out: Image.new("L", (3, 3)).save(out / "masks/train/00001.png"), "not 3x3"),
    "no mask": ("masks", lambda out: (out / "masks/train/00001.png").unlink(), "does not name 00001.png"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damage_is_found_and_named(sets, tmp_path, name):
    layout, damage, message = DAMAGES[name]
    out = exported(sets, layout, layout, tmp_path / "out")
    damage(out)
    faults = check_export(LAYOUTS[layout], out).faults
    assert any(message in fault for fault in faults), faults


def test_without_pycocotools_a_check_names_the_extra_and_finds_no_fault(sets, tmp_path, monkeypatch):
    out = exported(sets, "coco", "coco", tmp_path / "out")
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(UsageError, match=r"pip install 'dimmagen\[coco\]'") as raised:
        check_export(LAYOUTS["coco"], out)
    assert raised.value.code == "missing-package"


def test_a_class_as_ultralytics_also_reads_it_is_no_fault(sets, tmp_path):
    out = exported(sets, "yolo", "yolo", tmp_path / "out")
    for path in out.glob("labels/*/*.txt"):
        lines = [line.split(" ", 1) for line in path.read_text().splitlines()]
        path.write_text("".join(f"{number}.0 {rest}\n" for number, rest in lines))
    assert check_export(LAYOUTS["yolo"], out).faults == []


@pytest.mark.needs("links")
def test_the_three_commands_of_the_page(labelled, tmp_path, capsys, monkeypatch):
    """docs/dark-coco.md, with these photos."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train2017").symlink_to(labelled / "photos")
    page = (Path(__file__).resolve().parents[2] / "docs/dark-coco.md").read_text()
    lines = page.split("```sh\n")[1].split("```")[0].replace("\\\n", " ").splitlines()
    commands = [line.split("#")[0].split() for line in lines if line.startswith("dimmagen")]
    assert len(commands) == 3
    (tmp_path / "instances_train2017.json").write_bytes((labelled / "instances.json").read_bytes())
    for command in commands:
        words = [word.replace("annotations/", "") if "=" in word else word for word in command[1:]]
        serial = ("--executor", "serial") if words[0] == "dim" else ()
        assert exit_code(*words, *serial) == 0, capsys.readouterr()
    assert len(read_coco(tmp_path / "dark-coco/annotations/instances_train.json").imgs) > 0
    pixels, _ = codec.decode_rgb8((tmp_path / "dark-coco/train/00001.png").read_bytes())
    assert pixels.mean() < 128
