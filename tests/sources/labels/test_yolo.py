"""The classes of YOLO's labels."""

import pytest

from dimmagen.core.errors import DimmagenError
from dimmagen.sources.labels.yolo import YoloLabels


def read_line(folder, line, description=""):
    """The annotations of a label file with one line, beside a data.yaml of this content."""
    (folder / "data.yaml").write_text(description or "names: [cat, cup]")
    (folder / "photo.txt").write_text(line)
    labels = YoloLabels(str(folder))
    return labels.read(next(labels.names())).annotations


def test_an_empty_line_among_the_classes_moves_no_name_to_another_number(tmp_path):
    """Programs for labelling count the lines of classes.txt, the empty ones among them."""
    (tmp_path / "classes.txt").write_bytes(b"\xef\xbb\xbfcat\r\n\r\ncup\r\n\r\n")
    (tmp_path / "photo.txt").write_text("2 0.5 0.5 0.2 0.2\n1 0.5 0.5 0.1 0.1\n")
    labels = YoloLabels(str(tmp_path))
    found = labels.read(next(labels.names())).annotations
    assert [(one["category_id"], one["category"]) for one in found] == [(2, "cup"), (1, "1")]
    assert {one["id"]: one["name"] for one in labels.categories} == {0: "cat", 1: "1", 2: "cup"}


@pytest.mark.parametrize("number", ["2", "15", "-1"])
def test_a_class_that_is_not_among_the_named_ones_is_refused(tmp_path, number):
    """Labels of another data set, or of a converter that does not know a class."""
    with pytest.raises(
        DimmagenError, match=f"photo.txt, line 1: its class {number} is not one of the classes"
    ):
        read_line(tmp_path, f"{number} 0.5 0.5 0.2 0.2")
    (one,) = read_line(tmp_path, "1 0.5 0.5 0.2 0.2")
    assert one["category"] == "cup"
    with pytest.raises(DimmagenError, match=r"its class -1 is not one of the classes: "):
        read_line(tmp_path, "-1 0.5 0.5 0.2 0.2", description="nc: 3")


def test_classes_without_names_are_told(tmp_path, caplog):
    """The folder `labels/` was given, and data.yaml is above it."""
    (one,) = read_line(tmp_path, "7 0.5 0.5 0.2 0.2", description="nc: 8")
    assert one["category"] == "7"
    assert caplog.messages == [
        f"no data.yaml or classes.txt in {tmp_path} names the classes: they get their numbers"
    ]
    caplog.clear()
    read_line(tmp_path, "1 0.5 0.5 0.2 0.2")
    assert not caplog.messages


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("0 320 240 50 40", "320"),  # pixels
        ("0 0.1 0.1 30 0.2 0.1 0.2", "30"),
        ("0 0.5 0.5 0.2 0.2 0.4 0.4 2 0.6 0.6 2 0.5 0.5 2 0.4 0.6 2", "2"),  # four keypoints, as a polygon
        ("0 0.5 -0.6 0.2 0.2", "-0.6"),
    ],
)
def test_numbers_that_are_no_fractions_of_the_image_are_refused(tmp_path, line, value):
    with pytest.raises(DimmagenError, match=f"line 1: {value} is not a fraction of the image"):
        read_line(tmp_path, line)
    assert read_line(tmp_path, "0 1.02 0.5 0.2 0.2")  # an object at the edge


def test_keypoints_of_the_shape_that_is_given_are_read(tmp_path):
    line = "0 0.5 0.5 0.2 0.2 0.4 0.4 2 0.6 0.6 2 0.5 0.5 2 0.4 0.6 2"
    (one,) = read_line(tmp_path, line, description="names: [pose]\nkpt_shape: [4, 3]")
    assert (one["num_keypoints"], one["polygons"]) == (4, [])
