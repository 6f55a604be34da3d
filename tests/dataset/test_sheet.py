"""The contact sheet of a data set: which pairs it shows, in which order, and what stands above them."""

import numpy as np
import pyarrow as pa

from dimmagen.core.keyed_random import rank
from dimmagen.dataset.reader import open_pairs
from dimmagen.dataset.sheet import choose_rows, pair_views
from dimmagen.images.sheets import contact_sheet, jpeg_bytes

IMAGES, VARIANTS = 5, 3
ROWS = [
    {"key": f"photo-{image}-v{variant}", "light_key": f"photo-{image}", "variant": variant}
    | {"lightness_after": image / 10 + variant / 100}
    for image in range(IMAGES)
    for variant in range(VARIANTS)
]


def test_the_choice_of_earlier_versions_stays_and_the_darkest_come_last():
    chosen = choose_rows([pa.Table.from_pylist(ROWS)], VARIANTS, 3)
    assert [row["key"] for row in chosen] == ["photo-4-v1", "photo-3-v1", "photo-2-v1"]


def test_each_light_image_is_shown_once_before_any_again_in_the_order_of_its_rank():
    def order(row):
        representative = int.from_bytes(rank(0, row["light_key"], "sheet"), "big") % VARIANTS
        return row["variant"] != representative, rank(0, row["key"], "sheet")

    ordered, halves = sorted(ROWS, key=order), [ROWS[:7], ROWS[7:]]
    for count in range(1, len(ROWS) + 1):
        expected = sorted(ordered[:count], key=lambda row: -row["lightness_after"])
        assert choose_rows(map(pa.Table.from_pylist, halves), VARIANTS, count) == expected
        assert len({row["light_key"] for row in expected}) == min(count, IMAGES)


def test_a_sheet_has_six_pairs_with_their_draws_in_that_order(pair_set):
    pairs = open_pairs(pair_set)
    shown = choose_rows([pairs.table], 2, 6)
    views = [*pair_views(pairs, shown)]
    row = shown[0]
    dark, light = pairs.images(row)
    assert np.array_equal(views[0].dark, dark)
    assert np.array_equal(views[0].light, light)
    assert views[0].caption == (
        f"{row['key']}    gamma {row['gamma']:.2f}    "
        f"lightness {row['lightness_before']:.3f} to {row['lightness_after']:.3f}"
    )
    sheet = jpeg_bytes(contact_sheet(iter(views), width=256))
    assert (pair_set / "sheet.jpg").read_bytes() == sheet


def test_every_light_image_is_shown_before_any_is_repeated_in_any_order_of_the_data_set():
    parts = [pa.Table.from_pylist(ROWS[:4]), pa.Table.from_pylist(ROWS[4:])]
    chosen = choose_rows(parts, VARIANTS, IMAGES)
    assert {row["light_key"] for row in chosen} == {f"photo-{image}" for image in range(IMAGES)}
    assert len({row["variant"] for row in chosen}) > 1
    assert choose_rows([pa.Table.from_pylist(ROWS[::-1])], VARIANTS, IMAGES) == chosen
    assert len(choose_rows(parts, VARIANTS, 100)) == IMAGES * VARIANTS
