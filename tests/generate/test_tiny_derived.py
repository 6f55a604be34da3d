"""Subsets and merges of tiny data sets: which pairs, in which order, with which settings and files."""

import hashlib
import json
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow.parquet as pq
import pytest

from dimmagen.core import hashing, keyed_random
from dimmagen.core.errors import UsageError
from dimmagen.dataset.card import pair_layout_file
from dimmagen.dataset.reader import PairSet, open_pairs
from dimmagen.dataset.schema import WHITE_BALANCE
from dimmagen.dataset.verify import verify_dataset
from dimmagen.dimmers.closed_form import LinearModel
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.generate import derived
from dimmagen.generate.derived import stored_sample
from dimmagen.generate.merge import write_merge
from dimmagen.generate.pair import PairSettings
from dimmagen.generate.run import Execution, generate_dataset
from dimmagen.generate.subset import Selection, write_subset
from dimmagen.images import codec
from dimmagen.sources.labels.index import open_labels
from tests.dataset_helpers import build_dimmer, file_hashes
from tests.tiny_set import assert_described, make_tiny, memory_url, rejected_row, tiny_lights


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """4 light images of two file types, 2 variants; two rejected candidates."""
    folder = tmp_path_factory.mktemp("one")
    lights = tiny_lights(folder / "lights", 4)
    lights.rejects[:] = [rejected_row("b.png"), rejected_row("c.png")]
    make_tiny(lights, folder / "out", variants=2, samples_per_shard=5)
    return open_pairs(folder / "out")


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """3 other light images of a source, 1 variant; two rejected candidates, one of which is also in `one`."""
    folder = tmp_path_factory.mktemp("two")
    lights = tiny_lights(folder / "lights", 3, first=4, source="coco")
    lights.rejects[:] = [
        rejected_row("b.png"),
        rejected_row("a.png", "coco"),
        rejected_row("a.png", "aa", "first"),
    ]
    make_tiny(lights, folder / "out", seed=7, samples_per_shard=3)
    return open_pairs(folder / "out")


def with_manifest(pairs, **changes):
    """The same pairs under a manifest that says something else."""
    settings = changes.pop("settings", {})
    changes = {"settings": {**pairs.manifest.settings, **settings}, **changes}
    return replace(pairs, manifest=pairs.manifest.model_copy(update=changes))


def test_a_merge_has_all_pairs_in_an_order_by_their_keys_and_joins_what_it_is_made_of(one, two, tmp_path):
    manifest = write_merge([one, two], str(tmp_path / "out"))
    made = open_pairs(tmp_path / "out")
    assert verify_dataset(str(tmp_path / "out")).faults == []
    keys = [row["key"] for row in (*one.rows(), *two.rows())]
    assert made.table["key"].to_pylist() == sorted(keys, key=lambda key: keyed_random.rank(0, key, "merge"))
    assert [(entry.name, entry.samples) for entry in manifest.shards] == [
        ("shards/train-00000.tar", 4),
        ("shards/train-00001.tar", 4),
        ("shards/train-00002.tar", 3),
    ]
    assert manifest.counts.lights_by_source == {"coco": 3, "folder": 4}
    settings = {name: manifest.settings[name] for name in ("seed", "variants", "samples_per_shard")}
    assert settings == {"seed": "0 + 7", "variants": 2, "samples_per_shard": 5}
    assert manifest.settings.keys() == {*settings, "profile", "model", "image_format", "derived_from"}
    assert manifest.environment == one.manifest.environment
    other_way = write_merge([two, one], str(tmp_path / "turned")).settings
    assert {name: other_way[name] for name in settings} == settings | {"seed": "7 + 0"}


def test_candidates_that_several_sets_rejected_are_listed_once_sorted_by_name(one, two, tmp_path):
    manifest = write_merge([one, two], str(tmp_path / "out"))
    rows = pq.read_table(tmp_path / "out/rejected/candidates.parquet").to_pylist()
    assert [(row["source"], row["name"], row["frame"]) for row in rows] == [
        ("aa", "a.png", "first"),
        ("coco", "a.png", ""),
        ("folder", "b.png", ""),
        ("folder", "c.png", ""),
    ]
    assert manifest.counts.rejected == 4


def test_sets_of_two_machines_keep_both_environments_and_terms_of_plug_ins(one, two, tmp_path):
    first = with_manifest(one, settings={"source_terms": {"a": "free"}})
    second = with_manifest(
        two, environment={"machine": "other"}, settings={"source_terms": {"b": "not free"}}
    )
    manifest = write_merge([first, second], str(tmp_path / "out"))
    assert manifest.environment == {"merged": [one.manifest.environment, {"machine": "other"}]}
    assert manifest.settings["source_terms"] == {"a": "free", "b": "not free"}
    origin = manifest.settings["derived_from"][1]
    assert origin["settings"] == second.manifest.settings


