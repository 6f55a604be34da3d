"""The contract test of archive formats, and the registry, find each promise that one breaks."""

import itertools
from typing import ClassVar

import numpy as np
import pytest

from dimmagen import check_archive
from dimmagen.core.errors import DimmagenError
from dimmagen.sources.archive_formats import ARCHIVES
from dimmagen.sources.archives import list_entries

DATA = {"one.png": b"abc", "two.JPG": b"defgh"}


class Box:
    endings = (".box", ".tar.box")

    def members(self, path):
        for name, data in DATA.items():
            yield name, len(data), {"name": name}

    def read(self, path, place):
        return DATA[place["name"]]


class Upper(Box):
    endings = (".Box",)


class Listed(Box):
    endings: ClassVar = [".box"]


class Endless:
    members = Box.members
    read = Box.read


class Empty(Box):
    def members(self, path):
        return iter(())


class OfTwo(Box):
    def members(self, path):
        return ((name, size) for name, size, _ in super().members(path))


class Nameless(Box):
    def members(self, path):
        return ((name[:3], size, place) for name, size, place in super().members(path))


class Same(Box):
    def members(self, path):
        return (("x.png", size, place) for _, size, place in super().members(path))


class Growing(Box):
    count = itertools.count()

    def members(self, path):
        yield f"{next(self.count)}.png", 3, {"name": "one.png"}


class OfNumpy(Box):
    def members(self, path):
        return ((name, size, np.int64(0)) for name, size, _ in super().members(path))


class Sizeless(Box):
    def members(self, path):
        return ((name, 0, place) for name, _, place in super().members(path))


class OfViews(Box):
    def read(self, path, place):
        return memoryview(super().read(path, place))


class Once(Box):
    def __init__(self):
        self.given = set()

    def read(self, path, place):
        data = super().read(path, place)
        if place["name"] in self.given:
            return data[:1]
        self.given.add(place["name"])
        return data


def test_a_format_that_keeps_its_promises_passes():
    check_archive(Box(), "a.BOX")


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (Upper, "its endings have '.Box'"),
        (Listed, "its endings are .*, not a tuple"),
        (Endless, "an object of Endless has no endings"),
        (lambda: Box, "give an instance"),
        (Empty, "has no member"),
        (OfTwo, r"is not \(name, size, place\)"),
        (Nameless, "the name 'one' does not end as image files do"),
        (Same, "two members have one name"),
        (Growing, "the members are others the second time"),
        (OfNumpy, "JSON cannot hold the place"),
        (Sizeless, "two.JPG has 5 bytes, but is listed with 0"),
        (OfViews, r"read\(\) gives memoryview for two.JPG, not bytes"),
        (Once, "other bytes for one.png the second time"),
    ],
)
def test_a_broken_promise_is_named(made, said):
    with pytest.raises(AssertionError, match=said):
        check_archive(made(), "a.box")


def test_a_file_of_another_ending_is_no_example():
    with pytest.raises(AssertionError, match=r"a\.zip has none of the endings"):
        check_archive(Box(), "a.zip")


@pytest.mark.parametrize("made", [Upper, Listed, Endless])
def test_a_format_that_finds_no_file_is_refused_when_files_are_listed(made, tmp_path, monkeypatch):
    (tmp_path / "a.box").touch()
    monkeypatch.setattr(ARCHIVES, "_loaded", {"box": made()})
    with pytest.raises(DimmagenError, match="the archive format box cannot be used: ") as caught:
        list_entries(str(tmp_path / "a.box"))
    assert caught.value.code == "plugin-broken"


def test_a_place_that_json_cannot_hold_is_refused_when_files_are_listed(tmp_path, monkeypatch):
    (tmp_path / "a.box").touch()
    monkeypatch.setattr(ARCHIVES, "_loaded", {"box": OfNumpy()})
    with pytest.raises(DimmagenError, match=r"the archive format box gives a place .*fix its members\(\)"):
        list_entries(str(tmp_path / "a.box"))
