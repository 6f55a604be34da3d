"""The first stage in which two rows of one pair differ."""

import pytest

from dimmagen.dataset.schema import (
    LABEL_SCHEMA,
    PAIR_SCHEMA,
    PIPELINE_STAGES,
    WHITE_BALANCE,
    first_difference,
    schema_of,
    schema_of_rows,
)

ROW = {column: 1 for columns in PIPELINE_STAGES.values() for column in columns}


def test_rows_without_a_white_balance_compare_as_those_with_one():
    plain = {name: value for name, value in ROW.items() if name not in WHITE_BALANCE}
    assert first_difference(plain, dict(plain)) is None
    assert first_difference(ROW, {**ROW, "balance_green": 1.1}) == ("draws", "balance_green")
    assert first_difference(plain, ROW) == ("draws", "balance_red")


def test_equal_rows_differ_in_no_stage():
    assert first_difference(ROW, dict(ROW)) is None


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        (["source_sha256"], ("source bytes", "source_sha256")),
        (
            ["light_pixel_sha256", "dark_pixel_sha256", "dark_sha256"],
            ("decoded pixels", "light_pixel_sha256"),
        ),
        (["dark_sha256", "noise_seed", "dark_pixel_sha256"], ("draws", "noise_seed")),
        (["dark_sha256", "lightness_after"], ("dark pixels", "lightness_after")),
        (["light_sha256"], ("encoded bytes", "light_sha256")),
    ],
)
def test_the_first_stage_that_differs_is_reported_whatever_follows_from_it(changed, difference):
    other = {**ROW, **dict.fromkeys(changed, 2)}
    assert first_difference(other, ROW) == first_difference(ROW, other) == difference


@pytest.mark.parametrize("labels", [{}, {"labels": {"format": "yolo"}}])
@pytest.mark.parametrize("balance", [{}, {"white_balance": "drawn"}])
def test_a_white_balance_and_labels_add_their_columns(labels, balance):
    place = PAIR_SCHEMA.names.index("exposure") + 1
    names = PAIR_SCHEMA.names[:place] + [*WHITE_BALANCE] * bool(balance) + PAIR_SCHEMA.names[place:]
    names += LABEL_SCHEMA.names * bool(labels)
    assert schema_of({**labels, **balance}).names == names
    assert schema_of_rows([dict.fromkeys(names)]).names == names
    assert schema_of_rows([]) == schema_of({"labels": {}, "white_balance": ""}) == PAIR_SCHEMA
