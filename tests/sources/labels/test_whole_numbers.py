"""Programs that keep all numbers as floats write classes, ids and sizes with a point: `0.0`, `640.0`."""

import json
import re

import pytest

from dimmagen.sources.labels.annotations import whole_number
from dimmagen.sources.labels.coco import CocoLabels
from dimmagen.sources.labels.voc import VocLabels
from dimmagen.sources.labels.yolo import YoloLabels
from tests.labelled_photos import write_labelled_photos


def with_points(path):
    """Write the first number of each line, the sizes and all numbers of a JSON file with a point."""
    text = path.read_text()
    if path.suffix == ".json":
        text = re.sub(r"(?<=[ \[])(\d+)(?=[,}\]])", r"\1.0", text)
    elif path.suffix == ".xml":
        text = re.sub(r"<(width|height)>(\d+)<", r"<\1>\2.0<", text)
    else:
        text = re.sub(r"^(\d+) ", r"\1.0 ", text, flags=re.MULTILINE)
    assert text != path.read_text()
    path.write_text(text)


@pytest.mark.parametrize(
    ("labels", "place", "files"),
    [
        (YoloLabels, "yolo", "yolo/*.txt"),
        (VocLabels, "voc", "voc/*.xml"),
        (CocoLabels, "instances.json", "instances.json"),
    ],
)
def test_labels_with_points_are_those_without(tmp_path, labels, place, files):
    write_labelled_photos(tmp_path)
    plain = labels(str(tmp_path / place))
    expected = {name: plain.read(name) for name in plain.names()}
    for path in tmp_path.glob(files):
        with_points(path)
    read = labels(str(tmp_path / place))
    found = {name: read.read(name) for name in read.names()}
    assert found == expected
    # 1 == 1.0, and a data set keeps the numbers as JSON.
    assert [json.dumps(one.annotations) for one in found.values()] == [
        json.dumps(one.annotations) for one in expected.values()
    ]


def test_whole_numbers_are_exact_and_no_others_are_taken():
    assert [whole_number(one) for one in ("3", "3.0", 3.0, True, 2**60 + 1, "-1.0")] == [
        3,
        3,
        3,
        1,
        2**60 + 1,
        -1,
    ]
    for wrong in ("0.5", 2.5, "nan", float("inf"), 10**400, "", "x"):
        with pytest.raises(ValueError, match=r"\w"):
            whole_number(wrong)
