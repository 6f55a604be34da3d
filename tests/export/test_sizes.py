"""`fit`: windows out of the middle of both images, without resampling; readers that need sizes get or refuse
them."""

import json
import re

import numpy as np
import pytest

from dimmagen.core.errors import UsageError
from dimmagen.dataset.reader import open_pairs
from dimmagen.export.checking import check_export
from dimmagen.export.layouts import LAYOUTS
from dimmagen.export.readers import READERS
from dimmagen.export.sizes import Fit, SizeRule, cut, parse_fit
from dimmagen.export.writing import export_pairs
from dimmagen.images import codec


@pytest.fixture(scope="module")
def pairs(pair_set):
    return open_pairs(pair_set)  # 256 pixels high, 264 to 269 pixels wide


@pytest.fixture
def to(tmp_path_factory):
    return tmp_path_factory.mktemp("export") / "to"


def test_a_fit_is_a_size_or_a_multiple():
    assert parse_fit("600x400") == Fit(height=400, width=600)
    assert parse_fit("multiple:8") == Fit(multiple=8)
    assert [str(parse_fit(text)) for text in ("600X400", " multiple:8 ")] == ["600x400", "multiple:8"]
    for text in ("600", "0x400", "multiple:0", "multiple:-8", "600x400x3", "", "large"):
        with pytest.raises(UsageError, match="such as 600x400"):
            parse_fit(text)


def test_the_window_is_the_middle_and_too_small_images_have_none():
    assert Fit(multiple=8).size((401, 607)) == (400, 600)
    assert Fit(multiple=8).size((7, 607)) is None
    assert Fit(height=400, width=600).size((400, 600)) == (400, 600)
    assert Fit(height=400, width=600).size((600, 400)) is None
    pixels = np.arange(5 * 7 * 3).reshape(5, 7, 3)
    assert np.array_equal(cut(pixels, (2, 4)), pixels[1:3, 1:5])


def test_both_sides_of_all_variants_are_cut_alike_without_resampling(pairs, to):
    split = export_pairs(pairs, LAYOUTS["lol-v1"], to, fit=Fit(height=200, width=240))
    for number, row in enumerate(split.train, 1):
        for folder, whole in zip(("low", "high"), pairs.images(row), strict=True):
            pixels, _ = codec.decode_rgb8((to / f"our485/{folder}/{number:05d}.png").read_bytes())
            left = (row["width"] - 240) // 2
            assert np.array_equal(pixels, whole[28:228, left : left + 240])
    assert check_export(LAYOUTS["lol-v1"], to).faults == []
    assert json.loads((to / "export.json").read_text())["plan"]["fit"] == "240x200"


def test_images_that_have_the_size_keep_their_bytes(pairs, to):
    export_pairs(pairs, LAYOUTS["lol-v1"], to)
    cut_to = to.with_name("cut")
    export_pairs(pairs, LAYOUTS["lol-v1"], cut_to, fit=Fit(multiple=1))
    for path in to.rglob("*.png"):
        assert path.read_bytes() == (cut_to / path.relative_to(to)).read_bytes()


def test_smaller_images_are_left_out_and_counted(pairs, to):
    wide = sum(row["width"] >= 267 for row in pairs.rows())
    split = export_pairs(pairs, LAYOUTS["lol-v1"], to, fit=Fit(height=256, width=267), validation=1)
    assert split.left_out["smaller than 267x256"] == len(pairs) - wide > 0
    note = json.loads((to / "export.json").read_text())
    assert note["left_out"]["smaller than 267x256"] == len(pairs) - wide
    with pytest.raises(UsageError, match="no pair is left \\(12: smaller than 600x400\\)"):
        export_pairs(pairs, LAYOUTS["lol-v1"], to.with_name("none"), fit=Fit(height=400, width=600))
    assert not to.with_name("none").exists()


@pytest.mark.parametrize("layout", ["basicsr", "basicsr-lmdb", "single-jpg"])
def test_lists_and_databases_have_the_sizes_that_were_cut(pairs, to, layout):
    export_pairs(pairs, LAYOUTS[layout], to, fit=Fit(height=200, width=240))
    assert check_export(LAYOUTS[layout], to).faults == []


