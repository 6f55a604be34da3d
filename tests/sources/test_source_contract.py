"""The contract test of sources, and the registry, find what a half-written source lacks."""

import pytest

from dimmagen import check_source
from dimmagen.core.errors import DimmagenError
from dimmagen.sources import SOURCES, parse_specs
from dimmagen.sources.base import StillSource
from dimmagen.sources.rules import ACCEPTED


class Square(StillSource):
    name, title, terms = "square", "Square photos", "CC BY 4.0"

    def rule(self, facts):
        return ACCEPTED


class Other(Square):
    name = "squares"


class Untitled(Square):
    title = " "


class Termless(StillSource):
    name, title = "square", "Square photos"

    def rule(self, facts):
        return ACCEPTED


class Ruleless(StillSource):
    name, title, terms = "square", "Square photos", "CC BY 4.0"


class UpperCase(Square):
    extensions = (".JPG",)


class OneEnding(Square):
    extensions = ".jpg"


class ThreeFrames(Square):
    frames = ("first", "middle", "last")


def square(path):
    return []


BROKEN = [
    (Other, "its name is 'squares', but it is registered as 'square'"),
    (Untitled, "its title is ' ', not a text"),
    (Termless, "an object of Termless has no terms"),
    (Ruleless, r"Ruleless has no rule\(\)"),
    (UpperCase, "its extensions have '.JPG', with which no name in lower case can end"),
    (OneEnding, r"its extensions are '.jpg', not a tuple"),
    (ThreeFrames, "frames are .*, not"),
    (lambda: square, r"an object of function has no name, title, .*examine\(\)"),
]


def test_a_complete_source_is_taken(monkeypatch):
    monkeypatch.setitem(SOURCES._loaded, "square", Square())
    assert [str(spec) for spec in parse_specs(["square=photos"])] == ["square=photos"]
    check_source(Square())


@pytest.mark.parametrize(("made", "said"), BROKEN)
def test_what_a_half_written_source_lacks_is_named_before_a_photo_is_read(made, said, monkeypatch):
    monkeypatch.setitem(SOURCES._loaded, "square", made())
    with pytest.raises(DimmagenError, match=f"the source square cannot be used: {said}") as caught:
        parse_specs(["square=photos"])
    assert caught.value.code == "plugin-broken"


@pytest.mark.parametrize(("made", "said"), BROKEN[1:-1])
def test_the_contract_finds_the_same(made, said):
    with pytest.raises(AssertionError, match=said):
        check_source(made())


def test_a_class_is_no_source():
    with pytest.raises(AssertionError, match="give an instance"):
        check_source(Square)
