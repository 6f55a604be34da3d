"""`labels` of photos that EXIF data turn: for the stored image or for the one that is seen."""

import json

import numpy as np
import pytest
from PIL import Image, ImageOps

from dimmagen import build_mixhq, make_dataset
from dimmagen.core.text import pluralize
from dimmagen.dataset.reader import open_pairs
from tests.labelled_photos import wall


def test_an_upright_photo_has_labels_of_either_size(tmp_path):
    photo = wall(300, 500)
    photo[20:60, 30:130] = 0
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "photos").mkdir()
    Image.fromarray(photo).save(tmp_path / "photos/a.jpg", quality=95, exif=exif)
    for name, size, box in (
        ("stored", (500, 300), [30, 20, 100, 40]),
        ("upright", (300, 500), [240, 30, 40, 100]),
    ):
        document = {
            "images": [{"id": 1, "file_name": "a.jpg", "width": size[0], "height": size[1]}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": box}],
            "categories": [{"id": 1, "name": "black"}],
        }
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
        labels = f"coco={tmp_path}/{name}.json"
        make_dataset("linear", [str(tmp_path / "photos")], tmp_path / name, labels=labels)
        pairs = open_pairs(tmp_path / name)
        _, light = pairs.images(pairs.row(0))
        (one,) = json.loads(pairs.labels(pairs.row(0)))["annotations"]
        assert one["bbox"] == [240, 30, 40, 100]
        assert light.shape == (500, 300, 3)
        assert light[35:125, 245:275].mean() < 20


def turned_photos(folder, names: str, for_stored: bool) -> str:
    """Photos with a black box, of which EXIF data turn each, and the option for their labels.

    `a` is turned on its side, `b` upside down, and `c` is square and turned on its side.
    """
    folder.mkdir()
    images, annotations = [], []
    for number, name in enumerate(names, 1):
        photo = wall(300, 300 if name == "c" else 500, 180 + number)
        photo[20:60, 30:130] = 0
        exif = Image.Exif()
        exif[0x0112] = 3 if name == "b" else 6
        stored = Image.fromarray(photo)
        stored.save(folder / f"{name}.jpg", quality=95, exif=exif)
        seen = stored if for_stored else ImageOps.exif_transpose(Image.open(folder / f"{name}.jpg"))
        rows, columns = np.nonzero(np.asarray(seen)[..., 0] < 90)
        x, y = int(columns.min()), int(rows.min())
        images.append({"id": number, "file_name": f"{name}.jpg", "width": seen.width, "height": seen.height})
        box = [x, y, int(columns.max()) + 1 - x, int(rows.max()) + 1 - y]
        annotations.append({"id": number, "image_id": number, "category_id": 1, "bbox": box})
    document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "black"}]}
    (folder / "labels.json").write_text(json.dumps(document))
    return f"coco={folder}/labels.json"


@pytest.mark.parametrize("for_stored", [True, False])
def test_labels_whose_size_fits_both_ways_are_for_what_those_of_the_others_are(tmp_path, caplog, for_stored):
    """Upside down, or square: a program that ignores EXIF data labelled them as it labelled the others."""
    labels = turned_photos(tmp_path / "photos", "abc", for_stored)
    make_dataset("linear", [str(tmp_path / "photos")], tmp_path / "out", labels=labels)
    pairs = open_pairs(tmp_path / "out")
    for row in pairs.rows():
        _, light = pairs.images(row)
        x, y, width, height = json.loads(pairs.labels(row))["annotations"][0]["bbox"]
        rows, columns = np.nonzero(light[..., 0] < 90)
        edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert [x, y, x + width, y + height] == pytest.approx(edges, abs=1), row["name"]
    assert not [one for one in caplog.messages if "EXIF" in one]


@pytest.mark.parametrize("names", ["b", "bc"])
def test_labels_of_which_no_size_says_what_they_are_for_are_told(tmp_path, caplog, names):
    labels = turned_photos(tmp_path / "photos", names, for_stored=False)
    make_dataset("linear", [str(tmp_path / "photos")], tmp_path / "out", labels=labels)
    (said,) = [one for one in caplog.messages if "EXIF" in one]
    assert f"those of {pluralize(len(names), 'photo')}, such as " in said


def test_labels_of_upright_photos_in_a_mixhq_need_no_word(tmp_path, caplog):
    labels = turned_photos(tmp_path / "photos", "a", for_stored=False)
    build_mixhq([str(tmp_path / "photos")], tmp_path / "mixhq")
    make_dataset("linear", [str(tmp_path / "mixhq")], tmp_path / "out", labels=labels)
    assert not [one for one in caplog.messages if "EXIF" in one]
