"""Layouts that are registered half-right are refused by what is wrong, before anything is written."""

import pytest

from dimmagen.core.errors import DimmagenError
from dimmagen.export.layouts import LAYOUTS, Layout

PAIR = (("low", "high"),)


@pytest.mark.parametrize(
    "layout",
    [
        Layout("mine", "x", train=PAIR),
        Layout("mine", "x", train=(("a", "b"), ("c/a", "c/b")), validation=(("d", "e"),)),
        Layout("mine", "x", train=(("a", ""),), paired=False),
        Layout("mine", "x", train=PAIR, validation=PAIR, names="{split}_{number:05d}"),
    ],
)
def test_a_layout_whose_folders_are_different_is_taken(layout, monkeypatch):
    monkeypatch.setitem(LAYOUTS._loaded, "mine", layout)
    assert LAYOUTS["mine"] is layout


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        ({"train": PAIR}, "an object of dict is not a Layout"),
        (Layout("other", "x", train=PAIR), "its name is 'other', but it is registered as 'mine'"),
        (Layout("mine", None, train=PAIR), "its readers are None, not a text"),
        (Layout("mine", "x", train=("low", "high")), r"train is \('low', 'high'\), not a tuple of"),
        (Layout("mine", "x", train=PAIR, test=(("", ""),)), "test is .*, not a tuple of"),
        (Layout("mine", "x", train=()), "train has no folder"),
        (Layout("mine", "x", train=(("../low", "high"),)), "'../low' is not a folder inside the export"),
        (Layout("mine", "x", train=(("low", "/high"),)), "'/high' is not a folder inside the export"),
        (Layout("mine", "x", train=(("low", "C:\\high"),)), ".*high' is not a folder inside the export"),
        (
            Layout("mine", "x", train=(("low", ""),)),
            "train has images of one side only, which needs paired=False",
        ),
        (Layout("mine", "x", train=(("one", "one/"),)), "train would write two images to one file"),
        (Layout("mine", "x", train=PAIR, test=PAIR), "test would write two images to one file"),
    ],
)
def test_what_is_wrong_with_a_layout_is_named_before_anything_is_written(layout, said, monkeypatch):
    monkeypatch.setitem(LAYOUTS._loaded, "mine", layout)
    with pytest.raises(DimmagenError, match=f"the layout mine cannot be used: {said}") as caught:
        LAYOUTS["mine"]
    assert caught.value.code == "plugin-broken"
