"""The classes of YOLO's labels."""

from dimmagen.sources.labels.yolo import YoloLabels


def test_an_empty_line_among_the_classes_moves_no_name_to_another_number(tmp_path):
    """Programs for labelling count the lines of classes.txt, the empty ones among them."""
    (tmp_path / "classes.txt").write_bytes(b"\xef\xbb\xbfcat\r\n\r\ncup\r\n\r\n")
    (tmp_path / "photo.txt").write_text("2 0.5 0.5 0.2 0.2\n1 0.5 0.5 0.1 0.1\n")
    labels = YoloLabels(str(tmp_path))
    found = labels.read(next(labels.names())).annotations
    assert [(one["category_id"], one["category"]) for one in found] == [(2, "cup"), (1, "1")]
    assert {one["id"]: one["name"] for one in labels.categories} == {0: "cat", 1: "1", 2: "cup"}
