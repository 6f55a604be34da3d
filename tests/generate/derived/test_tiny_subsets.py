"""Subsets of tiny data sets: which pairs, in which order, with which settings and files."""

import hashlib
from dataclasses import replace

import pytest

from dimmagen.core import storage
from dimmagen.core.errors import UsageError
from dimmagen.dataset import pair_tables
from dimmagen.dataset.reader import PairSet, open_pairs
from dimmagen.dataset.verify import verify_dataset
from dimmagen.generate import derived
from dimmagen.generate.derived import stored_sample
from dimmagen.generate.subset import CRITERIA, Selection, write_subset
from tests.dataset_helpers import file_hashes
from tests.generate.derived.pair_sets import find, with_manifest
from tests.tiny_set import memory_url


def test_a_subset_keeps_order_files_and_settings_and_says_what_it_is_of(one, tmp_path):
    kept = with_manifest(one, settings={"generations": [], "removed": {}})
    selection = Selection(keys=tuple(one.row(index)["key"] for index in (6, 1, 2)))
    started, done = [], []
    write_subset(kept, selection, str(tmp_path / "out"), started.append, lambda: done.append(1))
    made = open_pairs(tmp_path / "out")
    assert (started, len(done)) == ([3], 3)
    assert made.table["key"].to_pylist() == [one.row(index)["key"] for index in (1, 2, 6)]
    for row in made.rows():
        sample, new = (stored_sample(pairs, pairs.row(find(pairs, row["key"]))) for pairs in (one, made))
        assert replace(new, row={}) == replace(sample, row={})
        assert new.row == sample.row
        old = one.row(find(one, row["key"]))
        same = [name for name in row if name != "shard" and not name.endswith("_offset")]
        assert {name: row[name] for name in same} == {name: old[name] for name in same}
    settings = made.manifest.settings
    assert settings == {
        **one.manifest.settings,
        "subset": selection.note() | {"sources": []},
        "derived_from": [
            {
                "command": one.manifest.command,
                "fingerprint": one.manifest.fingerprint,
                "root_hash": one.manifest.root_hash,
                "derived_from": [],
            }
        ],
    }
    assert made.manifest.environment == one.manifest.environment
    assert made.manifest.command == "dimmagen subset ORIGIN --out out/ --keys KEYS"
    assert made.manifest.counts.rejected == 2
    assert [entry.samples for entry in made.manifest.shards] == [3]


def test_what_a_subset_does_not_find_is_named(one, tmp_path):
    out = str(tmp_path / "out")
    with pytest.raises(UsageError, match="has no source coco, foldr: it has folder") as caught:
        write_subset(one, Selection(sources=("folder", "foldr", "coco")), out)
    assert (caught.value.code, caught.value.fields) == ("unknown-name", {"kind": "source", "name": "coco"})
    with pytest.raises(UsageError, match=r"did you mean folder\? it has folder"):
        write_subset(one, Selection(sources=("foldr",)), out)
    with pytest.raises(UsageError, match="lacks 2 of the keys, such as a") as caught:
        write_subset(one, Selection(keys=("b", one.row(0)["key"]), without_keys=("a",)), out)
    assert (caught.value.code, caught.value.fields) == ("unknown-name", {"kind": "key", "name": "a"})
    with pytest.raises(UsageError, match=r"no pair of .* matches") as caught:
        write_subset(one, Selection(min_side=16), out)
    assert (caught.value.code, caught.value.fields) == ("no-match", {"dataset": one.out})
    with pytest.raises(UsageError, match="is the data set itself") as caught:
        write_subset(one, Selection(), one.out)
    assert caught.value.code == "conflict"
    assert caught.value.fields == {"parameter": "out", "value": one.out}


def test_a_stopped_subset_goes_on_and_a_finished_one_is_given_back(one, tmp_path):
    out, done = tmp_path / "out", []

    def stopping():
        done.append(1)
        if len(done) == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_subset(one, Selection(), str(out), on_pair=stopping)
    assert not list(out.rglob("*.tmp"))
    done.clear()
    manifest = write_subset(one, Selection(), str(out), on_pair=lambda: done.append(1))
    assert len(done) == 4
    assert [entry.samples for entry in manifest.shards] == [4, 4]
    assert verify_dataset(str(out)).faults == []
    times = [path.stat().st_mtime_ns for path in sorted(out.rglob("*.*"))]
    assert write_subset(one, Selection(), str(out), on_pair=lambda: done.append(1)) == manifest
    assert [path.stat().st_mtime_ns for path in sorted(out.rglob("*.*"))] == times
    assert len(done) == 4


ROW = {
    "key": "folder-1-v0",
    "light_key": "folder-1",
    "source": "folder",
    "gamma": 1.5,
    "lightness_after": 0.25,
    "width": 300,
    "height": 200,
}


@pytest.mark.parametrize(
    ("selection", "is_kept"),
    [
        (Selection(), True),
        (Selection(gamma=(1.5, 2.0)), True),
        (Selection(gamma=(1.0, 1.5)), True),
        (Selection(gamma=(1.51, 2.0)), False),
        (Selection(gamma=(1.0, 1.49)), False),
        (Selection(lightness=(0.25, 0.25)), True),
        (Selection(lightness=(0.26, 1.0)), False),
        (Selection(min_side=200), True),
        (Selection(min_side=201), False),
        (Selection(sources=("coco", "folder")), True),
        (Selection(sources=("coco",)), False),
        (Selection(licence="owner"), True),
        (Selection(licence="cc0"), False),
        (Selection(keys=("folder-1",)), True),
        (Selection(keys=("folder-1-v0", "other")), True),
        (Selection(keys=("folder-1-v1",)), False),
        (Selection(without_keys=("folder-1-v1",)), True),
        (Selection(without_keys=("folder-1-v0",)), False),
        (Selection(keys=("folder-1-v0",), without_keys=("folder-1",)), False),
    ],
)
def test_a_pair_is_kept_that_meets_every_criterion_and_the_ends_of_a_span_count(selection, is_kept):
    assert list(selection.kept([ROW], {})) == ([ROW] if is_kept else [])


