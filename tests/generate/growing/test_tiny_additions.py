"""What must hold before photos are added to a data set."""

from dataclasses import replace

import fsspec
import pytest

from dimmagen.core.errors import UsageError
from dimmagen.core.lock import STATE
from dimmagen.dataset.generations import generations_of, removals_of
from dimmagen.dataset.manifest import EXCLUDE, Manifest, Run
from dimmagen.dataset.reader import open_pairs
from dimmagen.generate import growing
from dimmagen.generate.growing import (
    begin_addition,
    earlier_photos,
    has_nothing_new,
    light_format_of_addition,
    open_base,
    refuse_other_settings,
)
from dimmagen.generate.resume import DatasetFolder
from dimmagen.sources.photo_selection import PhotoSelection
from tests.dataset_helpers import build_dimmer, file_hashes, refused
from tests.generate.growing.made import SETTINGS, settings_of
from tests.tiny_set import TinyLights, memory_url, rejected_row, with_settings


def test_a_data_set_to_add_to_is_a_finished_one_that_is_not_derived(grown, tmp_path):
    assert open_base(str(tmp_path)) is None
    assert open_base(str(grown)).manifest == Manifest.load(str(grown))
    error = refused(generations_of, with_settings(open_pairs(grown), derived_from=[]).manifest)
    assert (type(error), error.code) == (UsageError, "usage")


def test_what_a_set_holds_is_its_photos_its_rejected_candidates_and_what_was_taken_out(grown, monkeypatch):
    class Noted:
        def __init__(self, names, removed):
            self.names, self.removed, self.rejected = names, [*removed], []

        def add_rejected(self, *parts):
            self.rejected.append(parts)

    monkeypatch.setattr(growing, "Earlier", Noted)
    removal = {"list_sha256": "1" * 64, "pairs": 2, "shards": 1, "generations": 1}
    removed = [{**removal, "photos": [digit * 64]} for digit in "23"]
    pairs = with_settings(open_pairs(grown), removed=removed)
    found = earlier_photos(pairs)
    assert found.names == {row["light_key"]: row["name"] for row in pairs.rows()}
    assert len(found.names) == 7
    assert found.removed == ["2" * 64, "3" * 64]
    assert found.rejected == [
        ("coco", "d.png", "", "", "size"),
        ("folder", "b.png", "", "b" * 64, "size"),
        ("folder", "c.png", "", "c" * 64, "size"),
    ]
    assert [one.photos for one in removals_of(pairs.manifest)] == [["2" * 64], ["3" * 64]]


def begin(out, selection=None, resume="if-possible", settings=SETTINGS):
    return begin_addition(str(out), selection or PhotoSelection(), resume, build_dimmer, settings)


def test_an_addition_is_checked_before_a_photo_is_read(grown, tmp_path):
    base, earlier = begin(grown)
    assert base.manifest == Manifest.load(str(grown))
    assert earlier.known == 0
    assert begin(tmp_path, settings=None) == (None, None)
    error = refused(begin, tmp_path, PhotoSelection(limit=3))
    assert (error.code, error.fields) == ("conflict", {"parameters": ("limit", "add")})
    for resume in ("always", "never"):
        error = refused(begin, tmp_path, None, resume)
        assert f'`resume="{resume}"` cannot be combined with `add`' in error.what
        assert (error.code, error.fields) == ("conflict", {"parameters": ("resume", "add")})
    error = refused(begin, grown, None, "if-possible", replace(SETTINGS, seed=3))
    assert error.fields == {"differences": ["seed: 0 → 3"]}


def test_the_exclusion_of_the_set_is_not_compared_before_its_scenes_are_read(grown, monkeypatch):
    base = with_settings(open_pairs(grown), **{EXCLUDE: "5" * 64})
    monkeypatch.setattr(growing, "open_base", lambda out: base)
    assert begin(grown)[0] == base


def test_with_nothing_new_a_stopped_addition_is_dropped(copy):
    before, nothing, base = file_hashes(copy), TinyLights([]), open_base(str(copy))
    run = Run({**base.manifest.settings, "lights": 8}, base.manifest.environment)
    DatasetFolder(str(copy)).begin_addition(base.manifest, run, {})
    (copy / "shards/train-00006.tar").write_bytes(b"of the addition")
    assert not has_nothing_new(TinyLights([], [rejected_row("e.png")]), base)
    assert (copy / "shards/train-00006.tar").exists()
    assert has_nothing_new(nothing, base)
    assert file_hashes(copy) == before
    assert not (copy / STATE).exists()
    other = replace(base, manifest=base.manifest.model_copy(update={"command": "another"}))
    assert refused(has_nothing_new, nothing, other).code == "locked"


def test_some_photos_are_something_new(grown, parts):
    assert not has_nothing_new(replace(parts[0], rejects=[]), open_base(str(grown)))


def test_settings_that_differ_are_refused_by_name_with_both_values(base):
    error = refused(refuse_other_settings, base, settings_of(base, seed=9, variants=1))
    assert error.fields == {"differences": ["seed: 0 → 9", "variants: 2 → 1"]}
    assert error.what == (
        "the data set was made with other settings:\n    seed: 0 → 9\n    variants: 2 → 1\n"
        "Give the same ones to add photos to it, or choose another `out` folder"
    )
    varying = {"light_format": "png", "source_terms": {}, "labels": {}, "generations": [], "removed": []}
    refuse_other_settings(base, settings_of(base, **varying))


@pytest.mark.parametrize(
    ("has_grown", "advice"),
    [
        (True, " for more variants of all photos; the pairs of this one will have the same pixels there"),
        (False, ". To get more variants, first run without `add` on the photos that the data set has"),
    ],
)
def test_more_variants_are_refused_with_where_they_come(has_grown, advice, base, first):
    base = base if has_grown else Manifest.load(str(first))
    error = refused(refuse_other_settings, base, settings_of(base, variants=3))
    assert error.fields == {"differences": ["variants: 2 → 3"]}
    assert error.what.endswith(f"choose another `out` folder{advice}")


@pytest.mark.parametrize(
    ("asked", "recorded", "before", "new", "chosen"),
    [
        ("auto", "same", ["jpg"], ["jpg"], "same"),
        ("auto", "same", ["png"], ["jpg"], "png"),
        ("auto", "same", ["jpg"], ["png"], None),
        ("jpg", "same", ["jpg"], ["png"], "jpg"),
        ("same", "same", ["jpg"], ["png"], "same"),
        ("auto", "same", ["jpg", "png"], ["png"], "same"),
        ("png", "same", ["jpg", "png"], ["png"], None),
        ("auto", "png", ["png"], ["jpg"], "png"),
        ("auto", "jpg", ["jpg"], ["png"], "jpg"),
        ("same", "png", ["png"], ["jpg"], None),
        ("auto", "same", ["jpg"], [], "same"),
    ],
)
def test_the_light_format_keeps_the_bytes_of_what_is_there(asked, recorded, before, new, chosen):
    if chosen is None:
        with pytest.raises(UsageError, match="would change existing files"):
            light_format_of_addition(asked, recorded, before, new)
    else:
        assert light_format_of_addition(asked, recorded, before, new) == chosen


def test_with_nothing_new_a_set_at_a_url_is_left_as_it_is(first):
    memory, url = fsspec.filesystem("memory"), memory_url()
    memory.put(str(first), url, recursive=True)
    before = sorted(memory.find(url))
    assert has_nothing_new(TinyLights([]), open_base(url))
    assert sorted(memory.find(url)) == before
