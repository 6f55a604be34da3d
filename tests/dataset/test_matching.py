"""Rows of two sets are matched by name."""

from dimmagen.dataset.matching import matched_rows

A, B, C = {"of": "a"}, {"of": "b"}, {"of": "c"}


def test_rows_are_matched_by_name_and_those_of_one_set_alone_are_there():
    one, other = [("a", A), ("b", B)], [("c", C), ("a", B)]
    assert [*matched_rows(one, other)] == [("a", A, B), ("b", B, None), ("c", None, C)]


def test_of_rows_with_one_name_the_first_ones_belong_together():
    """As of an archive that has a member twice: the first is accepted, the second a duplicate of it."""
    rows = [("a", A), ("b", C), ("a", B)]
    assert [*matched_rows(rows, rows)] == [("a", A, A), ("b", C, C), ("a", B, B)]
    assert [*matched_rows(rows, rows[:2])] == [("a", A, A), ("b", C, C), ("a", B, None)]
    assert [*matched_rows(rows[:2], rows)] == [("a", A, A), ("b", C, C), ("a", None, B)]