def test_the_terms_of_a_source_that_is_not_installed_are_those_that_the_set_recorded():
    row = {**ROW, "source": "moon"}
    settings = {"source_terms": {"moon": "MIT licence"}}
    assert list(Selection(licence="mit").kept([row], settings)) == [row]
    assert list(Selection(licence="owner").kept([row], settings)) == []


def test_a_subset_holds_a_few_rows_at_a_time_and_is_the_same(one, tmp_path, monkeypatch):
    key = one.row(5)["key"]
    write_subset(one, Selection(without_keys=(key,)), str(tmp_path / "whole"))
    monkeypatch.setattr(pair_tables, "_ROWS_AT_ONCE", 2)
    monkeypatch.setattr(PairSet, "rows", None)
    chosen = derived.ChosenPairs(one, [0, 1, 4, 6, 7])
    keys = one.table["key"].to_pylist()
    assert [picked.row["key"] for picked in chosen] == [keys[index] for index in (0, 1, 4, 6, 7)]
    assert [picked.row["key"] for picked in chosen[1:4]] == [keys[1], keys[4], keys[6]]
    assert (chosen[3].row["key"], len(chosen), chosen[5:]) == (keys[6], 5, [])
    write_subset(one, Selection(without_keys=(key,)), str(tmp_path / "by-two"))
    assert file_hashes(tmp_path / "by-two") == file_hashes(tmp_path / "whole")


@pytest.mark.parametrize("name", ["keys", "without_keys"])
def test_a_long_list_of_keys_is_not_searched_from_its_begin_for_every_pair(name):
    compared = []

    class Key(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other):
            compared.append(other)
            return str.__eq__(self, other)

    keys = tuple(Key(number) for number in range(200))
    rows = [{**ROW, "key": str(number), "light_key": ""} for number in range(100, 300)]
    kept = [int(row["key"]) for row in Selection(**{name: keys}).kept(rows, {})]
    assert kept == ([*range(100, 200)] if name == "keys" else [*range(200, 300)])
    assert len(compared) < 1000


def test_a_selection_is_spelled_out_in_the_command_and_recorded_with_lists_as_their_hashes():
    assert Selection().command() == "dimmagen subset ORIGIN --out out/"
    names = {"sources": ("a", "b"), "licence": "CC BY", "gamma": (0.5, 1.0), "lightness": (0.0, 0.25)}
    full = Selection(**names, min_side=64, keys=("y", "x"), without_keys=("z",))
    assert full.command() == (
        "dimmagen subset ORIGIN --out out/ --source a --source b --licence 'CC BY' --gamma 0.5:1.0 "
        "--lightness 0.0:0.25 --min-side 64 --keys KEYS --without-keys KEYS"
    )
    hashes = [hashlib.sha256(text).hexdigest() for text in (b"x\ny", b"z")]
    assert full.note() == {**names, "min_side": 64, "keys": hashes[0], "without_keys": hashes[1]}
    assert Selection().note() == {
        "sources": (),
        "licence": "",
        "gamma": None,
        "lightness": None,
        "min_side": 0,
        "keys": "",
    }


def test_another_subset_is_refused_where_one_is_with_how_to_discard_it(one, tmp_path):
    out = str(tmp_path / "out")
    write_subset(one, Selection(), out)
    with pytest.raises(UsageError, match=r"(?s)subset\.min_side: 0 → 8.*discard them:  remove the folder$"):
        write_subset(one, Selection(min_side=8), out)


def test_a_subset_at_a_url_has_the_manifest_of_one_in_a_folder(one, tmp_path):
    url = memory_url()
    made = write_subset(one, Selection(), url)
    assert made == write_subset(one, Selection(), str(tmp_path / "out"))
    assert open_pairs(url).rows() == open_pairs(tmp_path / "out").rows()


def test_pairs_are_chosen_by_the_terms_that_their_set_recorded(one, tmp_path):
    column = one.table.column_names.index("source")
    table = one.table.set_column(column, "source", [["moon"] * 3 + ["folder"] * 5])
    pairs = replace(with_manifest(one, settings={"source_terms": {"moon": "MIT licence"}}), table=table)
    made = write_subset(pairs, Selection(licence="mit"), str(tmp_path / "out"))
    assert (made.counts.pairs, list(made.counts.lights_by_source)) == (3, ["moon"])


def test_a_subset_needs_the_columns_of_its_criteria_alone(one, tmp_path):
    selection = Selection(keys=(one.row(1)["key"], one.row(6)["light_key"]))
    write_subset(one, selection, str(tmp_path / "whole"))
    write_subset(open_pairs(one.out, CRITERIA), selection, str(tmp_path / "part"))
    assert file_hashes(tmp_path / "part") == file_hashes(tmp_path / "whole")


def test_both_images_of_a_pair_are_read_at_once(one, tmp_path, monkeypatch):
    """On S3 that is one request for each pair."""
    read, ranges = [], storage.read_range
    monkeypatch.setattr(storage, "read_range", lambda *place: read.append(place) or ranges(*place))
    write_subset(one, Selection(), str(tmp_path / "out"))
    assert len([path for path, *_ in read if str(path).startswith(one.out)]) == len(one)