def test_light_images_become_png_with_the_same_pixels_where_it_is_asked_for(one, two, tmp_path):
    told = []
    manifest = write_merge([one, two], str(tmp_path / "out"), light_format="png", on_conversion=told.append)
    assert manifest.command == "dimmagen merge SET1 SET2 --to out/ --light-format png"
    assert manifest.settings["light_format"] == "png"
    made = {row["key"]: row for row in open_pairs(tmp_path / "out").rows()}
    pairs = open_pairs(tmp_path / "out")
    assert verify_dataset(str(tmp_path / "out")).faults == []
    for row in (*one.rows(), *two.rows()):
        new = made[row["key"]]
        was_jpeg = row["light_member"].endswith(".jpg")
        assert new["light_member"].endswith(".light.png")
        assert new["transform"] == ("lossless" if was_jpeg else "verbatim")
        assert (new["light_sha256"] == row["light_sha256"]) is not was_jpeg
        assert new["light_sha256"] == hashing.sha256(pairs.data(new, "light"))
        assert new["light_pixel_sha256"] == row["light_pixel_sha256"]
    [conversion] = told
    assert (conversion.light_format, conversion.counts) == ("png", {"png": 6, "jpg": 5})
    assert (conversion.converted, conversion.measured) == (5, 3)
    jpegs = {
        row["light_key"]: row for row in (*one.rows(), *two.rows()) if row["light_member"].endswith("jpg")
    }
    before = sum(row["light_size"] for row in jpegs.values())
    after = sum(made[row["key"]]["light_size"] for row in jpegs.values())
    estimate = round(before * 5 / 3), round(after * 5 / 3)  # 3 files were converted for 5 pairs
    assert (conversion.bytes_before, conversion.bytes_after) == estimate


def test_sets_of_one_file_type_need_no_option(one, tmp_path):
    png = [row["key"] for row in one.rows() if row["light_member"].endswith("png")]
    for name, keys in (("a", png[:2]), ("b", png[2:])):
        write_subset(one, Selection(keys=tuple(keys)), str(tmp_path / name))
    told = []
    parts = [open_pairs(tmp_path / name) for name in "ab"]
    manifest = write_merge(parts, str(tmp_path / "out"), light_format="auto", on_conversion=told.append)
    assert manifest.command == "dimmagen merge SET1 SET2 --to out/"
    assert "light_format" not in manifest.settings
    assert [(one.light_format, one.counts, one.converted) for one in told] == [("same", {"png": 4}, 0)]
    assert [len(origin["derived_from"]) for origin in manifest.settings["derived_from"]] == [1, 1]


def test_of_three_pairs_of_one_key_the_equal_ones_are_kept_once_and_the_other_is_renamed(one, tmp_path):
    rows = one.rows()
    dark = [row["dark_sha256"] for row in rows]
    swapped = one.table.set_column(
        one.table.column_names.index("light_pixel_sha256"),
        "light_pixel_sha256",
        [["0" * 64] + [row["light_pixel_sha256"] for row in rows[1:]]],
    )
    other = replace(one, table=swapped)
    manifest = write_merge([one, one, other], str(tmp_path / "out"))
    made = {row["key"]: row for row in open_pairs(tmp_path / "out").rows()}
    renamed = f"{rows[0]['key']}-{one.manifest.fingerprint[:8]}"
    assert made.keys() == {row["key"] for row in rows} | {renamed}
    assert [made[row["key"]]["dark_sha256"] for row in rows] == dark
    assert made[renamed]["light_pixel_sha256"] == "0" * 64
    assert manifest.command == "dimmagen merge SET1 SET2 SET3 --to out/ --light-format same"


@pytest.mark.parametrize(
    ("change", "what", "code", "fields"),
    [
        (
            {"image_format": "webp"},
            "differ in file type: png, webp",
            "unsuitable-pairs",
            {"formats": ["png", "webp"]},
        ),
        ({"labels": {"format": "coco", "categories": []}}, "differ in their labels", "unsuitable-pairs", {}),
    ],
)
def test_sets_that_do_not_go_together_are_refused(one, two, change, what, code, fields, tmp_path):
    with pytest.raises(UsageError, match=what) as caught:
        write_merge([with_manifest(one, settings=change), two], str(tmp_path / "out"))
    assert (caught.value.code, caught.value.fields) == ("unsuitable-pairs", fields)
    assert not (tmp_path / "out").exists()


def labelled(pairs, **labels):
    return with_manifest(pairs, settings={"labels": {"format": "voc", "categories": ["cat"], **labels}})


def test_labels_of_one_kind_are_told_by_format_and_categories_alone(one, two, tmp_path):
    first = labelled(one, sha256="1")
    for other in (labelled(two, categories=["dog"]), labelled(two, format="yolo"), two):
        with pytest.raises(UsageError, match="differ in their labels"):
            write_merge([first, other], str(tmp_path / "out"))
    with pytest.raises(UsageError, match="JPEG would change"):  # which is checked after the labels
        write_merge([first, labelled(two, sha256="2")], str(tmp_path / "out"), light_format="jpg")