def test_a_reader_gets_the_multiples_that_it_needs(pairs, to):
    export_pairs(pairs, LAYOUTS["lol-v1"], to, reader=READERS["llflow"])
    assert check_export(LAYOUTS["lol-v1"], to, reader=READERS["llflow"]).faults == []
    plan = json.loads((to / "export.json").read_text())["plan"]
    assert (plan["reader"], plan["fit"]) == ("llflow", "multiple:8")


@pytest.mark.parametrize(
    ("reader", "fit", "message"),
    [
        ("pydiff-v2", None, "no pair is left \\(12: a side shorter than 320 pixels\\)"),
        ("gsad", None, "no pair is left \\(12: smaller than 600x400\\)"),
        ("gsad", "240x200", "GSAD needs exactly 600x400, and `fit=240x200` is not 600x400"),
        ("gsad", "multiple:8", "GSAD needs exactly 600x400, and `fit=multiple:8` would not do"),
        (
            "llflow",
            "250x200",
            "multiples of 8, and `fit=250x200` has sides that are not",
        ),
        ("llflow", "multiple:12", "LLFlow needs sides that are multiples of 8, and `fit=multiple:12`"),
        ("llflow", "80x80", "LLFlow needs sides of at least 160, and `fit=80x80` has a side shorter"),
        ("hvi-cidnet", None, "HVI-CIDNet reads 485 pairs per epoch, but there are only"),
        ("iat", None, "IAT puts whole images into one batch, but there are . sizes: .*such as 264x256"),
    ],
)
def test_what_a_reader_cannot_take_is_refused_by_its_name(pairs, to, reader, fit, message):
    with pytest.raises(UsageError, match=message):
        export_pairs(
            pairs, LAYOUTS["lol-v1"], to, reader=READERS[reader], fit=fit and parse_fit(fit), validation=1
        )
    assert not to.exists()


@pytest.mark.parametrize("name", ["mirnet", "dimma", "iat"])
def test_the_suggested_fit_suits_the_reader_and_leaves_out_no_picture(pairs, to, name):
    reader = READERS[name]
    options = {"reader": reader, "validation": 2}  # MIRNet's and Dimma's training images may differ in size
    with pytest.raises(UsageError, match="puts whole images into one batch") as refused:
        export_pairs(pairs, LAYOUTS[reader.layout], to, **options)
    suggested = parse_fit(re.search(r"such as (\d+x\d+)", str(refused.value))[1])
    reader.check_fit(suggested)
    split = export_pairs(pairs, LAYOUTS[reader.layout], to, fit=suggested, **options)
    assert split.left_out.keys() <= {"other pairs of the validation scenes"}
    assert check_export(LAYOUTS[reader.layout], to, reader=reader).faults == []


@pytest.mark.parametrize(
    ("reader", "fault"),
    [
        ("llflow", "multiples of 8"),
        ("gsad", "is not 600x400"),
        ("pydiff", "has a side shorter than 288 pixels"),
        ("iat", "and its neighbours have 5 sizes"),
        ("hvi-cidnet", "and HVI-CIDNet reads 485 in every epoch"),
    ],
)
def test_the_check_of_a_reader_tells_sizes_that_it_cannot_take(pairs, to, reader, fault):
    export_pairs(pairs, LAYOUTS["lol-v1"], to, validation=1)
    assert fault in "\n".join(check_export(LAYOUTS["lol-v1"], to, reader=READERS[reader]).faults)


def test_a_rule_says_what_it_asks():
    rule = SizeRule(shortest=96, multiple=8, exact=(400, 600), equal=True)
    assert str(rule) == (
        "exactly 600x400, sides of at least 96, sides that are multiples of 8, one size for all images"
    )
    assert str(SizeRule()) == "any size"


def test_validation_pairs_that_would_have_no_effect_are_refused(pairs, to):
    with pytest.raises(UsageError, match="no validation pairs: `validation=5` has no effect"):
        export_pairs(pairs, LAYOUTS["single-jpg"], to, validation=5)
    export_pairs(pairs, LAYOUTS["single-jpg"], to, validation=0)