def test_the_files_with_labels_come_along_and_their_kind_is_recorded(tmp_path):
    lights = tiny_lights(tmp_path / "lights", 2)
    (tmp_path / "labels").mkdir()
    for number, name in enumerate(("0.json", "1.json")):
        (tmp_path / "labels" / name).write_text(f'{{"number": {number}}}')
    labels = open_labels(f"json={tmp_path / 'labels'}", lights)
    small = PairSettings(samples_per_shard=1)
    generate_dataset(lights, build_dimmer, str(tmp_path / "a"), small, Execution("serial"), labels=labels)
    origin = open_pairs(tmp_path / "a")
    recorded = origin.manifest.settings["labels"]
    write_subset(origin, Selection(), str(tmp_path / "b"))
    merged = write_merge([origin, open_pairs(tmp_path / "b")], str(tmp_path / "c"))
    kind = {"format": "json", "categories": recorded["categories"]}
    assert (merged.settings["labels"], recorded["format"]) == (kind, "json")
    for name in "abc":
        made = open_pairs(tmp_path / name)
        layout = (tmp_path / name / ".huggingface.yaml").read_bytes()
        settings = made.manifest.settings
        assert layout == pair_layout_file(settings) != pair_layout_file({**settings, "labels": None})
        assert verify_dataset(made.out).faults == []
        for row in made.rows():
            assert row["labels_member"] == f"{row['key']}.labels.json"
            assert json.loads(made.labels(row)) == {"number": int(row["name"][0])}


def test_one_set_alone_and_jpeg_are_refused(one, two, tmp_path):
    with pytest.raises(UsageError, match="at least two") as caught:
        write_merge([one], str(tmp_path / "out"))
    assert (caught.value.code, caught.value.fields) == ("missing-argument", {"count": 1})
    with pytest.raises(UsageError, match="JPEG would change these") as caught:
        write_merge([one, two], str(tmp_path / "out"), light_format="jpg")
    assert (caught.value.code, caught.value.fields) == ("conflict", {"parameter": "light_format"})


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
    assert made.manifest.command == "dimmagen subset ORIGIN --to out/ --keys KEYS"
    assert made.manifest.counts.rejected == 2
    assert [entry.samples for entry in made.manifest.shards] == [3]


def find(pairs, key):
    return pairs.table["key"].to_pylist().index(key)


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


def test_an_image_is_that_of_its_origin_bit_by_bit(one, two, tmp_path):
    write_merge([one, two], str(tmp_path / "out"), light_format="png")
    made = open_pairs(tmp_path / "out")
    for row in one.rows():
        dark, light = made.images(made.row(find(made, row["key"])))
        old_dark, old_light = one.images(row)
        assert np.array_equal(dark, old_dark)
        assert np.array_equal(light, old_light)
        assert codec.pixel_sha256(light) == row["light_pixel_sha256"]


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
    monkeypatch.setattr(derived, "_ROWS_AT_ONCE", 2)
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
    assert Selection().command() == "dimmagen subset ORIGIN --to out/"
    names = {"sources": ("a", "b"), "licence": "CC BY", "gamma": (0.5, 1.0), "lightness": (0.0, 0.25)}
    full = Selection(**names, min_side=64, keys=("y", "x"), without_keys=("z",))
    assert full.command() == (
        "dimmagen subset ORIGIN --to out/ --source a --source b --licence 'CC BY' --gamma 0.5:1.0 "
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


class Balanced(LinearModel):
    """A model that draws a white balance and says so."""

    balance_spread = (0.06, 0.03)

    def settings(self):
        return super().settings() | {"white_balance": "drawn"}


def test_pairs_of_a_set_without_a_white_balance_are_merged_as_balanced_ones(one, tmp_path):
    lights, settings = tiny_lights(tmp_path / "lights", 2, first=6), PairSettings(samples_per_shard=3)
    build = partial(ImageDimmer, Balanced(), "balanced", "1" * 64)
    generate_dataset(lights, build, str(tmp_path / "balanced"), settings, Execution("serial"))
    balanced = open_pairs(tmp_path / "balanced")
    for number, sets in enumerate(([one, balanced], [balanced, one])):
        manifest = write_merge(sets, str(tmp_path / str(number)))
        assert manifest.settings["white_balance"] == "drawn"
        made = {row["key"]: row for row in open_pairs(tmp_path / str(number)).rows()}
        assert {made[row["key"]][name] for row in one.rows() for name in WHITE_BALANCE} == {1.0}
        for row in balanced.rows():
            assert [made[row["key"]][name] for name in WHITE_BALANCE] == [row[name] for name in WHITE_BALANCE]
        assert verify_dataset(str(tmp_path / str(number))).faults == []


def test_the_card_of_a_derived_set_has_the_file_types_of_its_light_images(one, two, tmp_path):
    write_subset(one, Selection(), str(tmp_path / "same"))
    assert_described(tmp_path / "same", ["jpg", "png"])
    write_merge([one, two], str(tmp_path / "png"), light_format="png")
    assert_described(tmp_path / "png", ["png"])


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
